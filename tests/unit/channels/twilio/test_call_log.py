"""What is known of telephone calls."""

from personaplex_ui.channels.twilio.call_log import KEPT, PhoneCallLog


def test_a_later_status_is_not_taken_back() -> None:
    call_log = PhoneCallLog(lambda: 100.0)
    call = call_log.begin("CA1", "outbound", "+15…4567", "ringing")
    call_log.begin("CA1", "outbound", "+15…4567", "queued")
    assert call.status == "ringing"
    call_log.begin("CA1", "outbound", "+15…4567", "completed")
    call_log.begin("CA1", "outbound", "+15…4567", "in-progress")
    assert (call.status, call.over, call.ended_at) == ("completed", True, 100.0)


def test_a_status_nobody_knows_changes_nothing() -> None:
    call = PhoneCallLog().begin("CA1", "inbound", "unknown", "<b>dancing</b>")
    assert (call.status, call.over) == ("unknown", False)


def test_what_our_side_has_left_is_unknown_until_twilio_tells() -> None:
    now = iter([1.0, 2.0, 3.0])
    call_log = PhoneCallLog(lambda: next(now))
    call = call_log.begin("CA1", "inbound", "unknown", "in-progress")
    call_log.leave(call)
    call_log.begin("CA1", "inbound", "unknown", "in-progress")  # it comes late
    assert (call.status, call.over, call.ended_at) == ("unknown", False, 2.0)
    call_log.begin("CA1", "inbound", "unknown", "busy")
    call_log.leave(call)
    assert (call.status, call.over, call.ended_at) == ("busy", True, 2.0)


def test_the_number_becomes_known_when_it_is_told_late() -> None:
    call_log = PhoneCallLog()
    call_log.begin("CA1", "inbound", "unknown", "ringing")
    call = call_log.begin("CA1", "outbound", "+15…4567")
    assert (call.direction, call.number, call.status) == ("outbound", "+15…4567", "ringing")


def test_only_the_last_are_kept_and_those_that_go_on_longest() -> None:
    call_log = PhoneCallLog()
    call_log.begin("first", "inbound", "unknown", "in-progress").call_id = "ours"
    call_log.begin("never told", "inbound", "unknown", "ringing")
    left = call_log.begin("left", "inbound", "unknown", "in-progress")
    left.call_id = "ours too"
    call_log.leave(left)
    for number in range(KEPT + 50):
        call_log.begin(f"CA{number}", "inbound", "unknown", "completed")
    assert len(call_log.newest_first) == KEPT
    assert call_log.get("first") is not None
    assert call_log.get("CA0") is None
    assert call_log.get("never told") is None
    assert call_log.get("left") is None
    assert call_log.newest_first[0].call_sid == f"CA{KEPT + 49}"
    for number in range(KEPT + 50):
        call_log.begin(f"live{number}", "inbound", "unknown", "in-progress")
    assert len(call_log.newest_first) == KEPT
