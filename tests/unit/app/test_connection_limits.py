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


class Peers:
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


@pytest.fixture
def peers() -> Peers:
    return Peers()


@pytest.mark.parametrize("stage", WITHIN_SEC)
def test_each_stage_has_an_end(peers: Peers, stage: Stage):
    peers.add("early", stage=stage)
    peers.clock.now += 1.0
    peers.add("late", stage=stage)
    assert peers.after(WITHIN_SEC[stage] - 1.1) == []
    assert peers.after(0.1) == ["early"]
    assert peers.after(1.0) == ["early", "late"]
    assert len(peers.limits) == 0


def test_the_app_may_take_its_time_until_our_side_has_closed(peers: Peers):
    peers.add("call", stage=Stage.BUSY)
    assert peers.after(36_000.0) == []
    peers.closing.add("call")
    assert peers.after(0.0) == []
    assert peers.after(WITHIN_SEC[Stage.CLOSING]) == ["call"]


def test_bytes_that_trickle_in_do_not_lengthen_a_stage(peers: Peers):
    slow = peers.add("slow")
    for _ in range(9):
        peers.limits.move(slow, Stage.SILENT)
        assert peers.after(1.0) == []
    peers.limits.move(slow, Stage.SILENT)
    assert peers.after(1.0) == ["slow"]


def test_a_client_that_takes_nothing_is_dropped_and_one_that_takes_again_is_not(peers: Peers):
    stuck, slow = peers.add("stuck", stage=Stage.BUSY), peers.add("slow", stage=Stage.BUSY)
    peers.limits.stall(stuck)
    peers.limits.stall(slow)
    assert peers.after(STALLED_SEC - 1.0) == []
    peers.limits.flow(slow)
    peers.limits.stall(slow)
    assert peers.after(1.0) == ["stuck"]


def test_a_client_that_takes_little_by_little_is_not_dropped_unless_it_is_too_little(peers: Peers):
    peers.unsent = {"slow": 10 * STALLED_BYTES, "slower": 10 * STALLED_BYTES}
    for name in peers.unsent:
        peers.limits.stall(peers.add(name, stage=Stage.BUSY))
    peers.unsent["slow"] -= STALLED_BYTES
    peers.unsent["slower"] -= STALLED_BYTES - 1
    assert peers.after(STALLED_SEC) == ["slower"]
    assert peers.after(STALLED_SEC) == ["slower", "slow"]


def test_the_oldest_silent_one_of_a_peer_makes_room_for_a_new_one_of_it():
    peers = Peers(of_one_peer=3)
    for number in range(5):
        peers.add(f"a{number}", "a")
    peers.add("b0", "b")
    peers.add("busy", "a", Stage.BUSY)
    assert peers.dropped == ["a0", "a1", "a2"]


def test_the_least_worth_makes_room_where_there_are_too_many_in_all():
    peers = Peers(most=4, of_one_peer=100)
    peers.add("busy", "a", Stage.BUSY)
    peers.add("kept", "b", Stage.KEPT)
    peers.add("silent", "c")
    peers.add("surplus", "d", Stage.SURPLUS)
    for number in range(4):
        peers.add(f"new{number}", f"n{number}", Stage.BUSY)
    assert peers.dropped == ["silent", "kept", "surplus", "new3"]
    assert len(peers.limits) == 4


def test_a_connection_that_was_dropped_or_is_gone_does_not_come_back(peers: Peers):
    gone = peers.add("gone")
    peers.limits.remove(gone)
    peers.limits.move(gone, Stage.BUSY)
    peers.limits.stall(gone)
    peers.limits.remove(gone)
    assert len(peers.limits) == 0
    assert peers.after(1_000.0) == []


@given(
    st.lists(
        st.tuples(st.sampled_from("abcd"), st.sampled_from([*Stage, None]), st.floats(0, 20)), max_size=60
    )
)
def test_whatever_happens_there_are_never_too_many(events: list[tuple[str, Stage | None, float]]):
    peers = Peers(most=10, of_one_peer=5)
    added: list[Connection] = []
    for number, (peer, stage, sec) in enumerate(events):
        peers.after(sec)
        if stage is None and added:
            peers.limits.remove(added[number % len(added)])
        else:
            added.append(peers.add(str(number), peer, stage or Stage.SILENT))
        assert len(peers.limits) <= 10
    assert len(set(peers.dropped)) == len(peers.dropped)
