"""Records that strangers cause as often as they like."""

import logging

from personaplex_ui.logs.rate_limit import (
    ADVICE,
    AT_MOST,
    NO_FILE_LEFT,
    NO_UTF8,
    PERIOD_SEC,
    RepeatedRecords,
    limit_repeated_records,
)
from tests.support.clock import Clock


def record(message: str, *arguments: object, exception: BaseException | None = None) -> logging.LogRecord:
    told = (type(exception), exception, None) if exception else None
    return logging.LogRecord("asyncio", logging.ERROR, "x.py", 1, message, arguments, told)


def test_asyncios_record_of_no_file_left_is_written_once_a_minute_with_advice():
    clock = Clock()
    limit = RepeatedRecords(clock)
    first = record(f"{NO_FILE_LEFT}\nsocket: <...>", exception=OSError(24, "Too many open files"))
    assert limit.filter(first)
    assert first.getMessage() == ADVICE
    assert first.exc_info is None
    assert not any(limit.filter(record(f"{NO_FILE_LEFT}\nsocket: <...>")) for _ in range(100_000))
    clock.now += PERIOD_SEC
    again = record(NO_FILE_LEFT)
    assert limit.filter(again)
    assert again.getMessage() == f"{ADVICE} (100,000 more of these were left out.)"


def test_uvicorns_record_of_a_text_that_is_none_has_no_traceback():
    told = record(NO_UTF8, exception=ValueError("what a client sent"))
    assert RepeatedRecords(Clock()).filter(told)
    assert told.exc_info is None
    assert told.getMessage() == NO_UTF8


def test_each_kind_has_its_own_number_and_other_records_have_none():
    limit = RepeatedRecords(Clock())
    for kind, at_most in AT_MOST.items():
        arguments = ("1.2.3.4", "/x") if "%s" in kind else ()
        written = [limit.filter(record(kind, *arguments)) for _ in range(50)]
        assert written.count(True) == at_most
    assert all(limit.filter(record("Something else %d", number)) for number in range(1_000))


def test_arguments_survive_what_is_added():
    clock = Clock()
    limit = RepeatedRecords(clock)
    kind = '%s - "WebSocket %s" 403'
    for _ in range(AT_MOST[kind] + 1):
        limit.filter(record(kind, "a", "/b"))
    clock.now += PERIOD_SEC
    told = record(kind, "a", "/b")
    assert limit.filter(told)
    assert told.getMessage() == 'a - "WebSocket /b" 403 (1 more of these were left out.)'


def test_the_loggers_get_one_filter_however_often_they_are_given_it():
    loggers = [logging.getLogger(name) for name in ("asyncio", "uvicorn.error")]
    before = [list(logger.filters) for logger in loggers]
    try:
        limit_repeated_records()
        limit_repeated_records()
        for logger in loggers:
            assert sum(isinstance(present, RepeatedRecords) for present in logger.filters) == 1
    finally:
        for logger, filters in zip(loggers, before, strict=True):
            logger.filters[:] = filters
