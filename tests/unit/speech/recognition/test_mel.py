"""The spectrogram: where a tone lies in it, and that it is OpenAI's."""

import numpy as np
import pytest

from personaplex_ui.speech.recognition.mel import WHISPER_RATE_HZ, Sound16k, log_mel


def tone_at(hz: float, seconds: float = 1.0) -> Sound16k:
    time_sec = np.arange(int(seconds * WHISPER_RATE_HZ)) / WHISPER_RATE_HZ
    return (0.5 * np.sin(2 * np.pi * hz * time_sec)).astype(np.float32)


def test_it_has_a_row_for_each_band_and_a_column_for_each_10_ms() -> None:
    spectrogram = log_mel(tone_at(440), bands=80, frames=1_100)
    assert spectrogram.shape == (80, 1_100)
    assert spectrogram.dtype == np.float32
    assert log_mel(tone_at(440), bands=128, frames=3_000).shape == (128, 3_000)


@pytest.mark.parametrize(("hz", "band"), [(440, 11), (1_000, 26), (4_000, 62)])
def test_a_tone_is_loudest_in_its_band(hz: float, band: int) -> None:
    """The centres of 80 bands up to 8 kHz on Slaney's scale: 37 Hz apart below 1 kHz."""
    spectrogram = log_mel(tone_at(hz), bands=80, frames=200)
    assert abs(int(np.argmax(spectrogram[:, 50])) - band) <= 1


def test_what_is_padded_is_8_bels_below_the_loudest() -> None:
    spectrogram = log_mel(tone_at(440), bands=80, frames=200)
    assert spectrogram[:, 150].max() == pytest.approx(spectrogram.max() - 8 / 4)


def test_silence_has_the_lowest_value_everywhere() -> None:
    """log10(1e-10) = -10, scaled by OpenAI to (-10 + 4) / 4."""
    assert log_mel(np.zeros(160, dtype=np.float32), 80, 100) == pytest.approx(-1.5)


def test_a_longer_window_only_adds_silence() -> None:
    short = log_mel(tone_at(440), bands=80, frames=200)
    longer = log_mel(tone_at(440), bands=80, frames=300)[:, :199]
    assert longer == pytest.approx(short[:, :199], abs=1e-5)  # sums depend on the number of threads
