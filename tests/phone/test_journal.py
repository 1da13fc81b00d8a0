"""What is known of telephone calls."""

from personaplex_ui.phone.journal import KEPT, Journal


def test_a_later_status_is_not_taken_back() -> None:
    journal = Journal(lambda: 100.0)
    call = journal.begin("CA1", "outbound", "+15…4567", "ringing")
    journal.begin("CA1", "outbound", "+15…4567", "queued")
    assert call.status == "ringing"
    journal.begin("CA1", "outbound", "+15…4567", "completed")
    journal.begin("CA1", "outbound", "+15…4567", "in-progress")
    assert (call.status, call.over, call.ended_at) == ("completed", True, 100.0)


def test_a_status_nobody_knows_changes_nothing() -> None:
    call = Journal().begin("CA1", "inbound", "unknown", "<b>dancing</b>")
    assert (call.status, call.over) == ("unknown", False)


def test_what_our_side_has_left_is_unknown_until_twilio_tells() -> None:
    now = iter([1.0, 2.0, 3.0])
    journal = Journal(lambda: next(now))
    call = journal.begin("CA1", "inbound", "unknown", "in-progress")
    journal.leave(call)
    journal.begin("CA1", "inbound", "unknown", "in-progress")  # it comes late
    assert (call.status, call.over, call.ended_at) == ("unknown", False, 2.0)
    journal.begin("CA1", "inbound", "unknown", "busy")
    journal.leave(call)
    assert (call.status, call.over, call.ended_at) == ("busy", True, 2.0)


def test_the_number_becomes_known_when_it_is_told_late() -> None:
    journal = Journal()
    journal.begin("CA1", "inbound", "unknown", "ringing")
    call = journal.begin("CA1", "outbound", "+15…4567")
    assert (call.direction, call.number, call.status) == ("outbound", "+15…4567", "ringing")


def test_only_the_last_are_kept_and_those_that_go_on_longest() -> None:
    journal = Journal()
    journal.begin("first", "inbound", "unknown", "in-progress").call_id = "ours"
    journal.begin("never told", "inbound", "unknown", "ringing")
    left = journal.begin("left", "inbound", "unknown", "in-progress")
    left.call_id = "ours too"
    journal.leave(left)
    for number in range(KEPT + 50):
        journal.begin(f"CA{number}", "inbound", "unknown", "completed")
    assert len(journal.newest_first) == KEPT
    assert journal.get("first") is not None
    assert journal.get("CA0") is None
    assert journal.get("never told") is None
    assert journal.get("left") is None
    assert journal.newest_first[0].call_sid == f"CA{KEPT + 49}"
    for number in range(KEPT + 50):
        journal.begin(f"live{number}", "inbound", "unknown", "in-progress")
    assert len(journal.newest_first) == KEPT
