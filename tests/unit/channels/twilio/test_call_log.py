"""What is known of telephone calls, and what a restart leaves of it."""

from pathlib import Path

import pytest

from personaplex_ui.calls.snapshot import End
from personaplex_ui.channels.twilio.call_log import FILE, KEPT, PhoneCall, PhoneCallLog
from personaplex_ui.channels.twilio.spoken_sentences import CUT_OFF
from tests.support.clock import Clock


@pytest.fixture
def clock() -> Clock:
    return Clock(100.0)


@pytest.fixture
def call_log(tmp_path: Path, clock: Clock) -> PhoneCallLog:
    return PhoneCallLog(tmp_path, clock)


@pytest.mark.parametrize(
    ("told", "status", "over"),
    [
        (["ringing", "queued"], "ringing", False),
        (["ringing", "completed", "in-progress"], "completed", True),
        (["<b>dancing</b>"], "unknown", False),
    ],
)
def test_a_later_status_stays(call_log: PhoneCallLog, told: list[str], status: str, over: bool) -> None:
    call = [call_log.begin("CA1", "outbound", "+15…4567", one) for one in told][-1]
    assert (call.status, call.over, call.ended_at) == (status, over, 100.0 if over else None)


def test_what_our_side_has_left_is_unknown_until_twilio_tells(call_log: PhoneCallLog, clock: Clock) -> None:
    call = call_log.begin("CA1", "inbound", "unknown", "in-progress")
    call_log.leave(call, "Bye.", End.HUNG_UP)
    clock.now += 1.0
    call_log.begin("CA1", "inbound", "unknown", "in-progress")  # it comes late
    assert (call.status, call.over, call.ended_at, call.reason) == ("unknown", False, 100.0, "Bye.")
    call_log.begin("CA1", "inbound", "unknown", "busy")
    call_log.leave(call, "Bye.", End.HUNG_UP)
    assert (call.status, call.over, call.ended_at) == ("busy", True, 100.0)


def test_the_number_becomes_known_when_it_is_told_late(call_log: PhoneCallLog) -> None:
    call_log.begin("CA1", "inbound", "unknown", "ringing")
    call = call_log.begin("CA1", "outbound", "+15…4567")
    assert (call.direction, call.number, call.status) == ("outbound", "+15…4567", "ringing")


def test_only_the_last_are_kept_and_those_that_go_on_longest(call_log: PhoneCallLog) -> None:
    call_log.attach(call_log.begin("first", "inbound", "unknown", "in-progress"), "ours")
    call_log.begin("never told", "inbound", "unknown", "ringing")
    left = call_log.begin("left", "inbound", "unknown", "in-progress")
    call_log.attach(left, "ours too")
    call_log.leave(left, "Bye.", End.HUNG_UP)
    for number in range(KEPT + 5):
        call_log.begin(f"CA{number}", "inbound", "unknown", "completed")
    assert len(call_log.newest_first) == KEPT
    assert call_log.get("first") is not None
    assert [call_log.get(gone) for gone in ("CA0", "never told", "left")] == [None] * 3
    assert call_log.newest_first[0].call_sid == f"CA{KEPT + 4}"
    for number in range(KEPT + 5):
        call_log.begin(f"live{number}", "inbound", "unknown", "in-progress")
    assert len(call_log.newest_first) == KEPT


def test_a_restart_brings_the_calls_back(call_log: PhoneCallLog, tmp_path: Path, clock: Clock) -> None:
    rings = call_log.begin("rings", "outbound", "+15…4567", "ringing")
    talks = call_log.begin("talks", "inbound", "+49…6789", "in-progress")
    call_log.attach(talks, "ours")
    call_log.leave(call_log.begin("left", "inbound", "unknown"), "Time.", End.TIME_LIMIT)
    call_log.flush()
    clock.now += 60.0
    loaded = PhoneCallLog(tmp_path, clock)
    loaded.load()
    assert loaded.get("rings") == rings
    assert loaded.get("left") == call_log.get("left")
    cut_off = PhoneCall(
        "talks", "inbound", "+49…6789", "unknown", 100.0, 160.0, "ours", End.SHUTDOWN, CUT_OFF
    )
    assert loaded.get("talks") == cut_off, "it was live, and is no more"


def test_the_disk_keeps_no_more_than_the_memory(call_log: PhoneCallLog, tmp_path: Path, clock: Clock) -> None:
    for number in range(KEPT + 5):
        clock.now += 1.0
        call_log.begin(f"CA{number}", "inbound", "unknown", "completed")
    call_log.flush()
    loaded = PhoneCallLog(tmp_path, clock)
    loaded.load()
    assert [call.call_sid for call in loaded.newest_first] == [c.call_sid for c in call_log.newest_first]


def test_without_a_disk_calls_are_known_all_the_same(
    call_log: PhoneCallLog, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    call_log.load()
    (tmp_path / FILE).mkdir()
    call_log.load()
    call = call_log.begin("CA1", "inbound", "unknown", "ringing")
    call_log.flush()
    assert call_log.get("CA1") is call
    assert "earlier runs could not be read" in caplog.text
    assert "is kept in memory only" in caplog.text
