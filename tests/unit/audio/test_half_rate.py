"""Half the rate: nothing is lost that 24 kHz can hold, nothing is heard that it cannot."""

import numpy as np
import numpy.typing as npt
import pytest

from personaplex_ui.audio.network.half_rate import HalfRate

FULL_SCALE = 32_768


def tone(frequency_hz: float, sec: float = 1.0) -> npt.NDArray[np.int16]:
    time_sec = np.arange(int(sec * 48_000)) / 48_000
    return (16_384 * np.sin(2 * np.pi * frequency_hz * time_sec)).astype(np.int16)


def level_db(frequency_hz: float) -> float:
    """Of a tone after it, relative to before."""
    heard = HalfRate().push(tone(frequency_hz))[100:]
    return float(20 * np.log10(np.sqrt(2 * np.mean(heard**2)) / 0.5 + 1e-9))


@pytest.mark.parametrize("frequency_hz", [50, 440, 4_000, 8_000, 10_500])
def test_what_is_below_passes(frequency_hz: float):
    assert abs(level_db(frequency_hz)) < 0.05


@pytest.mark.parametrize("frequency_hz", [13_500, 14_500, 16_000, 20_000, 23_900])
def test_what_is_above_would_be_another_sound(frequency_hz: float):
    assert level_db(frequency_hz) < -58


@pytest.mark.parametrize("chunk", [2, 120, 960, 2_880])
def test_chunks_are_as_good_as_the_whole(chunk: int):
    sound, stream = tone(1_000, 0.2), HalfRate()
    parts = [stream.push(sound[start : start + chunk]) for start in range(0, len(sound), chunk)]
    assert [len(part) for part in parts[:-1]] == [chunk // 2] * (len(parts) - 1)
    assert np.allclose(np.concatenate(parts), HalfRate().push(sound), atol=1e-6)


def test_it_comes_as_much_later_as_half_the_filter_is_long():
    click = np.zeros(960, dtype=np.int16)
    click[480] = FULL_SCALE - 1
    assert np.argmax(np.abs(HalfRate().push(click))) in (255, 256), "31 samples later, between two"
    flat = HalfRate().push(np.full(960, 16_384, dtype=np.int16))
    assert np.allclose(flat[64:], 0.5, atol=1e-4)
