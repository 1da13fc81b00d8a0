"""What a broken model, codec or buffer does to sound is found; speech, a pause and a quiet room are left
alone."""

import numpy as np
import pytest

from personaplex_ui.accept.report import PROBLEM, WARNING, Verdict
from personaplex_ui.accept.sound_health import Health, Listener, faults_of
from personaplex_ui.accept.speech import caller_speech, frames_of
from personaplex_ui.audio.frames import FRAME_SAMPLES, SAMPLE_RATE_HZ, Samples
from personaplex_ui.models.echo.sentences import GREETING, sound_of

SPEECH = sound_of(GREETING)
DICE = np.random.default_rng(0)


def health_of(sound: Samples) -> Health:
    listener = Listener()
    for number in range(len(sound) // FRAME_SAMPLES):
        listener.hear(sound[number * FRAME_SAMPLES : (number + 1) * FRAME_SAMPLES].astype(np.float32))
    return listener.health("a call")


def faults(sound: Samples) -> list[tuple[Verdict, str]]:
    return [(fault.verdict, fault.words.split(" (")[0]) for fault in faults_of(health_of(sound))]


def noise(level: float, sec: float = 12.0) -> Samples:
    return DICE.normal(0.0, level, round(sec * SAMPLE_RATE_HZ)).astype(np.float32)


def test_speech_with_pauses_is_healthy():
    found = health_of(caller_speech(None))
    assert faults_of(found) == []
    assert 0.4 < found.spoken_share < 0.8
    assert -30 < found.level_dbfs < -15
    assert 0.001 < found.flatness < 0.05


def test_speech_that_comes_again_in_another_place_of_a_frame_is_no_loop():
    assert health_of(np.concatenate([SPEECH, noise(1e-4, 0.3), SPEECH])).loop_sec < 3


@pytest.mark.parametrize(
    ("sound", "expected"),
    [
        (np.zeros(12 * SAMPLE_RATE_HZ, np.float32), (PROBLEM, "it is silent for 12 s")),
        (noise(0.001), (PROBLEM, "it is silent for 12 s")),
        (noise(0.1), (PROBLEM, "it is noise")),
        (np.clip(np.tile(SPEECH, 2) * 8, -1, 1), (PROBLEM, "")),
        (np.concatenate([SPEECH / 20, noise(1e-4, 6.0)]), (WARNING, "it is too quiet")),
        (np.tile(SPEECH[24_000 : 24_000 + 20 * FRAME_SAMPLES], 8), (PROBLEM, "it repeats itself for 12.8 s")),
        (np.tile(SPEECH[24_000 : 24_000 + 5 * FRAME_SAMPLES], 9), (WARNING, "it repeats itself for 3.6 s")),
        (
            np.repeat(SPEECH[: 60 * FRAME_SAMPLES].reshape(-1, FRAME_SAMPLES), 2, axis=0).ravel(),
            (PROBLEM, ""),
        ),
        (np.sin(np.arange(48_000) * 0.115).astype(np.float32) * 0.1, (WARNING, "it is a hum or a tone")),
    ],
)
def test_what_is_no_speech_is_found(sound: Samples, expected: tuple[Verdict, str]):
    verdict, words = expected
    assert any(found == verdict and said.startswith(words) for found, said in faults(sound)), faults(sound)


def test_the_worst_comes_first_and_is_named():
    clipped = np.clip(np.tile(SPEECH, 2) * 8, -1, 1)
    [first, *rest] = faults(clipped)
    assert first[0] is PROBLEM
    assert "of what was said is clipped" in first[1]
    assert ("it is too loud" in [words for _, words in rest]) == (health_of(clipped).level_dbfs > -10)


def test_repeated_frames_are_counted_only_where_something_is_said():
    frames = frames_of(caller_speech(None), 40)
    loud = frames[20]
    sound = np.concatenate([*frames[:10], loud, loud, loud, np.zeros(4 * FRAME_SAMPLES, np.float32)])
    found = health_of(sound)
    assert found.repeated_frames == 2
    assert (PROBLEM, "2 frames are repeated bit by bit") in faults(sound)


def test_a_short_call_may_be_silent_and_one_frame_of_nan_is_told():
    assert faults(np.zeros(5 * SAMPLE_RATE_HZ, np.float32)) == []
    broken = SPEECH.copy()
    broken[50_000] = np.nan
    assert faults(broken)[0] == (PROBLEM, "1 frames are not numbers")


def test_nothing_heard_has_no_health():
    with pytest.raises(ValueError, match="nothing was heard"):
        Listener().health("a call")
