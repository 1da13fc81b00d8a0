"""Clips in a batch: each answered as if alone, in whole, and every slot free afterwards."""

import pickle
from collections.abc import Mapping

import numpy as np
import pytest
from torch import Tensor

from personaplex_ui.audio.frames import FRAME_SAMPLES, Frame, Samples
from personaplex_ui.engine.clip_batch import Clip
from personaplex_ui.engine.speech_model import Persona, Sampling, complete
from personaplex_ui.errors import InvalidInput
from personaplex_ui.models.personaplex.clip_batch import answer_clips, each_answer
from personaplex_ui.models.personaplex.model import PersonaPlexModel
from personaplex_ui.models.personaplex.runtime.buffers import StepOutput
from tests.support.parity import CASES, read_case

GREEDY = Sampling(greedy=True)
PERSONA = Persona("NATF0", "You enjoy having a good conversation.")


def clip_of(name: str) -> Clip:
    case = read_case(name)
    return Clip(case.user.reshape(-1), case.persona, GREEDY)


def noise(samples: int) -> Samples:
    return np.random.default_rng(samples).normal(0, 0.1, samples).astype(np.float32)


def short(samples: int, sampling: Sampling = GREEDY) -> Clip:
    return Clip(noise(samples), PERSONA, sampling)


@pytest.fixture
def steps(model: PersonaPlexModel, monkeypatch: pytest.MonkeyPatch) -> list[set[int]]:
    """The slots that heard something, for each step."""
    made: list[set[int]] = []
    step = model.step_tokens

    def watched(heard: Mapping[int, Frame]) -> Mapping[int, StepOutput]:
        made.append(set(heard))
        return step(heard)

    monkeypatch.setattr(model, "step_tokens", watched)
    return made


def test_the_cases_in_one_batch(model: PersonaPlexModel):
    answers = answer_clips(model, [clip_of(name) for name in CASES])
    for name, answer in zip(CASES, answers, strict=True):
        case = read_case(name)
        assert answer.tokens.dtype == np.int32
        assert answer.tokens.shape == (len(case.user), 9)
        assert np.array_equal(answer.tokens[: len(case.tokens)], case.tokens), name
        assert answer.samples.dtype == np.float32
        assert len(answer.samples) == case.user.size
        expected = case.pcm.ravel()
        assert np.max(np.abs(answer.samples[: len(expected)] - np.clip(expected, -1, 1))) < 1e-3
    assert model.stepper.rows == 0


def test_the_text_is_that_of_a_call(model: PersonaPlexModel):
    clip = clip_of("voice_preset")
    [answer] = answer_clips(model, [clip])
    model.join(0, complete(model.prepare(clip.persona)), GREEDY)
    frames = clip.samples.reshape(-1, FRAME_SAMPLES)
    texts = [model.step({0: frame})[0].text for frame in frames]
    assert answer.pieces == tuple((number, text) for number, text in enumerate(texts) if text)
    assert len(answer.pieces) > 10


@pytest.mark.parametrize("samples", [1, 1919, 1920, 1921, 5 * 1920 + 7])
def test_an_answer_is_as_long_as_its_clip(model: PersonaPlexModel, samples: int):
    [answer] = answer_clips(model, [short(samples)])
    assert answer.samples.shape == (samples,)
    assert answer.tokens.shape == (-(-samples // 1920), 9)


def test_an_empty_clip_has_an_empty_answer(model: PersonaPlexModel, steps: list[set[int]]):
    progress: list[tuple[int, int]] = []
    answers = answer_clips(model, [short(0), short(0)], lambda done, total: progress.append((done, total)))
    for answer in answers:
        assert answer.samples.shape == (0,)
        assert answer.samples.dtype == np.float32
        assert answer.tokens.shape == (0, 9)
        assert answer.tokens.dtype == np.int32
        assert answer.pieces == ()
    assert steps == []
    assert progress[-1] == (0, 0)
    assert answer_clips(model, []) == []


def test_more_clips_than_slots(model: PersonaPlexModel, steps: list[set[int]]):
    """Slots go on to the next clip at once: the batch is as full as it can be until nothing waits."""
    lengths = [9, 2, 0, 5, 3, 8, 1, 4]
    clips = [short(frames * FRAME_SAMPLES) for frames in lengths]
    progress: list[tuple[int, int]] = []

    def note(done: int, total: int) -> None:
        progress.append((done, total))

    order = [number for number, _ in each_answer(model, clips, note)]
    assert sorted(order) == list(range(8))
    assert [len(slots) for slots in steps] == [3, 4, 4, 4, 4, 3, 3, 3, 3, 1]
    assert progress[-1] == (sum(lengths), sum(lengths))
    assert progress == sorted(progress)
    answers = answer_clips(model, clips)
    for number, (clip, answer) in enumerate(zip(clips, answers, strict=True)):
        [alone] = answer_clips(model, [clip])
        assert np.array_equal(answer.tokens, alone.tokens), f"clip {number}"
        assert len(answer.samples) == len(clip.samples)


def test_each_clip_is_drawn_by_its_own_settings(model: PersonaPlexModel):
    one, again, other, greedy = answer_clips(
        model, [short(20 * 1920, s) for s in (Sampling(seed=1), Sampling(seed=1), Sampling(seed=2), GREEDY)]
    )
    assert np.array_equal(one.tokens, again.tokens)
    assert not np.array_equal(one.tokens, other.tokens)
    assert not np.array_equal(one.tokens, greedy.tokens)


def test_loud_answers_are_clipped(model: PersonaPlexModel, monkeypatch: pytest.MonkeyPatch):
    decode = model.stepper.codec.decode

    def loud(codes: Tensor) -> Tensor:
        return decode(codes) * 1e6

    monkeypatch.setattr(model.stepper.codec, "decode", loud)
    [answer] = answer_clips(model, [short(3 * 1920)])
    assert np.max(answer.samples) == 1.0
    assert np.min(answer.samples) == -1.0


def test_slots_are_free_after_a_fault(model: PersonaPlexModel):
    def fail(done: int, total: int) -> None:
        if done > 6:
            raise OSError("full")

    with pytest.raises(OSError, match="full"):
        answer_clips(model, [short(10 * 1920), short(10 * 1920)], fail)
    assert model.stepper.rows == 0
    [answer] = answer_clips(model, [clip_of("voice_preset")])
    assert np.array_equal(answer.tokens[:83], read_case("voice_preset").tokens[:83])


def test_slots_are_free_when_nobody_waits_for_the_rest(model: PersonaPlexModel):
    answers = each_answer(model, [short(1920), short(9 * 1920)])
    assert next(answers)[0] == 0
    assert model.stepper.rows == 1
    answers.close()
    assert model.stepper.rows == 0


@pytest.mark.parametrize(
    ("persona", "sentence"),
    [
        (Persona("NATX9", ""), "There is no voice NATX9"),
        (Persona("NATF0", "long " * 300), "The role is too long"),
    ],
)
def test_a_persona_that_cannot_be_is_refused_before_anything_is_answered(
    model: PersonaPlexModel, steps: list[set[int]], persona: Persona, sentence: str
):
    with pytest.raises(InvalidInput, match=sentence):
        answer_clips(model, [*[short(1920)] * model.slots, Clip(noise(1920), persona)])
    assert steps == []


def test_clips_and_answers_go_from_process_to_process(model: PersonaPlexModel):
    clip = pickle.loads(pickle.dumps(short(4000)))
    [answer] = answer_clips(model, [clip])
    copy = pickle.loads(pickle.dumps(answer))
    assert np.array_equal(copy.samples, answer.samples)
    assert np.array_equal(copy.tokens, answer.tokens)
    assert copy.pieces == answer.pieces
