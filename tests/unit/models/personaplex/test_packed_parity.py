"""Token for token what the reference says with packed weights, which a model as small as the tests' has only
where it is told to pack them all."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch.nn import Linear

from personaplex_ui.audio.frames import silent_frame
from personaplex_ui.engine.speech_model import Sampling, complete
from personaplex_ui.models.personaplex.kernels import packed_linear
from personaplex_ui.models.personaplex.kernels.packed_linear import packing_works
from personaplex_ui.models.personaplex.loading.load import Source, load_personaplex
from personaplex_ui.models.personaplex.model import PersonaPlexModel
from personaplex_ui.voices.library import VoiceLibrary
from tests.support.parity import CASES, TINY, Conversation, play, read_case, unheard
from tests.support.tape_recorder import TapeRecorder

SLOTS = 4

pytestmark = [
    pytest.mark.skipif(not packing_works(), reason="this build of PyTorch cannot pack weights"),
    pytest.mark.timeout(200),
]


@pytest.fixture(scope="module")
def packed(own_voices: Path) -> PersonaPlexModel:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(packed_linear, "LEAST_NUMBERS", 1)
        model = _load(own_voices)
        assert model.stepper.packed_bytes > 0
        return model


@pytest.fixture
def model(packed: PersonaPlexModel, monkeypatch: pytest.MonkeyPatch) -> Iterator[PersonaPlexModel]:
    """All weights are packed, and used so for any number of rows."""
    monkeypatch.setattr(packed_linear, "LEAST_ROWS", 1)
    monkeypatch.setattr(packed_linear, "MOST_ROWS", 10_000)
    yield packed
    for slot in range(SLOTS):
        packed.leave(slot)
    packed.forget_personas()


def _load(own_voices: Path, slots: int = SLOTS, **options: bool) -> PersonaPlexModel:
    torch.set_num_threads(1)
    voices = VoiceLibrary(folders=(own_voices,))
    source = Source(str(TINY), device="cpu", slots=slots, voices=voices, pin_persona=False)
    return load_personaplex(replace(source, **options), unheard)


def _join(model: PersonaPlexModel, name: str, slot: int) -> Conversation:
    case = read_case(name)
    model.join(slot, complete(model.prepare(case.persona)), Sampling(greedy=True))
    return Conversation(case, slot)


@pytest.mark.parametrize("name", ["voice_preset", "custom_voice_no_prompt"])
def test_alone(model: PersonaPlexModel, name: str):
    conversation = _join(model, name, 0)
    play(model, conversation)
    conversation.assert_parity()


def test_four_in_a_batch(model: PersonaPlexModel):
    """Until the longest one is alone."""
    conversations = [_join(model, name, slot) for slot, name in enumerate((*CASES, CASES[0]))]
    while on := [one for one in conversations if not one.over]:
        outputs = model.step_tokens({one.slot: one.next_frame for one in on})
        for one in on:
            one.hear(outputs)
    for conversation in conversations:
        conversation.assert_parity()


def test_captured(own_voices: Path, monkeypatch: pytest.MonkeyPatch):
    """Three callers, for whom the tick of four rows is replayed."""
    monkeypatch.setattr(packed_linear, "LEAST_NUMBERS", 1)
    model, recorder = _load(own_voices), TapeRecorder()
    model.stepper.capture(recorder, lambda shape: None)
    assert model.stepper.graphs.trouble == ""
    conversations = [_join(model, "custom_voice_no_prompt", slot) for slot in range(3)]
    while not conversations[0].over:
        outputs = model.step_tokens({one.slot: one.next_frame for one in conversations})
        for one in conversations:
            one.hear(outputs)
    assert recorder.replays == len(conversations[0].case.user)
    for conversation in conversations:
        conversation.assert_parity()


def test_no_product_of_a_tick_is_left_out(model: PersonaPlexModel, monkeypatch: pytest.MonkeyPatch):
    """So that the cases above say something."""

    def plain(*arguments: object) -> None:
        raise AssertionError("a product with a weight that is not packed")

    persona = complete(model.prepare(read_case("voice_preset").persona))
    monkeypatch.setattr(packed_linear, "linear", plain)
    monkeypatch.setattr(packed_linear, "row_linear", plain)
    monkeypatch.setattr(Linear, "forward", plain)
    for slot in range(SLOTS):
        model.join(slot, persona, Sampling(greedy=True))
    assert len(model.step_tokens({slot: silent_frame() for slot in range(SLOTS)})) == SLOTS


def test_nothing_is_packed_for_fewer_than_four_callers(own_voices: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(packed_linear, "LEAST_NUMBERS", 1)
    model = _load(own_voices, slots=3)
    before = {name: tensor.clone() for name, tensor in model.language_model.state_dict().items()}
    assert model.stepper.packed_bytes == 0
    model.resize(4)
    assert model.stepper.packed_bytes > 0
    after = model.language_model.state_dict()
    assert after.keys() == before.keys()
    assert all(torch.equal(after[name], tensor) for name, tensor in before.items())
    model.resize(2)
    assert model.stepper.packed_bytes == 0


@pytest.mark.parametrize("option", ["cpu_offload", "quantize"])
def test_layers_that_are_not_plain_weights_are_not_packed(
    own_voices: Path, monkeypatch: pytest.MonkeyPatch, option: str
):
    """Layers in host memory take turns in one place; int8 has its own products."""
    monkeypatch.setattr(packed_linear, "LEAST_NUMBERS", 1)
    model = _load(own_voices, **{option: True})
    layers = [layer for layer in model.language_model.modules() if isinstance(layer, Linear)]
    heads = sum(layer.weight.nbytes for layer in layers) if option == "quantize" else 0
    assert model.stepper.packed_bytes - model.stepper.codec.packed_bytes == heads
    persona = complete(model.prepare(read_case("voice_preset").persona))
    for slot in range(SLOTS):
        model.join(slot, persona, Sampling(greedy=True))
    outputs = model.step_tokens({slot: silent_frame() for slot in range(SLOTS)})
    assert len({tuple(output.tokens.tolist()) for output in outputs.values()}) == 1
