"""Weights as int8: how far numbers and answers are from those of the whole weights."""

import dataclasses

import numpy as np
import pytest
import torch
from moshi.models.lm import LMModel
from moshi.utils.compile import no_compile
from torch import Tensor
from torch.nn.functional import cosine_similarity, linear

from personaplex_ui.engine.speech_model import Sampling, complete
from personaplex_ui.models.personaplex.loading import int8
from personaplex_ui.models.personaplex.loading.checkpoint import load_codec, load_language_model
from personaplex_ui.models.personaplex.loading.checkpoint_files import CheckpointFiles
from personaplex_ui.models.personaplex.loading.int8 import Int8Linear, quantize, read_quantized
from personaplex_ui.models.personaplex.loading.load import Source, load_personaplex
from personaplex_ui.models.personaplex.model import PersonaPlexModel
from personaplex_ui.models.personaplex.runtime.prefill import hidden_states
from personaplex_ui.models.personaplex.runtime.prompt import CODEBOOKS
from personaplex_ui.models.personaplex.runtime.temporal import Temporal
from personaplex_ui.voices.library import VoiceLibrary
from tests.support.parity import TINY, read_case, unheard

CPU = torch.device("cpu")
BOTH = [torch.float32, torch.bfloat16]


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


# Numbers


@pytest.mark.parametrize("dtype", BOTH)
def test_no_number_is_off_by_more_than_half_a_step_of_its_row(dtype: torch.dtype):
    rows = drawn(50, 300) * torch.logspace(-20, 20, 50)[:, None]
    numbers, scale = quantize(rows, dtype)
    assert (numbers.dtype, scale.dtype, scale.shape) == (torch.int8, dtype, (50,))
    assert (numbers.abs().amax(dim=1) >= 126).all()
    step = scale.float()[:, None]
    assert ((numbers * step - rows).abs() <= 0.5001 * step).all()
    largest = rows.abs().amax(dim=1)
    torch.testing.assert_close(scale.float(), largest / 127, rtol=4e-3, atol=0)


@pytest.mark.parametrize("dtype", BOTH)
def test_rows_of_zeros_and_of_hardly_more(dtype: torch.dtype):
    rows = torch.zeros(3, 32)
    rows[1, 5] = -2e-44
    rows[2, 5] = -3.0
    numbers, scale = quantize(rows, dtype)
    assert scale[0] == 0
    assert not numbers[:2].any()
    assert numbers[2].sum() == -127


@pytest.mark.parametrize("block", [1, 100, 1 << 20])
def test_reading_in_blocks_is_as_quantizing_at_once(monkeypatch: pytest.MonkeyPatch, block: int):
    monkeypatch.setattr(int8, "BLOCK_NUMBERS", block)
    rows = drawn(33, 20)
    most = 0

    def read_rows(first: int, count: int) -> Tensor:
        nonlocal most
        most = max(most, count)
        return rows[first : first + count].clone()

    weight, scale = read_quantized(read_rows, rows.shape, CPU, torch.bfloat16)
    expected = quantize(rows, torch.bfloat16)
    assert torch.equal(weight, expected[0])
    assert torch.equal(scale, expected[1])
    assert most == min(33, max(1, block // 20))


# The layer


def test_a_layer_is_as_the_linear_layer_of_its_rounded_weights():
    weight, scale = quantize(drawn(48, 64), torch.bfloat16)
    layer = Int8Linear(64, 48, torch.bfloat16, CPU)
    layer.load_state_dict({"weight": weight, "scale": scale})
    x = drawn(4, 1, 64, seed=1).bfloat16()
    given = layer(x)
    assert given.dtype == torch.bfloat16
    expected = linear(x.float(), weight.float() * scale.float()[:, None])
    torch.testing.assert_close(given.float(), expected, rtol=0.01, atol=0.01 * float(expected.std()))


# The model


def load(files: CheckpointFiles, dtype: torch.dtype, quantize: bool) -> LMModel:
    return load_language_model(files, CPU, dtype, unheard, quantize=quantize)


@pytest.mark.parametrize("dtype", BOTH)
def test_what_is_kept_of_the_weights(tiny: CheckpointFiles, dtype: torch.dtype):
    whole = load(tiny, dtype, False).state_dict()
    kept = load(tiny, dtype, True).state_dict()
    layers = {name for name, tensor in kept.items() if tensor.dtype == torch.int8}
    # Of 3 temporal layers 4 each, of 2 depth layers 4 for each of 8 steps.
    assert len(layers) == 3 * 4 + 2 * 4 * 8
    assert kept.keys() - whole.keys() == {name.removesuffix("weight") + "scale" for name in layers}
    for name in whole.keys() - layers:
        assert torch.equal(kept[name], whole[name])
    for name in layers:
        scale = kept[name.removesuffix("weight") + "scale"]
        assert kept[name].shape == whole[name].shape
        assert kept[name].nbytes + scale.nbytes <= whole[name].nbytes / dtype.itemsize + 4 * len(scale)
        if dtype == torch.float32:  # all depth steps stand below each other in one tensor of the file
            numbers, scales = quantize(whole[name], dtype)
            assert torch.equal(kept[name], numbers)
            assert torch.equal(scale, scales)


def logits(lm: LMModel, tokens: Tensor) -> Tensor:
    """Text logits ``[t, text_card]`` after each of ``tokens`` ``[1, 17, t]``, whatever ``lm`` would say."""
    temporal = Temporal(lm)
    with torch.no_grad():
        return temporal.text_logits(hidden_states(temporal, temporal.embed(tokens[0].T))).float()


def test_the_logits_are_nearly_those_of_the_whole_weights(tiny: CheckpointFiles):
    """The frames of a parity case are forced: what differs is the weights alone."""
    case = read_case("voice_preset")
    said = torch.from_numpy(case.tokens).long()
    with torch.no_grad(), no_compile():
        sound = torch.from_numpy(case.user.reshape(1, 1, -1))
        caller = load_codec(tiny, CPU).encode(sound)[0, :CODEBOOKS].T
    frames = min(len(said), len(caller))
    assert frames >= 60
    tokens = torch.cat([said[:frames], caller[:frames]], dim=1).T[None]
    expected = logits(load(tiny, torch.float32, False), tokens)
    for dtype in BOTH:
        given = logits(load(tiny, dtype, True), tokens)
        assert cosine_similarity(given, expected, dim=1).min() > 0.99
        assert not torch.equal(given, expected)


def load_all(dtype: torch.dtype, cpu_offload: bool = False) -> PersonaPlexModel:
    torch.set_num_threads(1)
    source = Source(str(TINY), device="cpu", dtype=dtype, slots=4, cpu_offload=cpu_offload, quantize=True)
    return load_personaplex(dataclasses.replace(source, voices=VoiceLibrary()), unheard)


@pytest.fixture(scope="module", params=BOTH, ids=str)
def model(request: pytest.FixtureRequest) -> PersonaPlexModel:
    return load_all(request.param)


def tokens_of(model: PersonaPlexModel, sampling: Sampling, others: int = 0) -> list[list[int]]:
    """What is said to the caller in slot 3 in 25 frames, while ``others`` are on."""
    case = read_case("voice_preset")
    prefill = complete(model.prepare(case.persona))
    for slot in range(others):
        model.join(slot, prefill, Sampling(seed=slot))
    model.join(3, prefill, sampling)
    said: list[list[int]] = []
    for number in range(25):
        heard = {slot: case.user[number + slot + 1] for slot in range(others)}
        said.append(model.step_tokens({3: case.user[number]} | heard)[3].tokens.tolist())
    for slot in (*range(others), 3):
        model.leave(slot)
    return said


def test_a_seed_gives_the_same_tokens_whoever_else_is_on(model: PersonaPlexModel):
    sampling = Sampling(seed=77, text_temperature=0.9)
    alone = tokens_of(model, sampling)
    assert tokens_of(model, sampling) == alone
    assert tokens_of(model, sampling, others=2) == alone
    assert tokens_of(model, Sampling(seed=78, text_temperature=0.9)) != alone
    assert np.array(alone).shape == (25, 9)


def test_offloaded_layers_say_the_same(model: PersonaPlexModel):
    offloaded = load_all(model.stepper.temporal.dtype, cpu_offload=True)
    sampling = Sampling(greedy=True)
    assert tokens_of(offloaded, sampling) == tokens_of(model, sampling)
