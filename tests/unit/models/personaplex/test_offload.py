"""Layers in host memory: the same tokens, whatever stays where; and what of it the GPU must have room for."""

import dataclasses
from collections.abc import Iterator
from typing import cast

import pytest
import torch
from torch import Tensor
from torch.nn import Linear, ModuleList, Sequential

from personaplex_ui.engine.speech_model import Sampling, complete
from personaplex_ui.models.personaplex.loading import offload
from personaplex_ui.models.personaplex.loading.checkpoint import load_language_model
from personaplex_ui.models.personaplex.loading.checkpoint_files import CheckpointFiles
from personaplex_ui.models.personaplex.loading.load import OFFLOADED_IS_SLOW, Source, load_personaplex
from personaplex_ui.models.personaplex.loading.offload import HostLayers
from personaplex_ui.models.personaplex.loading.safetensors_file import SafetensorsFile
from personaplex_ui.models.personaplex.model import PersonaPlexModel
from personaplex_ui.voices.library import VoiceLibrary
from tests.support.parity import DATA, TINY, Conversation, play, read_case, unheard

GREEDY = Sampling(greedy=True)
SOURCE = Source(str(TINY), device="cpu", slots=2, cpu_offload=True)


@pytest.fixture(scope="module")
def offloaded() -> PersonaPlexModel:
    torch.set_num_threads(1)
    return load_personaplex(dataclasses.replace(SOURCE, voices=VoiceLibrary()), unheard)


@pytest.fixture
def model(offloaded: PersonaPlexModel) -> Iterator[PersonaPlexModel]:
    yield offloaded
    for slot in range(offloaded.slots):
        offloaded.leave(slot)
    offloaded.forget_personas()


def join(model: PersonaPlexModel, name: str, slot: int) -> Conversation:
    case = read_case(name)
    model.join(slot, complete(model.prepare(case.persona)), GREEDY)
    return Conversation(case, slot)


def test_the_same_tokens_alone(model: PersonaPlexModel):
    conversation = join(model, "voice_preset", 1)
    play(model, conversation)
    conversation.assert_parity()


def test_the_same_tokens_of_two_in_a_batch(model: PersonaPlexModel):
    path = DATA / "cases" / "custom_voice_no_prompt" / "voice.wav"
    case = read_case("custom_voice_no_prompt")
    persona = dataclasses.replace(case.persona, voice=model.voices.add_file(path))
    model.join(0, complete(model.prepare(persona)), GREEDY)
    recorded, preset = Conversation(case, 0), join(model, "voice_preset", 1)
    while not preset.over:
        heard = {c.slot: c.next_frame for c in (recorded, preset) if not c.over}
        outputs = model.step_tokens(heard)
        recorded.hear(outputs)
        preset.hear(outputs)
    assert recorded.over
    recorded.assert_parity()
    preset.assert_parity()


def test_only_one_layer_is_on_the_device(model: PersonaPlexModel):
    transformer = model.stepper.temporal._lm.transformer  # pyright: ignore[reportPrivateUsage]
    layers = transformer.layers
    assert isinstance(layers, HostLayers)
    assert len(layers) == 3
    places = {tuple(p.data_ptr() for p in layer.parameters()) for layer in layers}
    assert len(places) == 1
    layer_elements = sum(p.numel() for p in next(iter(layers)).parameters())
    assert sum(p.numel() for p in transformer.parameters()) == layer_elements


# The layers themselves


def states(layers: HostLayers | ModuleList) -> list[dict[str, Tensor]]:
    return [{name: tensor.clone() for name, tensor in layer.state_dict().items()} for layer in layers]


def layers(count: int = 3) -> ModuleList:
    """Of two dtypes, and of sizes that need filling up."""
    return ModuleList(Sequential(Linear(5, 7), Linear(7, 3, dtype=torch.bfloat16)) for _ in range(count))


@pytest.mark.parametrize("chunk", [1, 100, 1 << 20])
def test_each_layer_comes_back_bit_for_bit_each_time(monkeypatch: pytest.MonkeyPatch, chunk: int):
    monkeypatch.setattr(offload, "CHUNK_BYTES", chunk)
    given = layers()
    expected = states(given)
    held = HostLayers(given, torch.device("cpu"))
    for _ in range(2):
        for state, wanted in zip(states(held), expected, strict=True):
            assert state.keys() == wanted.keys()
            assert all(state[name].dtype == wanted[name].dtype for name in wanted)
            assert all(torch.equal(state[name], wanted[name]) for name in wanted)
    assert cast(Sequential, next(iter(held)))[0](torch.ones(1, 5)).shape == (1, 7)
    assert not any(parameter.requires_grad for parameter in held.parameters())


def test_layers_that_differ_are_refused():
    with pytest.raises(AssertionError, match="the layers differ"):
        HostLayers(ModuleList([Linear(2, 3), Linear(3, 2)]), torch.device("cpu"))


def test_the_weights_of_the_layers_are_read_into_host_memory(
    tiny: CheckpointFiles, monkeypatch: pytest.MonkeyPatch
):
    """``cpu:0`` stands for the GPU: it is another device than ``cpu`` by name only."""
    read_to: dict[str, torch.device] = {}
    read = SafetensorsFile.read

    def watched(
        self: SafetensorsFile, name: str, device: torch.device, *rest: object, **more: object
    ) -> Tensor:
        read_to[name] = device
        return read(self, name, device, *rest, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(SafetensorsFile, "read", watched)
    device = torch.device("cpu:0")
    load_language_model(tiny, device, torch.float32, unheard, cpu_offload=True)
    on_host = {name for name, place in read_to.items() if place == torch.device("cpu")}
    assert on_host == {name for name in read_to if name.startswith("transformer.")}
    assert len(on_host) == 18
    assert {read_to[name] for name in read_to.keys() - on_host} == {device}
    read_to.clear()
    load_language_model(tiny, device, torch.float32, unheard)
    assert set(read_to.values()) == {device}


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        (SOURCE, OFFLOADED_IS_SLOW),
        (dataclasses.replace(SOURCE, cpu_offload=False), ""),
    ],
)
def test_an_offloaded_model_is_for_clips_only(source: Source, sentence: str):
    assert (
        load_personaplex(dataclasses.replace(source, voices=VoiceLibrary()), unheard).clips_only == sentence
    )
