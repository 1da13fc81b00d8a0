"""Sound in pieces of any length, spread over time: what was lost of it, and how late the rest was."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from personaplex_ui.audio.frames import FRAME_SEC, SAMPLE_RATE_HZ, Samples
from personaplex_ui.channels.moshi.paced_input import MOST_SEC, PacedInput
from tests.support.paced_rig import Heard, hear_all


def run(arrivals: list[tuple[float, float]]) -> Heard:
    """``arrivals``: at which time how many seconds of sound come, each piece going on where the last ended.
    Each sample holds its own number."""
    pieces: list[tuple[float, Samples]] = []
    said = 0
    for at, sec in arrivals:
        count = round(sec * SAMPLE_RATE_HZ)
        pieces.append((at, np.arange(said, said + count, dtype=np.float32)))
        said += count
    return hear_all(pieces)


def steady(piece_sec: float, sec: float = 20.0, start: float = 0.0) -> list[tuple[float, float]]:
    """Each piece comes when it is complete."""
    return [(start + (n + 1) * piece_sec, piece_sec) for n in range(round(sec / piece_sec))]


@pytest.mark.parametrize(
    "piece_sec", [0.02, 0.04, 0.06, 0.08, 0.12, 0.2, 0.3, 0.36, 0.48, 0.6, 0.96, 1.0, 1.02, 1.5, 2.0]
)
def test_pieces_up_to_two_seconds_lose_nothing_but_their_length(piece_sec: float) -> None:
    arrivals = steady(piece_sec)
    heard = run(arrivals)
    assert heard.lost == 0
    assert len(heard.frames) == int(round(sum(sec for _, sec in arrivals), 3) / FRAME_SEC + 1e-6)
    assert max(heard.lag_sec(0.0)) <= piece_sec + 2 * FRAME_SEC


@pytest.mark.parametrize("piece_sec", [0.02, 0.08, 0.3])
def test_short_pieces_pass_at_once(piece_sec: float) -> None:
    paced = PacedInput()
    for at, sec in steady(piece_sec):
        samples = np.ones(round(sec * SAMPLE_RATE_HZ), dtype=np.float32)
        assert paced.put(samples, at) is samples
        assert paced.wait_sec(at) is None


@pytest.mark.parametrize("piece_sec", [0.6, 1.0, 1.5, 2.0])
def test_pieces_that_come_a_little_early_or_late_lose_nothing(piece_sec: float) -> None:
    jitter = np.random.default_rng(5).uniform(0.0, 0.12, 40)
    arrivals = [
        (at + late, sec) for (at, sec), late in zip(steady(piece_sec, 40 * piece_sec), jitter, strict=True)
    ]
    heard = run(arrivals)
    assert heard.lost == 0
    assert max(heard.lag_sec(0.0)) <= piece_sec + 0.12 + 2 * FRAME_SEC


def test_a_batch_of_short_pieces_every_two_seconds_is_a_long_piece() -> None:
    heard = run([(2.0 * (n // 25 + 1), 0.08) for n in range(250)])
    assert heard.lost == 0


def test_long_and_short_pieces_in_turn_lose_nothing() -> None:
    arrivals = [piece for n in range(10) for piece in ((2.04 * n + 2.0, 2.0), (2.04 * n + 2.04, 0.04))]
    assert run(arrivals).lost == 0


def test_two_long_pieces_at_once_lose_nothing_at_first() -> None:
    """As a client that begins late: it is lag, but the sound is heard unless it goes on."""
    assert run([(2.0, 2.0), (2.0, 2.0)]).lost == 0


@pytest.mark.parametrize("piece_sec", [0.02, 0.08, 0.3, 0.6, 1.0, 2.0])
@pytest.mark.parametrize("stall_sec", [0.4, 1.0, 2.0, 4.0])
def test_a_stall_costs_its_sound_once_and_no_lag_for_good(piece_sec: float, stall_sec: float) -> None:
    """Nothing arrives for a while, then all at once, then in time again."""
    begin = 8.0
    arrivals = [
        (max(at, begin + stall_sec) if at > begin else at, sec) for at, sec in steady(piece_sec, sec=40.0)
    ]
    heard = run(arrivals)
    settled = begin + stall_sec + 4 * piece_sec + 8.0
    before = max(lag for at, start in heard.frames if at < begin for lag in [at - start - FRAME_SEC])
    assert max(heard.lag_sec(settled)) <= before + 0.25
    if stall_sec > piece_sec + 0.5:
        soon = begin + stall_sec + 4 * piece_sec + 2.0
        assert max(heard.lag_sec(soon)) <= before + max(0.25, 0.5 * piece_sec) + 0.1
    assert heard.lost * FRAME_SEC <= stall_sec + piece_sec + 1.0


@pytest.mark.parametrize("burst_sec", [0.8, 1.2, 3.0])
def test_what_was_recorded_while_waiting_costs_no_word_of_what_is_said_half_a_second_later(
    burst_sec: float,
) -> None:
    """A client that kept it sends all of it when the call begins, in short pieces at once."""
    live = [(at, sec) for at, sec in steady(0.04, start=burst_sec) if at <= burst_sec + 10.0]
    arrivals = [(burst_sec, 0.04)] * round(burst_sec / 0.04) + live
    heard = run(arrivals)
    said_at = [start for _, start in heard.frames]
    spoken = [start for start in said_at if start >= burst_sec + 0.55]
    assert np.diff(spoken) == pytest.approx(FRAME_SEC)
    assert spoken[0] <= burst_sec + 0.55 + FRAME_SEC
    assert max(heard.lag_sec(burst_sec + 0.55)) <= 2.5 * FRAME_SEC


@settings(max_examples=60)
@given(st.lists(st.tuples(st.floats(0.0, 3.0), st.floats(0.001, 6.0)), min_size=1, max_size=40))
def test_whatever_comes_it_holds_a_bounded_time_in_order(pieces: list[tuple[float, float]]) -> None:
    paced = PacedInput()
    now, came, told, last = 0.0, 0, 0, -1.0
    for wait, sec in pieces:
        now += wait
        count = round(sec * SAMPLE_RATE_HZ)
        piece = np.arange(came, came + count, dtype=np.float64)
        came += count
        for samples in (paced.put(piece, now), paced.take(now)):  # type: ignore[arg-type]
            if len(samples):
                assert samples[0] > last
                assert np.all(np.diff(samples) > 0)
                last = float(samples[-1])
                told += len(samples)
        held = came - told - paced.dropped_samples
        assert 0 <= held <= MOST_SEC * SAMPLE_RATE_HZ
    rest = paced.take(now + 1e9)
    while paced.wait_sec(now + 1e9) is not None:
        now += MOST_SEC
        rest = np.concatenate([rest, paced.take(now + 1e9)])
    assert told + len(rest) + paced.dropped_samples == came
