"""In one batch: every answer is the reference's, and every word what moshi's own recogniser hears."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from personaplex_ui.audio.frames import Samples
from personaplex_ui.engine.speech_model import Heard, HearsWords, Sampling, complete
from personaplex_ui.models.personaplex.captions import reader as reader_module
from personaplex_ui.models.personaplex.loading.load import Source, load_personaplex
from personaplex_ui.models.personaplex.model import PersonaPlexModel
from personaplex_ui.models.personaplex.runtime.buffers import StepOutput
from tests.support.captions_checkpoint import CONTEXT, MoshiRecogniser, write_recogniser
from tests.support.parity import CASES, read_case, unheard
from tests.support.tape_recorder import TapeRecorder

GREEDY = Sampling(greedy=True)
FRAMES = 2 * CONTEXT + 12


@pytest.fixture(scope="session")
def reference(personaplex_folder: Path, recogniser_folder: Path) -> MoshiRecogniser:
    return MoshiRecogniser(personaplex_folder, recogniser_folder)


@pytest.fixture
def model(source: Source) -> PersonaPlexModel:
    return load_personaplex(source, unheard)


class Caller:
    """A parity case, of which ``frames`` are played: what it is answered, and the tokens of its words."""

    def __init__(self, model: PersonaPlexModel, name: str, slot: int, frames: int | None = None) -> None:
        self.case = read_case(name)
        self.slot = slot
        self.frames = self.case.user[:frames]
        model.join(slot, complete(model.prepare(self.case.persona)), GREEDY)
        self.said: list[list[int]] = []
        self.words: list[int] = []

    @property
    def over(self) -> bool:
        return len(self.words) == len(self.frames)

    @property
    def next_frame(self) -> Samples:
        return self.frames[len(self.words)]

    def hear(self, output: StepOutput) -> None:
        self.said.append(output.tokens.tolist())
        self.words.append(output.heard)

    def assert_right(self, reference: MoshiRecogniser) -> None:
        expected = self.case.tokens[: len(self.said)].tolist()
        assert self.said[: len(expected)] == expected
        assert self.words == reference.tokens(self.frames)


def play(model: PersonaPlexModel, caller: Caller) -> None:
    while not caller.over:
        caller.hear(model.step_tokens({caller.slot: caller.next_frame})[caller.slot])


class Guest:
    """Somebody who hears noise for a while, in ``slot``."""

    def __init__(self, model: PersonaPlexModel, slot: int, seed: int) -> None:
        persona = read_case("voice_preset").persona
        model.join(slot, complete(model.prepare(persona)), Sampling(seed=seed))
        self.heard: list[Samples] = []
        self.words: list[int] = []

    def assert_right(self, reference: MoshiRecogniser) -> None:
        frames = np.asarray(self.heard, dtype=np.float32).reshape(-1, 1920)
        assert self.words == (reference.tokens(frames) if self.words else [])


@pytest.mark.parametrize("captured", [False, True])
def test_batched_joined_and_left_at_random(
    model: PersonaPlexModel, reference: MoshiRecogniser, monkeypatch: pytest.MonkeyPatch, captured: bool
):
    """Beside guests who come and go, so that rows move, and longer than the recogniser remembers; now and
    then somebody has no frame. With ticks that run as they are, and with ticks that are replayed."""
    monkeypatch.setattr(reader_module, "FILLED_STEP", 1)
    recorder = TapeRecorder()
    if captured:
        model.stepper.capture(recorder, lambda shape: None)
        assert model.stepper.graphs.trouble == ""
    draw = np.random.default_rng(0)
    guests = {slot: Guest(model, slot, slot) for slot in (2, 3)}
    callers = {slot: Caller(model, CASES[slot + 1], slot, FRAMES) for slot in (0, 1)}
    rows = [2, 3, 0, 1]
    moves = 0
    while any(not caller.over for caller in callers.values()):
        slot = int(draw.integers(2, 20))
        if slot in guests:
            row = rows.index(slot)
            moves += row < len(rows) - 1
            rows[row] = rows[-1]
            rows.pop()
            model.leave(slot)
            guests.pop(slot).assert_right(reference)
        elif slot < 4:
            guests[slot] = Guest(model, slot, slot)
            rows.append(slot)
        present = [slot for slot in (*callers, *guests) if draw.random() < 0.9]
        heard = {slot: draw.normal(0, 0.1, 1920).astype(np.float32) for slot in present if slot in guests}
        heard |= {slot: callers[slot].next_frame for slot in present if slot < 2 and not callers[slot].over}
        for slot, output in model.step_tokens(heard).items() if heard else ():
            if slot in callers:
                callers[slot].hear(output)
            else:
                guests[slot].heard.append(heard[slot])
                guests[slot].words.append(output.heard)
    assert moves >= 3
    assert (recorder.replays > FRAMES) is captured
    for caller in callers.values():
        caller.assert_right(reference)
    assert len(set(callers[1].words)) > 20, "a recogniser that always says the same shows nothing"


def test_alone_and_anew_after_a_call_that_was_longer_than_it_remembers(
    model: PersonaPlexModel, reference: MoshiRecogniser
):
    for name in ("past_the_context_window", "voice_preset"):
        caller = Caller(model, name, 1, FRAMES)
        play(model, caller)
        caller.assert_right(reference)
        model.leave(1)


def test_one_that_hears_silence_before_a_call(source: Source, reference: MoshiRecogniser, tmp_path: Path):
    said = {"audio_delay_seconds": 0.5, "audio_silence_prefix_seconds": 0.3}
    write_recogniser(tmp_path, stt_config=said)
    model = load_personaplex(replace(source, captions_repo=str(tmp_path)), unheard)
    for _ in range(2):
        caller = Caller(model, "voice_preset", 0, 12)
        play(model, caller)
        assert caller.words == reference.tokens(caller.frames, silence=4)
        model.leave(0)


def test_words_come_with_the_answers_half_a_second_late(model: PersonaPlexModel):
    assert isinstance(model, HearsWords)
    assert model.heard_by == "Kyutai STT"
    case = read_case("voice_preset")
    model.join(0, complete(model.prepare(case.persona)), GREEDY)
    found: list[tuple[int, Heard]] = []
    for number, frame in enumerate(case.user):
        answer = model.step({0: frame})[0]
        if answer.heard is not None:
            found.append((number, answer.heard))
    late = [heard for number, heard in found if number >= 6]
    assert late
    assert {(heard.begun_ago, heard.ended_ago) for heard in late} == {(7, 6)}
    assert all(0 <= heard.ended_ago < heard.begun_ago <= number + 1 for number, heard in found)
    assert "".join(heard.text for _, heard in found).strip()


def test_a_measurement_leaves_no_trace(model: PersonaPlexModel, reference: MoshiRecogniser):
    model.stepper.measure(3, 2, riding=True)
    caller = Caller(model, "voice_preset", 0, 12)
    play(model, caller)
    caller.assert_right(reference)


def test_a_tick_that_fails_in_the_recogniser_has_not_been(
    model: PersonaPlexModel, reference: MoshiRecogniser, monkeypatch: pytest.MonkeyPatch
):
    caller = Caller(model, "voice_preset", 0, 12)
    reader = model.stepper.reader
    assert reader is not None

    def fail(*args: object) -> None:
        raise RuntimeError("the GPU is gone")

    for number in range(len(caller.frames)):
        if number == 5:
            with monkeypatch.context() as broken:
                broken.setattr(reader, "read", fail)
                with pytest.raises(RuntimeError):
                    model.step_tokens({0: caller.next_frame})
        caller.hear(model.step_tokens({0: caller.next_frame})[0])
    caller.assert_right(reference)
