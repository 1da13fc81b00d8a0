"""How long a call may be: as ever, shorter while its line is wanted, and no longer than the day allows."""

from personaplex_ui.calls.allowance import Allowance, Visitor
from personaplex_ui.calls.call_length import CallLength
from personaplex_ui.calls.snapshot import End
from personaplex_ui.calls.watchdog import ENDS_SOON, GOES_ON, GOODBYE, Watchdog
from tests.support.clock import Clock

ANN, BOB = Visitor("Ann"), Visitor("Bob")


class Rig:
    """A call of at most 600 s, of 120 s while it is wanted, of a visitor with 10 minutes a day."""

    def __init__(self, visitor: Visitor | None = ANN, minutes: float = 10, busy_sec: float = 120.0) -> None:
        self.wanted = False
        self.allowance = Allowance(minutes * 60, Clock(1e9))
        self.length = CallLength(600.0, busy_sec, lambda: self.wanted, self.allowance, visitor)
        self.dog = Watchdog(600.0)
        self.dog.start(0.0)

    def look(self, at_sec: float):
        self.dog.limit = self.length.limit(at_sec)
        self.dog.heard(at_sec)
        self.dog.answered(at_sec)
        return self.dog.check(at_sec)


def test_nobody_waits_and_the_call_is_as_long_as_ever():
    rig = Rig(minutes=0)
    assert [rig.length.limit(float(at)).sec for at in (0, 200, 599)] == [600.0] * 3


def test_while_the_line_is_wanted_the_call_is_shorter_and_says_goodbye():
    rig = Rig()
    rig.look(50.0)
    rig.wanted = True
    assert rig.look(60.0).note == ""
    assert rig.dog.limit.sec == 120.0
    assert rig.look(110.0).goodbye == GOODBYE
    ended = rig.look(120.0)
    assert ended.end is End.TIME_LIMIT
    assert "Others are waiting, and then calls end after 2 minutes" in ended.hang_up


def test_who_has_talked_for_longer_is_told_ten_seconds_before():
    rig = Rig()
    rig.wanted = True
    told = rig.look(300.0)
    assert (told.goodbye, told.note, told.hang_up) == (GOODBYE, ENDS_SOON, "")
    assert rig.look(309.0).hang_up == ""
    assert rig.look(310.0).end is End.TIME_LIMIT


def test_nobody_waiting_any_more_gives_the_full_length_back_and_says_so():
    rig = Rig()
    rig.wanted = True
    rig.look(300.0)
    rig.wanted = False
    assert rig.look(305.0).note == GOES_ON
    assert rig.look(310.0).hang_up == ""
    assert rig.dog.limit.sec == 600.0
    rig.wanted = True
    assert rig.look(400.0).goodbye == GOODBYE
    assert rig.dog.limit.sec == 410.0


def test_telephones_and_programs_with_a_key_are_neither_counted_nor_shortened():
    rig = Rig(visitor=None)
    rig.wanted = True
    rig.allowance.spend(ANN, 1e6)
    assert rig.length.limit(300.0).sec == 600.0


def test_without_the_setting_nobody_is_shortened():
    rig = Rig(busy_sec=0.0)
    rig.wanted = True
    assert rig.length.limit(300.0).sec == 600.0


def test_a_call_ends_when_the_minutes_of_the_day_do():
    rig = Rig()
    rig.allowance.spend(ANN, 540.0)
    assert rig.length.limit(0.0).sec == 60
    assert rig.look(50.0).goodbye == GOODBYE
    ended = rig.look(60.0)
    assert ended.end is End.TIME_LIMIT
    assert "Your 10 minutes of calls for today are used up." in ended.hang_up
    assert rig.allowance.left_sec(ANN) == 0.0


def test_two_calls_at_once_use_twice_as_much():
    rig = Rig()
    other = CallLength(600.0, allowance=rig.allowance, visitor=ANN)
    rig.length.limit(100.0)
    assert other.limit(100.0).sec == 500
    assert rig.length.limit(100.0).sec == 500
    assert rig.allowance.left_sec(BOB) == 600.0


def test_what_was_counted_is_not_counted_again():
    rig = Rig()
    for at_sec in (10.0, 10.0, 20.0, 15.0):
        rig.length.spend(at_sec)
    assert rig.allowance.left_sec(ANN) == 580.0
