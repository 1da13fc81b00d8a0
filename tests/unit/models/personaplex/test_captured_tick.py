"""Token for token what the reference says, with ticks that are replayed without any Python of theirs."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from personaplex_ui.engine.speech_model import Persona, Sampling, complete
from personaplex_ui.models.personaplex import model as model_module
from personaplex_ui.models.personaplex.loading.load import Source, load_personaplex
from personaplex_ui.models.personaplex.model import PersonaPlexModel
from personaplex_ui.models.personaplex.runtime.graph import TickShape
from personaplex_ui.models.personaplex.runtime.stepper import Stepper
from personaplex_ui.voices.library import VoiceLibrary
from tests.support.parity import CASES, TINY, Conversation, play, read_case, unheard
from tests.support.tape import NotCapturable
from tests.support.tape_recorder import TapeRecorder

SLOTS = 4
GREEDY = Sampling(greedy=True)


@pytest.fixture(scope="module")
def recorder() -> TapeRecorder:
    return TapeRecorder()


@pytest.fixture(scope="module")
def captured(own_voices: Path, recorder: TapeRecorder) -> PersonaPlexModel:
    model = _load(own_voices)
    shapes: list[TickShape] = []
    model.stepper.capture(recorder, shapes.append)
    assert model.stepper.graphs.trouble == ""
    assert sorted({shape.rows for shape in shapes}) == [1, 2, 4]
    return model


@pytest.fixture
def model(captured: PersonaPlexModel, recorder: TapeRecorder) -> Iterator[PersonaPlexModel]:
    before = recorder.replays
    yield captured
    assert recorder.replays > before, "nothing was replayed"
    for slot in range(SLOTS):
        captured.leave(slot)
    captured.forget_personas()


def _load(own_voices: Path, slots: int = SLOTS) -> PersonaPlexModel:
    torch.set_num_threads(1)
    voices = VoiceLibrary(folders=(own_voices,))
    source = Source(str(TINY), device="cpu", slots=slots, voices=voices, pin_persona=False)
    return load_personaplex(source, unheard)


def _join(model: PersonaPlexModel, name: str, slot: int) -> Conversation:
    case = read_case(name)
    model.join(slot, complete(model.prepare(case.persona)), GREEDY)
    return Conversation(case, slot)


@pytest.mark.parametrize("name", CASES)
def test_alone(model: PersonaPlexModel, name: str):
    conversation = _join(model, name, 2)
    play(model, conversation)
    conversation.assert_parity()


def test_batched_joined_and_left_at_random(model: PersonaPlexModel):
    """Beside sampled guests who come and go, so that rows move; now and then somebody has no frame."""
    draw = np.random.default_rng(0)
    conversations = {slot: _join(model, name, slot) for slot, name in enumerate(CASES) if slot < 2}
    guest_on = False
    persona = conversations[0].case.persona
    while any(not conversation.over for conversation in conversations.values()):
        if draw.random() < 0.1:
            if guest_on:
                model.leave(3)
            else:
                model.join(3, complete(model.prepare(persona)), Sampling(seed=int(draw.integers(99))))
            guest_on = not guest_on
        heard = {
            slot: conversation.next_frame
            for slot, conversation in conversations.items()
            if not conversation.over and draw.random() < 0.9
        }
        if guest_on:
            heard[3] = draw.normal(0, 0.1, 1920).astype(np.float32)
        if heard:
            outputs = model.step_tokens(heard)
            for conversation in conversations.values():
                conversation.hear(outputs)
    for conversation in conversations.values():
        conversation.assert_parity()


@pytest.mark.parametrize("name", ["voice_preset", "custom_voice_no_prompt"])
def test_a_persona_that_rides_along_disturbs_nobody(model: PersonaPlexModel, name: str):
    """And it is the persona it would have been."""
    live = _join(model, "voice_preset", 0)
    case = read_case(name)
    model.forget_personas()
    preparation = model.prepare(case.persona)
    rides = 0
    while not preparation.done:
        if preparation.can_ride:
            live.hear(model.step_tokens({0: live.next_frame}, riding=preparation))
            rides += 1
        else:
            preparation.advance()
    assert rides >= 2
    model.join(1, preparation.persona(), GREEDY)
    other = Conversation(case, 1)
    play(model, live)
    play(model, other)
    live.assert_parity()
    other.assert_parity()


def test_sampled_callers_are_answered_as_without_capture(captured: PersonaPlexModel, own_voices: Path):
    """Four who join, leave, skip frames, are made to say something, and change their sampling."""
    plain = _load(own_voices)
    expected, found = _scenario(plain), _scenario(captured)
    assert len(expected) > 100
    assert found == expected


def _scenario(model: PersonaPlexModel) -> list[tuple[int, int, list[int]]]:
    draw = np.random.default_rng(0)
    persona = complete(model.prepare(Persona("NATF0", "You are a teacher.")))
    joins = {0: (0, 1), 3: (2, 4), 9: (1, 10), 15: (3, 16), 33: (2, 77)}
    on: set[int] = set()
    answers: list[tuple[int, int, list[int]]] = []
    for tick in range(60):
        if tick == 25:
            model.leave(2)
            on.discard(2)
        if tick in joins:
            slot, seed = joins[tick]
            model.join(
                slot, persona, Sampling(seed=seed, text_temperature=0.7 + tick / 50, audio_top_k=50 + tick)
            )
            on.add(slot)
        if tick == 40:
            model.speak(1, "hello there")
        if tick == 45:
            model.change_sampling(0, Sampling(greedy=True))
        heard = {
            slot: draw.normal(0, 0.1, 1920).astype(np.float32) for slot in sorted(on) if (tick + slot) % 7
        }
        outputs = model.step_tokens(heard)
        answers += [(tick, slot, output.tokens.tolist()) for slot, output in sorted(outputs.items())]
    for slot in on:
        model.leave(slot)
    return answers


def test_no_state_moves(captured: PersonaPlexModel):
    def addresses() -> list[int]:
        stepper = captured.stepper
        return [tensor.data_ptr() for tensor in stepper._small_state()]  # pyright: ignore[reportPrivateUsage]

    before = addresses()
    _scenario(captured)
    assert addresses() == before


class _Refusing:
    def record(self, function: object) -> object:
        raise NotCapturable("a word with the host")


def test_what_cannot_be_captured_runs_operator_by_operator_and_says_why(own_voices: Path):
    model = _load(own_voices, slots=1)
    model.stepper.capture(_Refusing(), lambda shape: None)  # type: ignore[arg-type]
    assert model.stepper.graphs.captured == 0
    assert model.stepper.graphs.trouble == "capturing failed: a word with the host"
    conversation = _join(model, "voice_preset", 0)
    play(model, conversation)
    conversation.assert_parity()


# Controls: what must not pass -------------------------------------------------------------------------------


class _MovingState(Stepper):
    """Its positions are another tensor after each tick, which a graph does not see."""

    def _tick(self, shape: TickShape) -> None:
        positions = self._positions
        self._positions = positions.clone()
        super()._tick(shape)


class _FrozenNumber(Stepper):
    """A number of Python's is in the tick: the graph has the one of the recording."""

    ticks = 0

    def _tick(self, shape: TickShape) -> None:
        self.ticks += 1
        super()._tick(shape)
        self._read[: shape.rows, 0].add_(int(self.ticks > 5))


class _OwnRandomness(Stepper):
    def _tick(self, shape: TickShape) -> None:
        self._audio_noise.exponential_()
        super()._tick(shape)


class _WordWithTheHost(Stepper):
    def _tick(self, shape: TickShape) -> None:
        if self._positions.sum().item() >= 0:
            super()._tick(shape)


@pytest.fixture
def captured_with(
    own_voices: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[type[Stepper]], PersonaPlexModel]:
    def load(kind: type[Stepper]) -> PersonaPlexModel:
        monkeypatch.setattr(model_module, "Stepper", kind)
        model = _load(own_voices, slots=1)
        model.stepper.capture(TapeRecorder(), lambda shape: None)
        return model

    return load


@pytest.mark.parametrize(("kind", "same"), [(Stepper, True), (_MovingState, False), (_FrozenNumber, False)])
def test_a_tick_that_keeps_something_beside_its_memory_gives_other_tokens(
    captured_with: Callable[[type[Stepper]], PersonaPlexModel], kind: type[Stepper], same: bool
):
    model = captured_with(kind)
    case = _join(model, "voice_preset", 0).case
    said = [model.step_tokens({0: frame})[0].tokens.tolist() for frame in case.user[:30]]
    assert (said == case.tokens[:30].tolist()) is same


@pytest.mark.parametrize("kind", [_OwnRandomness, _WordWithTheHost])
def test_a_tick_that_no_graph_can_hold_is_refused(
    captured_with: Callable[[type[Stepper]], PersonaPlexModel], kind: type[Stepper]
):
    graphs = captured_with(kind).stepper.graphs
    assert graphs.trouble.startswith("capturing failed: ")
    assert graphs.captured == 0
