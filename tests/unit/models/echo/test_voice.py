"""The pitch of each voice, measured; sound and words of a saying."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from personaplex_ui.audio.frames import FRAME_SAMPLES, SAMPLE_RATE_HZ, Samples
from personaplex_ui.audio.levels import rms_dbfs
from personaplex_ui.models.echo.voice import Saying, pitch_ratio
from personaplex_ui.voices.catalogue import CATALOGUE_PATH, load_catalogue
from tests.support.sounds import peak_hz, tone

VOICES = [voice.name for voice in load_catalogue(CATALOGUE_PATH)]


def say(saying: Saying) -> tuple[Samples, list[str]]:
    """All of its sound, and its pieces of text in order, empty ones left out."""
    frames: list[Samples] = []
    pieces: list[str] = []
    while not saying.over:
        frame, words = saying.next_frame()
        assert frame.shape == (FRAME_SAMPLES,)
        assert frame.dtype == np.float32
        frames.append(frame)
        pieces += [words] if words else []
    return np.concatenate(frames), pieces


def test_no_two_of_the_eighteen_voices_sound_alike():
    ratios = [pitch_ratio(name) for name in VOICES]
    assert len(ratios) == 18
    semitones = sorted(12 * np.log2(ratio) for ratio in ratios)
    assert min(np.diff(semitones)) > 0.9
    assert all((pitch_ratio(name) > 1) == (name[:4] in ("NATF", "VARF")) for name in VOICES)


@pytest.mark.parametrize("name", ["", "NATF", "NATF22", "natf2", "my own voice"])
def test_a_voice_outside_the_catalogue_keeps_the_pitch(name: str):
    assert pitch_ratio(name) == 1.0


@pytest.mark.parametrize("voice", VOICES)
def test_a_tone_comes_back_in_the_pitch_of_the_voice_at_its_own_level(voice: str):
    ratio = pitch_ratio(voice)
    sound, _ = say(Saying(tone(2.0), "", ratio))
    spoken = sound[2_400 : int(2.0 / ratio * SAMPLE_RATE_HZ) - 2_400]
    assert peak_hz(spoken) == pytest.approx(440.0 * ratio, rel=0.001)
    assert rms_dbfs(spoken) == pytest.approx(rms_dbfs(tone(2.0)), abs=0.1)
    assert abs(len(sound) - 2.0 / ratio * SAMPLE_RATE_HZ) <= FRAME_SAMPLES


@pytest.mark.parametrize("samples", [0, 1, 1_919, 1_920, 1_921])
def test_a_sound_of_any_length_comes_to_an_end_and_silence_follows(samples: int):
    saying = Saying(tone(1.0)[:samples], "a few words", 1.2)
    if not saying.over:
        say(saying)
    assert saying.over
    frame, _ = saying.next_frame()
    assert not np.any(frame)


@given(
    text=st.lists(st.text(st.characters(categories=["L", "N", "P"]), min_size=1), max_size=40).map(" ".join),
    frames=st.floats(0.1, 30.0),
    ratio=st.sampled_from([0.56, 1.0, 1.78]),
)
def test_every_word_is_said_once_in_order_and_none_is_cut(text: str, frames: float, ratio: float):
    samples = np.zeros(int(frames * FRAME_SAMPLES), dtype=np.float32)
    _, pieces = say(Saying(samples, text, ratio))
    assert "".join(pieces) == "".join(f" {word}" for word in text.split())
    assert [word for piece in pieces for word in piece.split()] == text.split()


def test_words_are_spread_over_the_sound():
    saying = Saying(tone(4.0), "one two three four five six seven eight", 1.0)
    counts = [len(saying.next_frame()[1].split()) for _ in range(50)]
    assert sum(counts) == 8
    assert max(counts) == 1
    assert 3 <= sum(counts[:25]) <= 5


def test_it_falls_silent_within_a_frame_and_without_a_click():
    saying = Saying(tone(2.0), "", 1.0)
    before = saying.next_frame()[0]
    frame = saying.fade_out()
    assert np.any(frame[:200])
    assert not np.any(frame[240:])
    steps = np.abs(np.diff(np.concatenate([before, frame])))
    assert np.max(steps) < 1.2 * np.max(np.abs(np.diff(before)))
