"""The log's two formats, the call in each line, and that nothing of a caller gets through."""

import asyncio
import contextvars
import json
import logging
import re
import sys
import time
from collections.abc import Callable, Iterator
from typing import cast

import pytest
from fastrtc import webrtc_connection_mixin
from hypothesis import given
from hypothesis import strategies as st
from uvicorn.config import Config
from websockets.exceptions import ConnectionClosedError

from personaplex_ui.logs.call_context import enter_call
from personaplex_ui.logs.formats import (
    QUOTES_CALLERS,
    TELL_TOO_MUCH,
    JsonFormat,
    TextFormat,
    configure_logging,
    is_raised_by_us,
    mask,
    place_of,
)

PROMPT = "You work for Aurora and the password is swordfish"


Written = Callable[[], list[str]]


@pytest.fixture
def lines(capsys: pytest.CaptureFixture[str]) -> Iterator[Written]:
    """What was written to standard error. The loggers are as before afterwards."""
    root = logging.getLogger()
    names = ("", "personaplex_ui", *TELL_TOO_MUCH, QUOTES_CALLERS, "uvicorn.error")
    before = {name: (logging.getLogger(name).level, logging.getLogger(name).filters[:]) for name in names}
    handlers, root.handlers = root.handlers, []
    yield lambda: capsys.readouterr().err.splitlines()
    root.handlers = handlers
    for name, (level, filters) in before.items():
        logging.getLogger(name).setLevel(level)
        logging.getLogger(name).filters = filters


def record_of(message: str, *args: object, **extra: object) -> logging.LogRecord:
    record = logging.LogRecord("personaplex_ui.calls", logging.INFO, "call.py", 1, message, args, None)
    vars(record).update(extra)
    return record


def raised(error: Exception) -> logging.LogRecord:
    try:
        raise error
    except type(error):
        return record_of("The call failed.", exc_info=sys.exc_info())


def json_of(record: logging.LogRecord) -> dict[str, str]:
    line = JsonFormat().format(record)
    assert line.isascii()
    assert "\n" not in line
    return json.loads(line)


def test_text_lines_name_the_call_only_where_there_is_one(lines: Written) -> None:
    log = logging.getLogger("personaplex_ui.calls.call")
    configure_logging("info", json_lines=False)

    def in_a_call() -> None:
        enter_call("a1b2c3d4e5")
        log.info("Hello %d.", 7)

    contextvars.Context().run(in_a_call)
    log.info("Outside.")
    log.warning("From the engine.", extra={"call": "ffffff"})
    log.debug("Not shown.")
    ends = [line.partition("INFO ")[2] or line.partition("WARNING ")[2] for line in lines()]
    assert ends == [
        "personaplex_ui.calls.call [a1b2c3]: Hello 7.",
        "personaplex_ui.calls.call: Outside.",
        "personaplex_ui.calls.call [ffffff]: From the engine.",
    ]


async def test_tasks_of_two_calls_keep_their_own_id(lines: Written) -> None:
    configure_logging("info", json_lines=True)

    async def talk(call_id: str) -> None:
        enter_call(call_id)
        for _ in range(3):
            await asyncio.sleep(0)
            logging.getLogger("uvicorn.error").info("%s", call_id)

    await asyncio.gather(talk("aaaaaa"), talk("bbbbbb"))
    told = [json.loads(line) for line in lines()]
    assert len(told) == 6
    assert all(line["call"] == line["message"] for line in told)


def test_json_lines_have_the_fields_that_are_documented() -> None:
    record = record_of("It is “done”:\n%s", "ä", call="a1b2c3")
    record.created = 1_790_000_000.25
    assert json_of(record) == {
        "time": "2026-09-21T14:13:20.250Z",
        "level": "INFO",
        "logger": "personaplex_ui.calls",
        "message": "It is “done”:\nä",
        "call": "a1b2c3",
    }
    assert json_of(record_of("", call=""))["message"] == ""


def test_exceptions_are_told_as_text_and_masked() -> None:
    line = json_of(raised(ValueError("out of range")))
    assert line["message"] == "The call failed."
    assert line["exception"].startswith("Traceback (most recent call last):\n")
    assert line["exception"].endswith("ValueError: out of range")
    text = TextFormat().format(raised(ValueError("out of range")))
    assert "The call failed.\n    Traceback (most recent" in text
    assert text.endswith("\n    ValueError: out of range")
    secret = OSError("no way to +14155552671 with hf_AbCdEfGhIjKl")
    for told in (TextFormat().format(raised(secret)), json_of(raised(secret))["exception"]):
        assert told.endswith("no way to +***671 with hf_***")


def test_configuring_again_changes_the_format_and_doubles_nothing(lines: Written) -> None:
    configure_logging("debug", json_lines=False)
    configure_logging("warning", json_lines=True)
    logging.getLogger("personaplex_ui").warning("Once.")
    logging.getLogger("personaplex_ui").info("Not shown.")
    assert [json.loads(line)["message"] for line in lines()] == ["Once."]


def test_debug_is_for_our_own_records_alone_and_libraries_quote_nobody(lines: Written) -> None:
    """websockets prints frames there, and multipart parsers forms."""
    configure_logging("debug", json_lines=False)
    logging.getLogger("websockets.server").debug("< TEXT '%s'", PROMPT)
    logging.getLogger("twilio.http_client").info("POST Request: https://api.twilio.com/?To=me")
    logging.getLogger("httpx").info("HTTP Request: GET https://example.org/?q=1")
    logging.getLogger("aioice.ice").info("Connection(0) Check CandidatePair(('192.0.2.7', 5))")
    logging.getLogger(webrtc_connection_mixin.__name__).error("Invalid candidate format: 192.0.2.7")
    logging.getLogger("personaplex_ui.calls").debug("Ours.")
    assert [line.rpartition(": ")[2] for line in lines()] == ["Ours."]


@pytest.mark.parametrize("ending", ["[accepted]", "403", "%d"])
def test_uvicorn_tells_no_address_and_no_query_of_a_websocket(lines: Written, ending: str) -> None:
    configure_logging("info", json_lines=False)
    Config("app:app", log_config=None)  # as the server makes it: its loggers end in ours
    more = (404,) if ending == "%d" else ()
    path = "/api/chat?voice_prompt=NATF2.pt&text_prompt=You%20work%20for%20Aurora&password=x"
    logging.getLogger("uvicorn.error").info(f'%s - "WebSocket %s" {ending}', "192.0.2.7:50124", path, *more)
    (line,) = lines()
    told = ending if ending != "%d" else "404"
    assert line.endswith(f'uvicorn.error: A client - "WebSocket /api/chat" {told}')


def test_uvicorn_tells_no_error_that_is_none(lines: Written) -> None:
    configure_logging("info", json_lines=False)
    log = logging.getLogger("uvicorn.error")
    log.info("connection rejected (401 Unauthorized)")
    log.error("ASGI callable returned without completing handshake.")  # of a websocket answered by HTTP
    log.error("Exception in ASGI application", exc_info=asyncio.CancelledError())  # the server's end
    assert [line.split(": ", 1)[1] for line in lines()] == ["connection rejected (401 Unauthorized)"]
    log.error("Exception in ASGI application", exc_info=ConnectionClosedError(None, None))
    assert "Exception in ASGI application" in lines()[0]


def test_what_a_library_raises_in_a_request_is_told_without_its_words(lines: Written) -> None:
    configure_logging("info", json_lines=True)
    log = logging.getLogger("uvicorn.error")
    for broken in (lambda: json.loads(PROMPT), lambda: mask(cast(str, None))):
        try:
            broken()
        except (ValueError, TypeError):
            log.exception("Exception in ASGI application\n")
    theirs, ours = (json.loads(line)["exception"] for line in lines())
    assert theirs.startswith("Traceback (most recent call last):\n")
    assert "decoder.py" in theirs
    assert theirs.splitlines()[-1] == "JSONDecodeError (its words may be a caller's)"
    assert ours.splitlines()[-1] == "TypeError: expected string or bytes-like object, got 'NoneType'"


def test_the_place_that_raised_is_told_and_the_last_of_ours() -> None:
    def raised_by(function: Callable[[], object]) -> Exception:
        with pytest.raises(Exception) as raised:  # noqa: PT011
            function()
        return raised.value

    theirs = raised_by(lambda: json.loads("no"))
    assert re.fullmatch(r"json/decoder\.py:\d+", place_of(theirs))
    ours = raised_by(lambda: mask(cast(str, None)))
    assert re.fullmatch(r"logs/formats\.py:\d+", place_of(ours))
    assert (is_raised_by_us(theirs), is_raised_by_us(ours)) == (False, True)
    unlucky = record_of("%s", json)
    unlucky.created = float("inf")
    through_us = raised_by(lambda: TextFormat("%(message)s").format(unlucky))
    place = r"logging/__init__\.py:\d+, called at logs/formats\.py:\d+"
    assert re.fullmatch(place, place_of(through_us))
    assert place_of(ValueError()) == "an unknown place"
    assert not is_raised_by_us(ValueError())


def test_no_peer_can_write_a_line_that_looks_like_ours() -> None:
    hostile = "x\n2026-01-31 12:00:00,000 INFO personaplex_ui: forged\r\x1b[2K\u2028"
    for record in (record_of("Said: %s", hostile), raised(ValueError(hostile))):
        first, *others = TextFormat().format(record).split("\n")
        assert "forged" not in first
        assert all(line.startswith("    ") for line in others)
        assert not set("\r\x1b\u2028") & set("".join(others))


@pytest.mark.parametrize(
    ("said", "logged"),
    [
        ("Calling +14155552671.", "Calling +***671."),
        ("From=%2B14155552671&To=%2b4930123456", "From=+***671&To=+***456"),
        ("+49 (0)30 / 123-45 67", "+***567"),
        ("\uff0b49.170.1234567", "+***567"),
        (r'{"from": "\u002b14155552671"}', '{"from": "+***671"}'),
        ("2026-01-31T12:00:00+00:00, 15316032512 bytes, 1e+10, +1234567", None),
        ("/api/chat?password=a%26b&seed=3", "/api/chat?password=***&seed=3"),
        ("APP_PASSWORD = secret7", "APP_PASSWORD = ***"),
        ("Settings(api_key='a b', port=1)", "Settings(api_key=***, port=1)"),
        ('twilio_auth_token="a \\" b" x', "twilio_auth_token=*** x"),
        ('{"token": "abc", "seed": 1}', '{"token": ***, "seed": 1}'),
        (r"'{\"password\": \"abc\"}'", r"'{\"password\": ***"),
        ("password='half", "password=***"),
        ("password%3Dabc x", "password%3D*** x"),
        (f"Persona(voice='NATF2', text_prompt={PROMPT!r})", "Persona(voice='NATF2', text_prompt=***)"),
        ("Authorization: Bearer abc.def-1", "Authorization: Bearer ***"),
        ("{'authorization': 'Basic dTpw'}", "{'authorization': 'Basic ***'}"),
        ("(b'authorization', b'Basic dTpw')", "(b'authorization', b'Basic ***')"),
        ("Cookie: personaplex_visitor=abcdef", "Cookie: personaplex_visitor=***"),
        ("with hf_AbCdEfGhIjKlMnOp.", "with hf_***."),
        ("hf_transfer, hf_hub_download, max_tokens=3, 600 tokens: no password", None),
    ],
)
def test_what_is_masked(said: str, logged: str | None) -> None:
    assert mask(said) == (said if logged is None else logged)


def test_our_own_number_can_be_read() -> None:
    said = "Call +1 415 555 2671; +14155550000 did."
    assert json_of(record_of(said, our_number="+1 415 555 2671"))["message"] == (
        "Call +1 415 555 2671; +***000 did."
    )
    assert json_of(record_of(said, our_number=""))["message"] == "Call +***671; +***000 did."


no_digits = st.text(st.characters(exclude_categories=["Nd"]), max_size=20)
numbers = st.lists(
    st.tuples(st.sampled_from(["", " ", "-", ".", " (", ") "]), st.sampled_from("0123456789")),
    min_size=8,
    max_size=15,
)


@given(no_digits, st.sampled_from(["+", "%2B", "%2b"]), numbers, no_digits)
def test_no_number_is_logged_in_full(
    before: str, plus: str, number: list[tuple[str, str]], after: str
) -> None:
    said = before + plus + "".join(mark + digit for mark, digit in number) + after
    shown = "".join(c for c in mask(said).replace("%2", "%") if c.isdecimal())
    assert shown == "".join(digit for _, digit in number[-3:])
    assert shown in json_of(record_of("%s", said))["message"]


@given(
    st.sampled_from(["password=", "token=", "?password=", "API_KEY=", "Bearer ", '"token": ']),
    st.text(st.characters(codec="ascii", categories=["Lu"]), min_size=12, max_size=40),
    st.sampled_from(["", "'", '"']),
)
def test_no_secret_is_logged(name: str, secret: str, quote: str) -> None:
    for text in (f"x {name}{quote}{secret}{quote} y", f"{{{name}{quote}{secret}", f"({name}{secret}&seed=1)"):
        assert secret not in mask(text)


@pytest.mark.parametrize("bulk", ["token", "+1 ", "+", "password='", 'a.b-c="', "\\", "bearer ", "hf_"])
def test_what_is_very_long_is_cut_and_takes_no_time(bulk: str) -> None:
    began = time.process_time()
    line = json_of(record_of("%s", bulk * (10_000_000 // len(bulk))))
    assert len(line["message"]) < 20_000
    assert "characters more)" in line["message"]
    assert time.process_time() - began < 5.0
