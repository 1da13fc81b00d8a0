"""Weights as int8: how far numbers and answers are from those of the whole weights."""

import dataclasses
import logging

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
from personaplex_ui.models.personaplex.loading.int8 import Int8Linear, kernel_works, quantize, read_quantized
from personaplex_ui.models.personaplex.loading.load import Source, load_personaplex
from personaplex_ui.models.personaplex.model import PersonaPlexModel
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


def filled_layer(dtype: torch.dtype, way: bool, columns: int = 64) -> Int8Linear:
    layer = Int8Linear(columns, 48, dtype, CPU)
    layer.weight, layer.scale = quantize(drawn(48, columns), dtype)
    layer.uses_kernel = way
    return layer


@pytest.mark.parametrize("dtype", BOTH)
@pytest.mark.parametrize("way", [False, True])
@pytest.mark.parametrize("shape", [(1, 64), (4, 64), (32, 64), (1, 1, 64), (4, 1, 64), (4, 8, 64)])
def test_both_ways_give_the_plain_result(dtype: torch.dtype, way: bool, shape: tuple[int, ...]):
    layer = filled_layer(dtype, way)
    x = drawn(*shape, seed=1).to(dtype)
    expected = linear(x.double(), layer.weight.double() * layer.scale.double()[:, None])
    result = layer(x)
    assert result.dtype == dtype
    assert result.shape == (*shape[:-1], 48)
    error = torch.dist(result.double(), expected)
    assert error < torch.dist(expected, torch.zeros_like(expected)) * (
        1e-6 if dtype == torch.float32 else 4e-3
    )


@pytest.mark.parametrize("way", [False, True])
def test_an_input_that_is_no_single_run_of_memory(way: bool):
    layer = filled_layer(torch.bfloat16, way)
    x = drawn(64, 5, 3, seed=1).bfloat16().transpose(0, 2)
    torch.testing.assert_close(layer(x), layer(x.contiguous()))


# Which way


def test_the_kernel_is_used_where_it_works(monkeypatch: pytest.MonkeyPatch):
    """On a CPU in bfloat16, and with columns that it does not read beyond."""

    def chosen(dtype: torch.dtype, columns: int) -> bool:
        layer = filled_layer(dtype, False, columns)
        int8.choose_way(layer, CPU, dtype)
        return layer.uses_kernel

    assert chosen(torch.bfloat16, 32)
    assert not chosen(torch.bfloat16, 44)
    assert not chosen(torch.float32, 32)
    monkeypatch.setattr(int8, "kernel_works", lambda device, dtype: False)  # pyright: ignore
    assert not chosen(torch.bfloat16, 32)


@pytest.mark.parametrize("dtype", BOTH)
def test_the_kernel_of_this_machine_works(dtype: torch.dtype):
    assert kernel_works(CPU, dtype)


def test_a_kernel_that_fails_or_is_wrong_is_not_used(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    caplog.set_level(logging.WARNING)

    def missing(rows: Tensor, weight: Tensor, scale: Tensor) -> Tensor:
        raise NotImplementedError("no kernel for this device")

    def wrong(rows: Tensor, weight: Tensor, scale: Tensor) -> Tensor:
        return linear(rows, weight.to(rows.dtype)) * scale * (1.02 if len(rows) == 32 else 1.0)

    def no_number(rows: Tensor, weight: Tensor, scale: Tensor) -> Tensor:
        return torch.full((len(rows), len(scale)), torch.nan)

    for kernel, told in ((missing, "no kernel for this device"), (wrong, "wrong"), (no_number, "wrong")):
        monkeypatch.setattr(int8, "_by_kernel", kernel)
        caplog.clear()
        assert not kernel_works(CPU, torch.float32)
        assert told in caplog.text


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


@pytest.mark.parametrize("cpu_offload", [False, True])
def test_a_loaded_model_uses_the_kernel(tiny: CheckpointFiles, cpu_offload: bool):
    lm = load_language_model(tiny, CPU, torch.bfloat16, unheard, cpu_offload, quantize=True)
    temporal = [layer for layer in lm.transformer.modules() if isinstance(layer, Int8Linear)]
    assert len(temporal) == (4 if cpu_offload else 3 * 4)
    assert {layer.weight.shape[1] for layer in temporal if layer.uses_kernel} == {32}
    assert {layer.weight.shape[1] for layer in temporal if not layer.uses_kernel} == {88}


def logits(lm: LMModel, tokens: Tensor) -> Tensor:
    """Text logits ``[t, text_card]`` after each of ``tokens`` ``[1, 17, t]``, whatever ``lm`` would say."""
    temporal = Temporal(lm)
    key_values = temporal.new_key_values(1)
    found: list[Tensor] = []
    with torch.no_grad():
        for start in range(0, tokens.shape[2], 32):
            inputs = temporal.embed(tokens[:, :, start : start + 32])
            end = start + inputs.shape[1]
            hidden = temporal.forward(inputs, key_values, torch.tensor([start]), end)
            found.append(temporal.text_logits(hidden[0]).float())
    return torch.cat(found)


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


def test_what_the_kernel_gives_is_of_the_models_dtype(monkeypatch: pytest.MonkeyPatch):
    """On CUDA, torch 2.9 gives float32."""

    def wide(rows: Tensor, weight: Tensor, scale: Tensor) -> Tensor:
        return rows.float() @ weight.float().t() * scale.float()

    monkeypatch.setattr(torch, "_weight_int8pack_mm", wide)
    layer = Int8Linear(16, 4, torch.bfloat16, torch.device("cpu"))
    layer.weight, layer.scale = quantize(torch.ones(4, 16), torch.bfloat16)
    layer.uses_kernel = True
    assert layer(torch.ones(1, 2, 16, dtype=torch.bfloat16)).dtype is torch.bfloat16
