"""One level for all speech, and little silence around it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from personaplex_ui.audio.frames import SAMPLE_RATE_HZ, Samples
from personaplex_ui.audio.levels import rms_dbfs
from personaplex_ui.speech.synthesis.levelling import LOUDEST_PEAK, levelled


def tone(seconds: float, peak: float) -> Samples:
    times = np.arange(round(seconds * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    return (peak * np.sin(2 * np.pi * 200 * times)).astype(np.float32)


def rest(seconds: float) -> Samples:
    return np.zeros(round(seconds * SAMPLE_RATE_HZ), dtype=np.float32)


@pytest.mark.parametrize("peak", [0.006, 0.05, 0.5, 0.99])
def test_speech_gets_one_level_whatever_it_had(peak: float) -> None:
    assert rms_dbfs(levelled(tone(1.0, peak))) == pytest.approx(-20.0, abs=0.5)


def test_pauses_do_not_count() -> None:
    speech = np.concatenate([tone(0.5, 0.3), rest(0.5), tone(0.5, 0.3)])
    assert rms_dbfs(levelled(speech)[: SAMPLE_RATE_HZ // 2]) == pytest.approx(-20.0, abs=0.5)


def test_silence_around_is_cut_and_within_is_kept() -> None:
    said = levelled(np.concatenate([rest(0.7), tone(0.5, 0.3), rest(0.4), tone(0.5, 0.3), rest(0.9)]))
    assert len(said) / SAMPLE_RATE_HZ == pytest.approx(0.02 + 1.4 + 0.06, abs=0.011)


def test_a_loud_click_does_not_clip() -> None:
    sound = tone(1.0, 0.02)
    sound[12_000] = 1.0
    assert float(np.abs(levelled(sound)).max()) <= LOUDEST_PEAK + 1e-6


@pytest.mark.parametrize("sound", [rest(0), rest(1.0), tone(1.0, 1e-6)])
def test_silence_stays_nothing(sound: Samples) -> None:
    assert len(levelled(sound)) == 0


@given(st.integers(1, 2_000), st.floats(0.001, 1.0))
def test_short_sounds_are_kept(samples: int, peak: float) -> None:
    said = levelled(np.full(samples, peak, dtype=np.float32))
    assert said.dtype == np.float32
    assert len(said) == samples
    assert float(np.abs(said).max()) <= 1.0
