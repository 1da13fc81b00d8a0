"""The report of conversations whose truth is known: every time within 40 ms of it."""

import itertools
import json
import tracemalloc
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from personaplex_ui.audio.frames import SAMPLE_RATE_HZ
from personaplex_ui.audio.levels import Segment
from personaplex_ui.duplex.measure import NotWanted, Stereo, measure
from personaplex_ui.duplex.report import DuplexReport, total_sec
from tests.support.duplex_talks import Talk, random_talk, sound_of

WITHIN_SEC = 0.04
KINDS = (
    "caller",
    "assistant",
    "overlaps",
    "responses",
    "stops",
    "ignored",
    "take_overs",
    "talk_overs",
    "backchannels",
)
Random = np.random.Generator
Change = Callable[[Stereo, Talk, Random], Stereo]


def measured(sound: Stereo, block_samples: int = 5 * SAMPLE_RATE_HZ) -> DuplexReport:
    return measure(sound[at : at + block_samples] for at in range(0, len(sound), block_samples))


def times(segments: tuple[Segment, ...] | list[Segment]) -> list[tuple[float, float]]:
    return sorted((each.start_sec, each.end_sec) for each in segments)


def assert_true(report: DuplexReport, talk: Talk) -> None:
    """Each kind of event is found as often as it happened, and when; so is what is computed from them."""
    for kind in KINDS:
        told, true = times(getattr(report.turns, kind)), times(getattr(talk, kind))
        assert len(told) == len(true), (kind, told, true)
        np.testing.assert_allclose(told, true, atol=WITHIN_SEC, err_msg=kind)
    dead = times(report.turns.dead_air)
    for true in times(talk.dead_air):
        assert any(np.allclose(true, each, atol=WITHIN_SEC) for each in dead)
    record = report.record()
    for figure, segments in (("response_gaps", talk.responses), ("stop_latency", talk.stops)):
        lengths = [each.end_sec - each.start_sec for each in segments]
        for name, share in (("median_sec", 0.5), ("p90_sec", 0.9)):
            if lengths:
                assert record[figure][name] == pytest.approx(np.quantile(lengths, share), abs=WITHIN_SEC)
            else:
                assert record[figure][name] is None
    share = total_sec(talk.caller) / total_sec([*talk.caller, *talk.assistant])
    assert record["talk_share"]["caller"] == pytest.approx(share, abs=0.01)


@settings(max_examples=12, suppress_health_check=[HealthCheck.too_slow])
@given(
    seed=st.integers(0, 2**32 - 1),
    moves=st.integers(1, 4),
    caller_dbfs=st.floats(-34, -14),
    assistant_dbfs=st.floats(-34, -14),
    noise_dbfs=st.floats(-120, -55),
)
def test_any_conversation(
    seed: int, moves: int, caller_dbfs: float, assistant_dbfs: float, noise_dbfs: float
) -> None:
    talk = random_talk(np.random.default_rng(seed), moves)
    report = measured(sound_of(talk, seed, caller_dbfs, assistant_dbfs, noise_dbfs))
    assert_true(report, talk)
    assert (report.assistant_echo, report.caller_echo) == (None, None)
    assert report.duration_sec == pytest.approx(talk.now + 1.0, abs=0.001)


def hum(hz: float, dbfs: float) -> Change:
    def change(sound: Stereo, talk: Talk, random: Random) -> Stereo:
        time_sec = np.arange(len(sound)) / SAMPLE_RATE_HZ
        wave = sum(np.sin(2 * np.pi * hz * n * time_sec + n) / n for n in (1, 2, 3))
        wave *= 10 ** (dbfs / 20) / np.sqrt(np.mean(wave**2))
        return (sound + wave[:, np.newaxis]).astype(np.float32)

    return change


def clicks(sound: Stereo, talk: Talk, random: Random) -> Stereo:
    """Up to 10 ms, near full scale, every half second that nobody of the side speaks in."""
    sound = sound.copy()
    for side, spans in ((0, talk.caller), (1, talk.assistant)):
        for at_sec in np.arange(0.3, len(sound) / SAMPLE_RATE_HZ - 0.3, 0.5):
            if all(at_sec < each.start_sec - 0.3 or at_sec > each.end_sec + 0.3 for each in spans):
                length, first = int(random.integers(24, 240)), int(at_sec * SAMPLE_RATE_HZ)
                click = 0.7 * np.sign(random.standard_normal(length)) * np.hanning(length)
                sound[first : first + length, side] += click.astype(np.float32)
    return sound


def clipped(sound: Stereo, talk: Talk, random: Random) -> Stereo:
    return np.clip(30 * sound, -1, 1)


def as_it_is(sound: Stereo, talk: Talk, random: Random) -> Stereo:
    return sound


def fan(sound: Stereo, talk: Talk, random: Random) -> Stereo:
    """On the caller's side, switched on after 14 s: louder than what a quiet room takes for speech."""
    sound = sound.copy()
    on = random.standard_normal(max(0, len(sound) - 14 * SAMPLE_RATE_HZ), np.float32)
    sound[len(sound) - len(on) :, 0] += 10 ** (-42 / 20) * on
    return sound


@pytest.mark.parametrize(
    ("change", "noise_dbfs"),
    [
        pytest.param(hum(50, -30), -55, id="hum of 50 Hz"),
        pytest.param(hum(60, -22), -55, id="loud hum of 60 Hz"),
        pytest.param(clicks, -55, id="clicks"),
        pytest.param(clipped, -85, id="clipped"),
        pytest.param(fan, -60, id="a fan that starts"),
        pytest.param(as_it_is, -45, id="a noisy line"),
    ],
)
def test_what_else_is_in_a_recording(change: Change, noise_dbfs: float) -> None:
    random = np.random.default_rng(4)
    talk = random_talk(random, 4)
    sound = change(sound_of(talk, 4, noise_dbfs=noise_dbfs, after_sec=13.0), talk, random)
    assert_true(measured(sound), talk)


def test_the_caller_may_be_far_more_quiet() -> None:
    talk = random_talk(np.random.default_rng(8), 4)
    assert_true(measured(sound_of(talk, 8, caller_dbfs=-38, assistant_dbfs=-12)), talk)


def delayed(sound: Stereo, source: int, lag_sec: float, level_db: float) -> Stereo:
    late = round(lag_sec * SAMPLE_RATE_HZ)
    heard = sound.copy()
    heard[late:, 1 - source] += np.float32(10 ** (level_db / 20)) * sound[:-late, source]
    return heard


@pytest.mark.parametrize(("lag_sec", "level_db"), [(0.18, -20.0), (0.02, -25.0), (0.45, -18.0)])
def test_an_echo_is_told_and_is_no_speech(lag_sec: float, level_db: float) -> None:
    talk = random_talk(np.random.default_rng(5), 4)
    sound = sound_of(talk, 5)
    report = measured(delayed(sound, 1, lag_sec, level_db))
    assert_true(report, talk)
    assert report.caller_echo is None
    assert report.assistant_echo is not None
    assert report.assistant_echo.lag_sec == pytest.approx(lag_sec, abs=0.002)
    assert report.assistant_echo.level_db == pytest.approx(level_db, abs=2.0)
    other = measured(delayed(sound, 0, lag_sec, level_db))
    assert_true(other, talk)
    assert other.assistant_echo is None
    assert other.caller_echo is not None
    told = other.record()["self_echo"]["caller_in_assistant"]
    assert told["lag_ms"] == pytest.approx(1000 * lag_sec, abs=2)
    assert told["level_db"] == pytest.approx(level_db, abs=2.0)


def test_an_echo_in_a_room() -> None:
    random = np.random.default_rng(2)
    talk = random_talk(random, 4)
    sound = sound_of(talk, 2)
    room = 0.7 * random.standard_normal(3_600) * np.exp(-np.arange(3_600) / 700)
    room *= 0.7 / np.sqrt(np.sum(room**2))
    room[0] += 0.7
    wet = sound.copy()
    wet[:, 1] = np.convolve(sound[:, 1], room)[: len(sound)]
    heard = delayed(wet, 1, 0.12, -18.0)
    heard[:, 1] = sound[:, 1]
    report = measured(heard)
    assert_true(report, talk)
    assert report.assistant_echo is not None
    assert report.assistant_echo.lag_sec == pytest.approx(0.12, abs=0.003)


def test_the_same_sound_on_both_sides_stays_speech() -> None:
    """A client that sends back what it plays, at once and as loud: that is told, not hidden."""
    talk = Talk()
    talk.ask(2.0)
    talk.ask(3.0)
    sound = delayed(sound_of(talk), 0, 0.2, -1.0)
    report = measured(sound)
    assert report.caller_echo is not None
    assert report.caller_echo.level_db == pytest.approx(-1.0, abs=0.5)
    assert len(report.turns.assistant) == 2


def test_silence() -> None:
    for level in (0.0, 10 ** (-60 / 20)):
        noise = np.random.default_rng(1).standard_normal((10 * SAMPLE_RATE_HZ, 2), np.float32)
        report = measured((level * noise).astype(np.float32))
        assert times(report.turns.dead_air) == [(0.0, 10.0)]
        assert (report.turns.caller, report.turns.assistant, report.assistant_echo) == ((), (), None)
        told = report.record()
        assert told["dead_air"] == {"count": 1, "total_sec": 10.0, "longest_sec": 10.0, "at": [[0.0, 10.0]]}
        assert told["talk_share"] == {
            "caller": None,
            "assistant": None,
            "caller_sec": 0.0,
            "assistant_sec": 0.0,
        }


def test_one_side_only() -> None:
    talk = Talk()
    for _ in range(3):
        talk.ask(2.0, 0.8)
    sound = sound_of(talk)
    report = measured(sound)
    assert_true(report, talk)
    assert report.record()["talk_share"]["caller"] == 1.0
    turned = measured(np.ascontiguousarray(sound[:, ::-1]))
    assert times(turned.turns.assistant) == times(report.turns.caller)
    assert turned.turns.responses == ()
    assert turned.record()["talk_share"]["caller"] == 0.0


@pytest.mark.parametrize("kind", [hum(50, -20), hum(100, -12), hum(440, -20)])
def test_a_hum_alone_is_nobody(kind: Change) -> None:
    quiet = 0.001 * np.random.default_rng(1).standard_normal((20 * SAMPLE_RATE_HZ, 2), np.float32)
    report = measured(kind(quiet.astype(np.float32), Talk(), np.random.default_rng(1)))
    assert (report.turns.caller, report.turns.assistant) == ((), ())


@pytest.mark.parametrize("samples", [0, 1, 239, 240, 2_000, 24_000])
def test_very_short_recordings(samples: int) -> None:
    random = np.random.default_rng(samples)
    report = measured(0.1 * random.standard_normal((samples, 2), np.float32))
    json.dumps(report.record(), allow_nan=False)
    assert report.duration_sec == pytest.approx(samples / SAMPLE_RATE_HZ)


def test_a_short_recording_of_a_word() -> None:
    talk = Talk()
    talk.ask(0.5, 0.2)
    assert_true(measured(sound_of(talk, after_sec=0.3)), talk)


def test_numbers_that_are_none() -> None:
    talk = random_talk(np.random.default_rng(6), 2)
    sound = sound_of(talk, 6)
    sound[5 * SAMPLE_RATE_HZ] = np.nan
    sound[7 * SAMPLE_RATE_HZ] = np.inf
    assert_true(measured(sound), talk)


def test_blocks_of_any_length_give_the_same() -> None:
    sound = delayed(sound_of(random_talk(np.random.default_rng(9), 3), 9), 1, 0.1, -20.0)
    whole = measured(sound, len(sound)).record()
    for block_samples in (1_000, 33_333, 48_000):
        assert measured(sound, block_samples).record() == whole


def test_a_long_recording_takes_little_memory() -> None:
    """Blocks are made as they are asked for; of what is kept only the levels grow, by 2.9 MB an hour."""
    sound = sound_of(random_talk(np.random.default_rng(1), 2))
    peaks: list[int] = []
    for times_over in (2, 20):
        tracemalloc.start()
        report = measure(itertools.repeat(sound, times_over))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert report.duration_sec == pytest.approx(times_over * len(sound) / SAMPLE_RATE_HZ)
    assert peaks[1] - peaks[0] < 30_000_000


def test_a_report_that_nobody_wants_any_more() -> None:
    seen: list[int] = []

    def blocks() -> Iterator[Stereo]:
        for number in range(5):
            seen.append(number)
            yield np.zeros((1_000, 2), dtype=np.float32)

    with pytest.raises(NotWanted):
        measure(blocks(), is_cancelled=lambda: len(seen) == 3)
    assert seen == [0, 1, 2]
