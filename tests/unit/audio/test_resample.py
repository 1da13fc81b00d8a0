import numpy as np
import pytest

from personaplex_ui.audio.frames import Samples
from personaplex_ui.audio.resample import Resampler
from tests.support.sounds import tone

RATES = [(8_000, 24_000), (24_000, 8_000), (48_000, 24_000), (24_000, 48_000), (44_100, 24_000)]


def resampled(from_hz: int, to_hz: int, *chunks: Samples) -> Samples:
    resampler = Resampler(from_hz, to_hz)
    return np.concatenate([*(resampler.push(chunk) for chunk in chunks), resampler.flush()])


@pytest.mark.parametrize(("from_hz", "to_hz"), RATES)
def test_silence_stays_silent(from_hz: int, to_hz: int) -> None:
    sound = resampled(from_hz, to_hz, *[np.zeros(from_hz // 50, dtype=np.float32)] * 10)
    assert sound.dtype == np.float32
    assert len(sound) == round(from_hz // 50 * 10 * to_hz / from_hz)
    assert not sound.any()


@pytest.mark.parametrize(("from_hz", "to_hz"), RATES)
def test_chunked_equals_whole(from_hz: int, to_hz: int) -> None:
    sound = np.random.default_rng(1).uniform(-1, 1, from_hz).astype(np.float32)
    cuts = np.unique(np.random.default_rng(2).integers(0, len(sound), 300))
    chunked = resampled(from_hz, to_hz, *np.split(sound, cuts))
    assert np.array_equal(chunked, resampled(from_hz, to_hz, sound))


@pytest.mark.parametrize(("from_hz", "to_hz"), RATES)
def test_a_tone_keeps_its_level_place_and_length(from_hz: int, to_hz: int) -> None:
    sound = resampled(from_hz, to_hz, tone(2.0, rate_hz=from_hz))
    wanted = tone(2.0, rate_hz=to_hz)
    assert len(sound) == len(wanted)
    inner = slice(to_hz // 20, -to_hz // 20)  # the edges ring
    error = sound[inner] - wanted[inner]
    assert 10 * np.log10(np.mean(wanted[inner] ** 2) / np.mean(error**2)) > 80


def test_what_the_lower_rate_cannot_hold_is_removed_not_folded() -> None:
    sound = resampled(24_000, 8_000, tone(2.0, 6_000))
    assert np.abs(sound[400:-400]).max() < 0.001


@pytest.mark.parametrize(("from_hz", "to_hz", "kept_back_ms"), [(8_000, 24_000, 2.1), (24_000, 8_000, 2.1)])
def test_little_is_kept_back(from_hz: int, to_hz: int, kept_back_ms: float) -> None:
    resampler = Resampler(from_hz, to_hz)
    given = sum(len(resampler.push(tone(0.02, rate_hz=from_hz))) for _ in range(50))
    assert to_hz - given <= kept_back_ms * to_hz / 1000
    assert given + len(resampler.flush()) == to_hz


def test_equal_rates_change_nothing() -> None:
    resampler = Resampler(24_000, 24_000)
    sound = tone(2.0)
    assert np.array_equal(resampler.push(sound), sound)
    assert len(resampler.flush()) == 0


@pytest.mark.parametrize(("from_hz", "to_hz"), [(8_000, 24_000), (24_000, 24_000)])
def test_empty_chunks_and_a_second_end_give_nothing(from_hz: int, to_hz: int) -> None:
    resampler = Resampler(from_hz, to_hz)
    nothing = np.zeros(0, dtype=np.float32)
    assert len(resampler.push(nothing)) == 0
    assert len(resampler.flush()) == 0
    assert len(resampler.flush()) == 0
    with pytest.raises(AssertionError):
        resampler.push(nothing)


def test_other_layouts_in_memory_are_understood() -> None:
    sound = tone(2.0, rate_hz=16_000)
    strided = sound[::2]
    assert not strided.flags.c_contiguous
    assert np.array_equal(resampled(8_000, 24_000, strided), resampled(8_000, 24_000, strided.copy()))


def test_two_streams_know_nothing_of_each_other() -> None:
    one, other = Resampler(8_000, 24_000), Resampler(8_000, 24_000)
    parts: list[Samples] = []
    for chunk in np.split(tone(2.0, rate_hz=8_000), 100):
        parts.append(one.push(chunk))
        other.push(-chunk)
    assert np.array_equal(
        np.concatenate([*parts, one.flush()]), resampled(8_000, 24_000, tone(2.0, rate_hz=8_000))
    )
