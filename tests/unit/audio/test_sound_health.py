"""What a broken model does to sound is found in bounded time, and nothing is that an assistant, or an echo of
its caller, may well sound like."""

import numpy as np
import pytest

from personaplex_ui.audio.frames import FRAME_SAMPLES, FRAMES_PER_SEC, Samples
from personaplex_ui.audio.levels import rms_dbfs
from personaplex_ui.audio.sound_health import SoundFault, SoundHealth
from personaplex_ui.engine.speech_model import Sampling
from personaplex_ui.models.echo.model import EchoCaller
from personaplex_ui.models.echo.sentences import GOODBYE, GREETING, sound_of
from tests.support.heard_sounds import (
    frames,
    keys,
    looped,
    music,
    note,
    over_a_telephone,
    pause,
    speech,
    square,
    white_noise,
)

REPEATS, NOISE, CLIPPED = SoundFault.REPEATS, SoundFault.NOISE, SoundFault.CLIPPED
ROOM = white_noise(1.0, 10 ** (-65 / 20))


def judged(sound: Samples) -> list[SoundFault]:
    health = SoundHealth()
    for frame in frames(sound):
        health.hear(frame)
    return list(health.faults)


HARMLESS = {
    "speech": speech(),
    "speech on the telephone": over_a_telephone(speech()),
    "speech that is 10 dB too loud": np.clip(3 * speech(), -1, 1),
    "the echo's sentences": np.concatenate([sound_of(GREETING), pause(2.0), sound_of(GOODBYE)]),
    "babble": sound_of(
        "Good morning to everybody who is listening to this, it is nice to have you here today."
    ),
    "silence": pause(60.0),
    "a quiet room": np.tile(ROOM, 60),
    "music on hold": music(30.0),
    "a note of 2 s": np.concatenate([pause(1.0), note(220.0, 2.0), pause(1.0)]),
    "notes of 2 s": np.concatenate([note(hz, 2.0, 0.02) for hz in (220.0, 262.0, 330.0, 392.0)]),
    "keys of a telephone": keys("1593015930" * 2, 0.25),
    "a key held for 2 s": np.concatenate([keys("5", 2.0), pause(1.0)]),
    "a hiss of 1 s in speech": np.concatenate(
        [speech()[:72_000], white_noise(1.0), speech()[72_000:200_000]]
    ),
    "the same sentence three times, with turns between": np.tile(np.append(sound_of(GOODBYE), pause(1.5)), 3),
}


@pytest.mark.parametrize("name", HARMLESS)
def test_what_an_assistant_may_sound_like(name: str):
    assert judged(HARMLESS[name]) == []


@pytest.mark.parametrize("name", HARMLESS)
def test_an_echo_of_it(name: str):
    """The echo engine says what it hears, in every voice."""
    for ratio in (1.0, 1.26, 0.75):
        caller, health = EchoCaller(ratio, Sampling(seed=1), GREETING), SoundHealth()
        for frame in frames(np.concatenate([HARMLESS[name], pause(35.0)])):
            health.hear_caller(rms_dbfs(frame))
            health.hear(caller.step(frame).frame)
        assert not health.faults


@pytest.mark.parametrize(
    ("sound", "expected"),
    [
        (looped(8.0, FRAME_SAMPLES), REPEATS),
        (looped(8.0, 3 * FRAME_SAMPLES), REPEATS),
        (looped(10.0, 19 * FRAME_SAMPLES), REPEATS),  # 1.5 s, in whole frames
        (looped(12.0, 36_000), REPEATS),  # 1.5 s, which is no whole number of frames
        (np.concatenate([speech(), looped(8.0, 10 * FRAME_SAMPLES)]), REPEATS),
        (np.tile(np.append(speech()[72_000:100_800], pause(0.4)), 8), REPEATS),  # with pauses in it
        (white_noise(3.0), NOISE),
        (np.concatenate([speech(), white_noise(3.1)]), NOISE),
        (square(3.0), CLIPPED),
        (np.clip(20 * speech(), -1, 1), CLIPPED),
    ],
)
def test_what_a_broken_model_does(sound: Samples, expected: SoundFault):
    assert judged(sound)[0] is expected


def test_a_loop_is_found_within_5_seconds_and_a_held_note_has_as_long():
    loop = looped(10.0, 19 * FRAME_SAMPLES)
    until = 5 * int(FRAMES_PER_SEC)
    assert judged(loop[: until * FRAME_SAMPLES]) == [REPEATS]
    assert judged(note(220.0, 4.0)) == []
    assert judged(note(220.0, 6.0)) == [REPEATS]


def test_samples_that_are_no_numbers():
    for value in (np.nan, np.inf):
        broken = speech()[: 10 * FRAME_SAMPLES].copy()
        broken[7_000] = value
        assert judged(broken) == [SoundFault.BROKEN]


def conversation(caller: Samples, assistant: Samples) -> list[SoundFault]:
    """Both at the same time."""
    health = SoundHealth()
    for theirs, ours in zip(frames(caller), frames(assistant), strict=False):
        health.hear_caller(rms_dbfs(theirs))
        health.hear(ours)
    return list(health.faults)


QUESTION = speech()[: 3 * 24_000]


def test_a_caller_who_gets_no_answer_for_10_seconds():
    asked = np.concatenate([QUESTION, np.tile(ROOM, 20)])
    assert conversation(asked, pause(12.5)) == []
    assert conversation(asked, pause(13.5)) == [SoundFault.SILENT]
    answered = np.concatenate([pause(5.0), speech()[:48_000], pause(30.0)])
    assert conversation(asked, answered) == []
    in_vain_again = np.concatenate([asked, QUESTION, np.tile(ROOM, 20)])
    assert conversation(in_vain_again, np.concatenate([answered, pause(20.0)])) == [SoundFault.SILENT]


@pytest.mark.parametrize(
    "caller",
    [
        np.tile(ROOM, 40),  # nobody asked
        np.concatenate([speech(), speech()]),  # somebody talks on, and the assistant listens
        np.concatenate([speech()[:12_000], np.tile(ROOM, 30)]),  # half a second: a yes, or a cough
        np.concatenate([music(30.0), music(10.0)]),  # on hold
        np.concatenate([pause(1.0), white_noise(39.0, 0.05)]),  # a fan begins
    ],
)
def test_an_assistant_that_rightly_says_nothing(caller: Samples):
    assert conversation(caller, pause(60.0)) == []


def test_it_keeps_as_little_after_ten_minutes_as_after_ten_seconds():
    health = SoundHealth()

    def size() -> int:
        return len(health._window) + len(health._loud_clipped) + health._loops._bands.nbytes  # pyright: ignore[reportPrivateUsage]

    for _ in range(40):
        for frame in frames(speech()[: 15 * 24_000]):
            health.hear(frame)
            health.hear_caller(-20.0)
    assert size() < 26_000
