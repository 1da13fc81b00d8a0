"""Which connections are dropped, told the time."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from personaplex_ui.app.connection_limits import (
    STALLED_BYTES,
    STALLED_SEC,
    WITHIN_SEC,
    Connection,
    ConnectionLimits,
    Stage,
)
from tests.support.clock import Clock


class Utterance:
    """Connections by their names, and the names of the dropped ones in their order."""

    def __init__(self, most: int = 100, of_one_peer: int = 50) -> None:
        self.clock = Clock()
        self.limits = ConnectionLimits(most, self.clock, of_one_peer)
        self.dropped: list[str] = []
        self.closing: set[str] = set()
        self.unsent: dict[str, int] = {}

    def add(self, name: str, peer: str = "a", stage: Stage = Stage.SILENT) -> Connection:
        connection = Connection(
            peer,
            lambda: self.dropped.append(name),
            lambda: name in self.closing,
            lambda: self.unsent.get(name, 0),
        )
        self.limits.add(connection)
        self.limits.move(connection, stage)
        return connection

    def after(self, sec: float) -> list[str]:
        self.clock.now += sec
        self.limits.drop_overdue()
        return self.dropped


@pytest.mark.parametrize("stage", WITHIN_SEC)
def test_each_stage_has_an_end(stage: Stage):
    line = Utterance()
    line.add("early", stage=stage)
    line.clock.now += 1.0
    line.add("late", stage=stage)
    assert line.after(WITHIN_SEC[stage] - 1.1) == []
    assert line.after(0.1) == ["early"]
    assert line.after(1.0) == ["early", "late"]
    assert len(line.limits) == 0


def test_what_the_app_has_to_do_with_may_take_as_long_as_it_takes():
    line = Utterance()
    line.add("call", stage=Stage.BUSY)
    assert line.after(36_000.0) == []


def test_bytes_that_trickle_in_do_not_lengthen_a_stage():
    line = Utterance()
    slow = line.add("slow")
    for _ in range(9):
        line.limits.move(slow, Stage.SILENT)
        assert line.after(1.0) == []
    line.limits.move(slow, Stage.SILENT)
    assert line.after(1.0) == ["slow"]


def test_what_our_side_has_closed_and_nobody_reads_is_dropped():
    line = Utterance()
    line.add("call", stage=Stage.BUSY)
    line.closing.add("call")
    assert line.after(0.0) == []
    assert line.after(WITHIN_SEC[Stage.CLOSING]) == ["call"]


def test_a_client_that_takes_nothing_is_dropped_and_one_that_takes_again_is_not():
    line = Utterance()
    stuck, slow = line.add("stuck", stage=Stage.BUSY), line.add("slow", stage=Stage.BUSY)
    line.limits.stall(stuck)
    line.limits.stall(slow)
    assert line.after(STALLED_SEC - 1.0) == []
    line.limits.flow(slow)
    line.limits.stall(slow)
    assert line.after(1.0) == ["stuck"]


def test_a_client_that_takes_little_by_little_is_not_dropped_unless_it_is_too_little():
    line = Utterance()
    line.unsent = {"slow": 10 * STALLED_BYTES, "slower": 10 * STALLED_BYTES}
    for name in line.unsent:
        line.limits.stall(line.add(name, stage=Stage.BUSY))
    line.unsent["slow"] -= STALLED_BYTES
    line.unsent["slower"] -= STALLED_BYTES - 1
    assert line.after(STALLED_SEC) == ["slower"]
    assert line.after(STALLED_SEC) == ["slower", "slow"]


def test_the_oldest_silent_one_of_a_peer_makes_room_for_a_new_one_of_it():
    line = Utterance(of_one_peer=3)
    for number in range(5):
        line.add(f"a{number}", "a")
    line.add("b0", "b")
    line.add("busy", "a", Stage.BUSY)
    assert line.dropped == ["a0", "a1", "a2"]


def test_the_least_worth_makes_room_where_there_are_too_many_in_all():
    line = Utterance(most=4, of_one_peer=100)
    line.add("busy", "a", Stage.BUSY)
    line.add("kept", "b", Stage.KEPT)
    line.add("silent", "c")
    line.add("surplus", "d", Stage.SURPLUS)
    for number in range(4):
        line.add(f"new{number}", f"n{number}", Stage.BUSY)
    assert line.dropped == ["silent", "kept", "surplus", "new3"]
    assert len(line.limits) == 4


def test_a_connection_that_was_dropped_or_is_gone_does_not_come_back():
    line = Utterance()
    gone = line.add("gone")
    line.limits.remove(gone)
    line.limits.move(gone, Stage.BUSY)
    line.limits.stall(gone)
    line.limits.remove(gone)
    assert len(line.limits) == 0
    assert line.after(1_000.0) == []


@given(
    st.lists(
        st.tuples(st.sampled_from("abcd"), st.sampled_from([*Stage, None]), st.floats(0, 20)), max_size=60
    )
)
def test_whatever_happens_there_are_never_too_many(events: list[tuple[str, Stage | None, float]]):
    line = Utterance(most=10, of_one_peer=5)
    added: list[Connection] = []
    for number, (peer, stage, sec) in enumerate(events):
        line.after(sec)
        if stage is None and added:
            line.limits.remove(added[number % len(added)])
        else:
            added.append(line.add(str(number), peer, stage or Stage.SILENT))
        assert len(line.limits) <= 10
    assert len(set(line.dropped)) == len(line.dropped)
