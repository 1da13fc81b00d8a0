"""The echo engine as the engine's thread sees it: frames in, answers out, several callers in one step."""

import re
from collections.abc import Mapping

import numpy as np
import pytest

from personaplex_ui.audio.frames import FRAME_SAMPLES, SAMPLE_RATE_HZ, Samples, pad_to_frames, silent_frame
from personaplex_ui.audio.levels import rms_dbfs
from personaplex_ui.calls import watchdog
from personaplex_ui.engine.speech_model import MAX_TEXTS_WAITING, Answer, Persona, Sampling, complete
from personaplex_ui.errors import SpeakQueueFull
from personaplex_ui.models.echo.model import EchoModel
from personaplex_ui.models.echo.sentences import GOODBYE, GREETING, WORDINGS
from personaplex_ui.models.echo.voice import pitch_ratio
from personaplex_ui.voices.catalogue import CATALOGUE_PATH, load_catalogue
from tests.support.sounds import peak_hz, tone

VOICES = [voice.name for voice in load_catalogue(CATALOGUE_PATH)]
QUIET = 1e-4


def echo_model(greeting: str = "") -> EchoModel:
    """Without a greeting it says nothing by itself."""
    return EchoModel(8, greeting)


def join(model: EchoModel, slot: int = 0, voice: str = "NATF2", seed: int | None = 1) -> None:
    model.join(slot, complete(model.prepare(Persona(voice, "Be kind."))), Sampling(seed=seed))


def joined(greeting: str = "", voice: str = "NATF2", seed: int = 1) -> EchoModel:
    """With one caller, in slot 0."""
    model = echo_model(greeting)
    join(model, 0, voice, seed)
    return model


def pause(sec: float) -> Samples:
    return np.zeros(int(sec * SAMPLE_RATE_HZ), dtype=np.float32)


def talk(model: EchoModel, sounds: Mapping[int, Samples]) -> dict[int, list[Answer]]:
    """Step the slots of ``sounds`` together until all is heard; returns the answers of each slot."""
    frames = {slot: pad_to_frames(sound).reshape(-1, FRAME_SAMPLES) for slot, sound in sounds.items()}
    answers: dict[int, list[Answer]] = {slot: [] for slot in sounds}
    for number in range(max(map(len, frames.values()))):
        heard = {slot: track[number] for slot, track in frames.items() if number < len(track)}
        answered = model.step(heard)
        assert answered.keys() == heard.keys()
        for slot, answer in answered.items():
            assert answer.frame.shape == (FRAME_SAMPLES,)
            answers[slot].append(answer)
    return answers


def say(model: EchoModel, *sounds: Samples) -> list[Answer]:
    return talk(model, {0: np.concatenate(sounds)})[0]


def sound_of(answers: list[Answer]) -> Samples:
    return np.concatenate([answer.frame for answer in answers])


def text_of(answers: list[Answer]) -> str:
    return "".join(answer.text for answer in answers)


def spoken(answers: list[Answer]) -> Samples:
    """The sound from its first to its last loud sample."""
    sound = sound_of(answers)
    loud = np.flatnonzero(np.abs(sound) > QUIET)
    return sound[loud[0] : loud[-1] + 1]


@pytest.mark.parametrize(("voice", "amplitude"), [("NATF0", 0.02), ("VARM4", 0.1), ("NATF2", 0.9)])
def test_an_utterance_comes_back_in_the_pitch_of_the_voice_as_loud_as_it_was(voice: str, amplitude: float):
    model = joined(voice=voice)
    ratio = pitch_ratio(voice)
    answer = spoken(say(model, pause(0.4), tone(1.2, amplitude=amplitude), pause(4.0)))
    assert peak_hz(answer) == pytest.approx(440.0 * ratio, rel=0.002)
    assert len(answer) / SAMPLE_RATE_HZ == pytest.approx(1.2 / ratio, abs=0.02)
    assert rms_dbfs(answer[1_200:-1_200]) == pytest.approx(rms_dbfs(tone(1.2, amplitude=amplitude)), abs=0.2)


def test_it_answers_after_the_pause_and_never_while_the_caller_speaks():
    model = joined()
    answers = say(model, tone(0.8), pause(0.32), tone(0.8), pause(0.4))
    assert not np.any(sound_of(answers))
    assert np.any(sound_of(say(model, pause(0.8))))


def test_spoken_over_it_falls_silent_within_two_frames_and_says_that_back():
    model = joined()
    before = say(model, tone(4.0), pause(1.0))
    assert np.any(before[-1].frame)
    over = say(model, tone(1.6, hz=300))
    assert not np.any(over[1].frame[240:])
    assert not np.any(sound_of(over[2:]))
    assert text_of(over[1:]) == ""
    answer = spoken(say(model, pause(3.0)))  # of what was said over it, not the rest
    assert peak_hz(answer) == pytest.approx(300 * pitch_ratio("NATF2"), rel=0.002)


@pytest.mark.parametrize("coughs", [1, 2, 3])
def test_coughs_stop_it_in_no_word_and_are_not_said_back(coughs: int):
    greeted, interrupted = joined(GREETING), joined(GREETING)
    whole = say(greeted, pause(10.0))
    noises = [tone(0.08, amplitude=0.5), pause(0.16)] * coughs
    with_cough = say(interrupted, pause(1.04), *noises, pause(8.96 - 0.24 * coughs))
    assert text_of(with_cough) == text_of(whole)
    assert np.array_equal(sound_of(with_cough), sound_of(whole))


def test_a_line_of_text_tells_length_and_level():
    model = joined()
    text = text_of(say(model, pause(0.4), tone(2.0), pause(3.0)))
    numbers = [float(number) for number in re.findall(r"-?\d+(?:\.\d+)?", text)]
    kept_around_sec = 4 * 0.08
    assert numbers[0] == pytest.approx(2.0 + kept_around_sec, abs=0.06)
    assert numbers[1] == pytest.approx(rms_dbfs(tone(2.0)), abs=1.5)


def test_pieces_of_text_hold_whole_words():
    model = joined(GREETING)
    answers = say(model, pause(8.0), tone(2.0), pause(4.0))
    pieces = [answer.text for answer in answers if answer.text]
    assert all(piece.startswith(" ") for piece in pieces)
    words = text_of(answers).split()
    assert [word for piece in pieces for word in piece.split()] == words
    assert words[: len(GREETING.split())] == GREETING.split()
    assert words[-1] == "dBFS."


def test_a_call_with_the_same_seed_is_the_same():
    def conversation() -> list[Answer]:
        model = echo_model(GREETING)
        join(model, seed=5)
        return say(model, pause(8.0), *[tone(0.8), pause(2.0)] * 6)

    once, again = conversation(), conversation()
    assert text_of(once) == text_of(again)
    assert np.array_equal(sound_of(once), sound_of(again))
    assert all(wording.split()[0] in text_of(once) for wording in WORDINGS)


def test_callers_in_one_step_hear_what_they_would_hear_alone():
    sounds: dict[int, Samples] = {}
    alone: dict[int, list[Answer]] = {}
    together = echo_model(GREETING)
    for slot in range(8):
        sounds[slot] = np.concatenate([pause(0.3 * slot), tone(0.5 + 0.2 * slot, 200 + 40 * slot), pause(4)])
        join(together, slot, VOICES[slot], seed=slot)
        alone[slot] = talk(joined(GREETING, VOICES[slot], slot), {0: sounds[slot]})[0]
    answers = talk(together, sounds)
    for slot in range(8):
        assert text_of(answers[slot]) == text_of(alone[slot])
        assert np.array_equal(sound_of(answers[slot]), sound_of(alone[slot]))


def test_each_call_opens_with_the_greeting_once():
    model = joined(GREETING)
    answers = say(model, pause(15.0))
    assert text_of(answers) == f" {GREETING}"
    assert rms_dbfs(spoken(answers)) > -35.0
    assert not np.any(sound_of(answers[-60:]))


def test_the_goodbye_of_calls_is_one_it_has_a_recording_of():
    assert GOODBYE == watchdog.GOODBYE
    model = joined()
    model.speak(0, watchdog.GOODBYE)
    answers = say(model, pause(6.0))
    assert text_of(answers) == f" {GOODBYE}"
    assert rms_dbfs(spoken(answers)) > -35.0


def test_ten_texts_may_wait_and_are_said_in_order():
    model = joined()
    texts = ["  ", *(f"This is number {number}." for number in range(1, MAX_TEXTS_WAITING))]
    for text in texts:
        model.speak(0, text)
    with pytest.raises(SpeakQueueFull):
        model.speak(0, "One too many.")
    say(model, pause(0.16))
    model.speak(0, "There is room again.")
    answers = say(model, pause(40.0))
    assert text_of(answers).endswith("number 9. There is room again.")
    assert [word for word in text_of(answers).split() if word[0].isdigit()] == [f"{n}." for n in range(1, 10)]


def test_a_forced_text_waits_until_the_caller_has_spoken():
    model = joined()
    say(model, tone(0.8))
    model.speak(0, "patience")
    assert not np.any(sound_of(say(model, tone(1.6))))
    assert text_of(say(model, pause(6.0))).endswith("dBFS. patience")


def test_who_leaves_is_forgotten():
    model = joined()
    say(model, tone(2.0))
    model.leave(0)
    model.leave(0)
    with pytest.raises(KeyError):
        model.step({0: silent_frame()})
    join(model)
    assert not np.any(sound_of(say(model, pause(5.0))))


def test_it_takes_other_sampling_in_a_running_call():
    model, other = echo_model(), echo_model()
    join(model)
    join(other)
    other.change_sampling(0, Sampling(seed=99, text_temperature=0.1))
    sounds = [tone(0.8), pause(2.0)] * 4
    assert text_of(say(model, *sounds)) == text_of(say(other, *sounds))
