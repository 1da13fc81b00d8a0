"""The telephone's play-out told made-up times, marks and levels."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from personaplex_ui.audio.frames import FRAME_SEC, Frame, silent_frame
from personaplex_ui.channels.twilio.media_stream.playout import (
    CHUNK_SEC,
    LATE_SEC,
    MARK_WITHIN_SEC,
    Cadence,
    PhonePlayout,
)

QUIET, LOUD = -60.0, -20.0


def numbers(frames: list[Frame]) -> list[int]:
    return [round(float(frame[0])) for frame in frames]


def numbered(number: int) -> Frame:
    frame = silent_frame()
    frame[0] = number
    return frame


class Sent:
    """A play-out that was sent frames 1, 2, 3, ... at real time."""

    def __init__(self) -> None:
        self.playout = PhonePlayout()
        self.now = 100.0
        self.count = 0

    def send(self, frames: int = 1) -> list[int]:
        """Returns the numbers of the frames that counted as heard thereby."""
        heard: list[Frame] = []
        for _ in range(frames):
            self.now += FRAME_SEC
            self.count += 1
            assert self.playout.sent(numbered(self.count), self.now) == str(self.count)
            heard += self.playout.heard(self.now)
        return numbers(heard)

    def mark(self, name: object) -> list[int]:
        return numbers(self.playout.marked(str(name)))

    def clears(self, *levels_dbfs: float) -> bool:
        return [self.playout.must_clear(level) for level in levels_dbfs][-1]


@pytest.fixture
def sent() -> Sent:
    """Its first frame's mark is back."""
    sent = Sent()
    sent.send()
    sent.mark(1)
    return sent


def test_what_a_peer_without_marks_is_sent_counts_as_heard_at_once() -> None:
    sent = Sent()
    assert sent.send(50) == list(range(1, 51))
    assert sent.playout.unplayed_sec == 0.0
    assert not sent.clears(LOUD, LOUD, LOUD)


def test_once_a_mark_is_back_frames_are_heard_when_theirs_are(sent: Sent) -> None:
    assert sent.send(3) == []
    assert sent.playout.unplayed_sec == pytest.approx(3 * FRAME_SEC)
    assert sent.mark(2) == [2]
    assert sent.mark(4) == [3, 4], "what lies before a mark was heard too"
    assert sent.playout.unplayed_sec == 0.0


@pytest.mark.parametrize("name", ["0", "-1", "99", "", "x", "²", "1" * 300, "1e1", " 2"])
def test_marks_that_were_not_sent_mean_nothing(sent: Sent, name: str) -> None:
    sent.send(2)
    assert sent.mark(name) == []
    assert sent.mark(2) == [2]
    assert sent.mark(2) == [], "a second time"


def test_when_marks_stop_coming_frames_count_as_heard_after_a_while(sent: Sent) -> None:
    frames = int(MARK_WITHIN_SEC / FRAME_SEC)
    assert sent.send(frames) == []
    assert sent.send(2) == list(range(2, sent.count + 1))
    assert sent.send() == [sent.count]
    assert sent.mark(sent.count) == []
    assert sent.send() == [], "marks come again"


def test_it_clears_when_the_caller_speaks_over_sound_sent_ahead(sent: Sent) -> None:
    sent.send(5)
    assert not sent.clears(LOUD, LOUD, LOUD), "0.4 s is what the way takes"
    sent.send()
    assert not sent.clears(QUIET)
    assert not sent.clears(LOUD), "one loud frame is a cough"
    assert not sent.clears(QUIET, LOUD)
    assert sent.clears(LOUD)


def test_it_clears_when_too_much_is_unplayed_whoever_speaks(sent: Sent) -> None:
    sent.send(18)
    assert not sent.clears(QUIET)
    sent.send()
    assert sent.clears(QUIET)


def test_what_was_cleared_is_not_heard_though_its_marks_come_back(sent: Sent) -> None:
    sent.send(10)
    sent.playout.cleared()
    assert sent.playout.unplayed_sec == 0.0
    assert [number for name in range(2, 12) for number in sent.mark(name)] == []
    assert sent.send(2) == []
    assert sent.mark(13) == [12, 13]


def test_it_does_not_clear_again_until_a_mark_is_back(sent: Sent) -> None:
    sent.send(20)
    sent.playout.cleared()
    for _ in range(100):
        sent.send()
        assert not sent.clears(LOUD, LOUD)
    sent.mark(2)
    sent.send(6)
    assert sent.clears(LOUD, LOUD)


@given(st.lists(st.one_of(st.integers(1, 60), st.none(), st.just(0)), max_size=120))
def test_no_frame_is_heard_twice_or_out_of_order_and_little_is_kept(steps: list[int | None]) -> None:
    """A step: a mark comes back, None for a frame sent, 0 for a clear if one is due."""
    sent, heard = Sent(), list[int]()
    for step in steps:
        if step is None:
            heard += sent.send()
        elif step:
            heard += sent.mark(step)
        elif sent.clears(LOUD, LOUD):
            sent.playout.cleared()
        assert sent.playout.unplayed_sec <= MARK_WITHIN_SEC + 2 * FRAME_SEC
    assert heard == sorted(set(heard))


def sending_times(arrivals: list[float], quiet: bool = False) -> list[float]:
    """When each piece goes out, of frames (four pieces) that are there at ``arrivals``."""
    cadence, now, times = Cadence(), 0.0, list[float]()
    for arrival in arrivals:
        now = max(now, arrival)
        for _ in range(4 - cadence.spare_chunks(now, now - arrival) if quiet else 4):
            now += cadence.wait_sec(now)
            cadence.sent(now)
            times.append(now)
    return times


def test_the_first_piece_goes_out_at_once_and_the_others_at_real_time() -> None:
    assert sending_times([5.0]) == pytest.approx([5.0, 5.02, 5.04, 5.06])
    times = sending_times([5.0 + number * FRAME_SEC for number in range(50)])
    assert times[-1] - times[0] == pytest.approx(199 * CHUNK_SEC)


def test_a_little_lateness_is_caught_up_so_that_no_lag_adds_up() -> None:
    cadence, now = Cadence(), 5.0
    for _ in range(1000):
        now += cadence.wait_sec(now) + 0.003  # a timer that is always late
        cadence.sent(now)
    assert now - 5.0 == pytest.approx(999 * CHUNK_SEC, abs=0.01)


def test_a_frame_that_comes_late_once_moves_nothing_for_good() -> None:
    late = 7
    arrivals = [number * FRAME_SEC + (0.09 if number == late else 0.0) for number in range(30)]
    times = sending_times(arrivals)
    assert times[-1] - times[0] == pytest.approx((len(times) - 1) * CHUNK_SEC, abs=1e-9)


@given(st.lists(st.floats(0.0, 0.04), min_size=2, max_size=60))
def test_frames_that_come_up_to_40_ms_late_make_no_gap_over_60_ms(jitters: list[float]) -> None:
    times = sending_times([number * FRAME_SEC + jitter for number, jitter in enumerate(jitters)])
    gaps = [after - before for before, after in itertools.pairwise(times)]
    assert max(gaps) <= 0.06 + 1e-9
    ahead = [number * CHUNK_SEC - (at - times[0]) for number, at in enumerate(times)]
    assert max(ahead) <= LATE_SEC + 1e-9


def test_a_stall_moves_loud_sound_for_good_and_a_pause_wins_the_time_back() -> None:
    stall_sec = 0.13
    arrivals = [number * FRAME_SEC + (stall_sec if number == 7 else 0.0) for number in range(60)]
    assert sending_times(arrivals)[-4] - arrivals[-1] == pytest.approx(stall_sec)
    assert sending_times(arrivals, quiet=True)[-4] - arrivals[-1] < 0.04
