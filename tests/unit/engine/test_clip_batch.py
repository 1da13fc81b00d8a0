"""Clips on any engine: each answered as if alone, also by a model that works in threads of its own. What
PersonaPlex does with them is tested in tests/unit/models/personaplex."""

import time
from collections.abc import Iterator, Mapping

import numpy as np
import pytest

from personaplex_ui.audio.frames import FRAME_SAMPLES, Frame, Samples
from personaplex_ui.engine.clip_batch import Answered, Clip, each_answer
from personaplex_ui.engine.speech_model import Answer, Persona, Sampling, SpeechModel
from personaplex_ui.models.cascade.load import cascade_of
from personaplex_ui.models.cascade.parts import Parts
from personaplex_ui.models.echo.model import EchoModel
from tests.support.fake_model import FakeModel
from tests.support.speech_parts import Humming, Listed, Scripted, pause, says

PERSONA = Persona("NATF2", "You are Ann of the bakery.")
ASKED = [np.concatenate([pause(0.4 * n), says(hz), pause(4.0)]) for n, hz in enumerate((300, 400, 500, 600))]


def clip(samples: Samples) -> Clip:
    return Clip(samples, PERSONA, Sampling(seed=1))


def answers(model: SpeechModel, *sounds: Samples) -> dict[int, Answered]:
    return {answer.number: answer for answer in each_answer(model, [clip(sound) for sound in sounds])}


def test_a_cascade_whose_threads_are_slow_answers_each_as_if_alone():
    class Slow(Humming):
        def synthesise(self, text: str, voice: str) -> Samples:
            time.sleep(0.001 * len(text) % 0.02)
            return super().synthesise(text, voice)

    def cascade(slots: int) -> SpeechModel:
        return cascade_of(Parts(Listed(), Scripted(greeting="Good morning."), Slow()), slots)

    together = answers(cascade(3), *ASKED)
    for number, sound in enumerate(ASKED):
        [alone] = answers(cascade(1), sound).values()
        assert np.array_equal(together[number].samples, alone.samples)
        assert together[number].pieces == alone.pieces
        assert "You said:" in "".join(text for _, text in alone.pieces)


def test_a_clip_is_taken_when_a_slot_is_free_for_it_and_not_before():
    model, taken = FakeModel(slots=2), list[int]()
    lengths = [5, 1, 2, 3, 0]

    def clips() -> Iterator[Clip]:
        for number, frames in enumerate(lengths):
            taken.append(number)
            yield clip(np.full(frames * FRAME_SAMPLES, 0.1, dtype=np.float32))

    seen = [(answer.number, len(taken)) for answer in each_answer(model, clips())]
    assert sorted(number for number, _ in seen) == [0, 1, 2, 3, 4]
    assert seen[:2] == [(1, 2), (2, 3)], "the shortest ones first, and no clip is taken early"
    assert not model.joined


def test_steps_are_told_and_may_be_done_by_somebody_else():
    told: list[int] = []
    model = EchoModel(2, greeting="")

    def quietly(heard: Mapping[int, Frame]) -> Mapping[int, Answer]:
        return {slot: Answer(frame * np.float32(0.5)) for slot, frame in heard.items()}

    sounds = [np.full(frames * FRAME_SAMPLES + 7, 0.5, dtype=np.float32) for frames in (1, 2)]
    found = list(each_answer(model, map(clip, sounds), told.append, quietly))
    assert sum(told) == 5
    assert max(told) == 2
    assert [len(answer.samples) for answer in found] == [len(sound) for sound in sounds]
    assert found[0].samples[0] == 0.25


def test_an_early_end_and_a_failure_leave_every_slot():
    model = FakeModel(slots=2)
    answering = each_answer(model, [clip(np.zeros(9_000, dtype=np.float32)) for _ in range(3)])
    next(answering)
    answering.close()
    assert not model.joined
    model.fail_steps = 1
    with pytest.raises(RuntimeError):
        answers(model, np.zeros(9_000, dtype=np.float32))
    assert not model.joined
