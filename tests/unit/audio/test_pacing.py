"""The pacer told made-up times, and a simulated wire that it feeds as the browser's transport does."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from personaplex_ui.audio.frames import FRAME_SEC
from personaplex_ui.audio.pacing import DRY_AFTER_SEC, MAX_AHEAD_SEC, Pacer, sparable_sec

SILENCE_SEC = 0.02


class Wire:
    """Sends the frames that ``arrivals`` tells (seconds, in order), or silence, by the pacer's word.

    ``lags_sec``: for each frame, how much later it is heard than it arrived.
    """

    def __init__(self, arrivals: list[float], until_sec: float, start_sec: float = 0.0) -> None:
        self.now = start_sec
        self.silences: list[float] = []
        self.lags_sec: list[float] = []
        self.most_ahead_sec = 0.0
        self._sound_until = 0.0
        pacer = Pacer()
        frames = list(arrivals)
        while self.now < until_sec:
            self.now += pacer.wait_sec(self.now)
            dry_at = self.now + pacer.dry_in_sec(self.now)
            if frames and frames[0] <= dry_at:
                arrived = frames.pop(0)
                self.now = max(self.now, arrived)
                self._send(pacer, FRAME_SEC)
                self.lags_sec.append(self._sound_until - FRAME_SEC - arrived)
            else:
                self.now = dry_at
                self.silences.append(self.now)
                self._send(pacer, SILENCE_SEC, silence=True)

    def _send(self, pacer: Pacer, sec: float, silence: bool = False) -> None:
        self.most_ahead_sec = max(self.most_ahead_sec, self._sound_until - self.now)
        self._sound_until = max(self._sound_until, self.now) + sec
        pacer.sent(self.now, sec, silence)


def steady(frames: int, start_sec: float = 0.0) -> list[float]:
    return [start_sec + number * FRAME_SEC for number in range(frames)]


def test_the_first_frame_goes_out_at_once():
    pacer = Pacer()
    assert (pacer.wait_sec(5.0), pacer.dry_in_sec(5.0)) == (0.0, 0.0)


def test_a_frame_is_held_back_until_little_lies_before_it():
    pacer = Pacer()
    pacer.sent(10.0, FRAME_SEC)
    assert pacer.wait_sec(10.0) == pytest.approx(FRAME_SEC - MAX_AHEAD_SEC)
    assert pacer.wait_sec(10.0 + FRAME_SEC - MAX_AHEAD_SEC) == pytest.approx(0.0)
    assert pacer.wait_sec(11.0) == 0.0


def test_silence_comes_only_after_some_patience_and_then_without_gaps():
    pacer = Pacer()
    pacer.sent(10.0, FRAME_SEC)
    assert pacer.dry_in_sec(10.0) == pytest.approx(FRAME_SEC + DRY_AFTER_SEC)
    pacer.sent(10.12, SILENCE_SEC, silence=True)
    assert pacer.dry_in_sec(10.12) == pytest.approx(SILENCE_SEC)


def test_frames_that_come_in_time_are_heard_without_silence():
    wire = Wire(steady(100), until_sec=7.9)
    assert wire.silences == []
    assert max(wire.lags_sec) == pytest.approx(0.0)


@given(jitters=st.lists(st.floats(0.0, DRY_AFTER_SEC - 0.001), min_size=50, max_size=50))
def test_jitter_puts_in_no_silence_and_adds_no_lag_beyond_itself(jitters: list[float]):
    arrivals = [at + jitter for at, jitter in zip(steady(50), jitters, strict=True)]
    wire = Wire(arrivals, until_sec=3.9, start_sec=arrivals[0])
    assert wire.silences == []
    assert max(wire.lags_sec) <= max(jitters) + 1e-6


@given(
    gaps_sec=st.lists(st.floats(0.0, 0.7), min_size=1, max_size=60),
    start_sec=st.floats(0.0, 1e6),
)
def test_it_is_never_further_ahead_than_allowed(gaps_sec: list[float], start_sec: float):
    arrivals = [start_sec]
    for gap in gaps_sec:
        arrivals.append(arrivals[-1] + gap)
    wire = Wire(arrivals, arrivals[-1] + 10.0, start_sec)
    assert wire.most_ahead_sec <= MAX_AHEAD_SEC + 1e-6
    assert len(wire.lags_sec) == len(arrivals)


def test_a_wire_without_frames_carries_silence_without_gaps():
    wire = Wire([], until_sec=1.0)
    assert len(wire.silences) == pytest.approx(1.0 / SILENCE_SEC, abs=1)
    assert wire.most_ahead_sec == pytest.approx(0.0)


def test_while_the_engine_stalls_there_is_silence_and_afterwards_the_lag_is_what_it_was():
    """The answers of the stall were dropped upstream, as the queues of a call do."""
    wire = Wire(steady(25) + steady(25, start_sec=3.03), until_sec=5.0)
    assert len(wire.silences) == pytest.approx(1.0 / SILENCE_SEC, abs=3)
    assert max(wire.lags_sec[:25]) == pytest.approx(0.0)
    assert max(wire.lags_sec[25:]) <= SILENCE_SEC


def test_a_sender_that_stalls_itself_is_not_ahead_for_it_afterwards():
    pacer = Pacer()
    pacer.sent(10.0, FRAME_SEC)
    pacer.sent(10.5, FRAME_SEC)
    assert pacer.wait_sec(10.5) == pytest.approx(FRAME_SEC - MAX_AHEAD_SEC)


@pytest.mark.parametrize(
    ("lag_sec", "spared_sec"),
    [(-1.0, 0.0), (0.039, 0.0), (0.041, 0.04), (0.059, 0.04), (2.0, 0.06)],
)
def test_only_whole_packets_of_a_lag_are_left_out_and_never_a_whole_frame(lag_sec: float, spared_sec: float):
    assert sparable_sec(lag_sec) == pytest.approx(spared_sec)


@pytest.mark.parametrize(("quiet", "lag_sec"), [(False, 0.055), (True, 0.015)])
def test_a_stall_is_won_back_in_a_pause_and_not_while_somebody_speaks(quiet: bool, lag_sec: float):
    pacer, now = Pacer(), 0.0
    for number in range(20):
        now = 5.0 + number * FRAME_SEC + (0.055 if number == 7 else 0.0)
        pacer.sent(now, FRAME_SEC - (pacer.spare_sec(now, 0.0) if quiet else 0.0))
    assert pacer.dry_in_sec(now) - DRY_AFTER_SEC - FRAME_SEC == pytest.approx(lag_sec)


def test_a_transport_that_catches_up_is_late_after_a_stall_by_what_it_could_not_catch_up_alone():
    pacer = Pacer(catches_up_sec=0.04)
    pacer.sent(10.0, FRAME_SEC)
    pacer.sent(10.0 + FRAME_SEC + 0.03, FRAME_SEC)
    assert pacer.dry_in_sec(10.0) - DRY_AFTER_SEC == pytest.approx(2 * FRAME_SEC)
    pacer.sent(10.0 + 2 * FRAME_SEC + 0.055, FRAME_SEC)
    assert pacer.dry_in_sec(10.0) - DRY_AFTER_SEC == pytest.approx(3 * FRAME_SEC + 0.015)
