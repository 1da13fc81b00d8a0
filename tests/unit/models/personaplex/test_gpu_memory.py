"""What the released model takes on a GPU: the same sums as in the budget of the design, which was made from
the shapes of moshi's own modules.
"""

import pytest
import torch
from moshi.models.loaders import get_mimi  # pyright: ignore[reportUnknownVariableType]

from benchmarks.ticks.held_tensors import held_tensors
from personaplex_ui.models.personaplex.loading.checkpoint_files import CheckpointFiles, CheckpointUnusable
from personaplex_ui.models.personaplex.loading.gpu_memory import (
    CODEC_BYTES,
    CODEC_CALL_BYTES,
    CODEC_READ_BYTES,
    CONTEXT_BYTES,
    POOL_BYTES,
    ModelBytes,
    model_bytes,
)
from personaplex_ui.models.personaplex.runtime.mimi.loop import MimiLoop

L4_BANDWIDTH = 300e9

UNUSED_CODEBOOKS_BYTES = 24 * 2048 * 256 * 4
"""In the budget, but let go after loading."""


@pytest.fixture(scope="module")
def released() -> ModelBytes:
    return model_bytes({}, torch.bfloat16)


@pytest.mark.parametrize(
    ("quantize", "kv_int8", "gigabytes"),
    [
        (False, False, (17.3, 18.9, 22.1, 28.3)),
        (True, False, (10.1, 11.7, 14.9, 21.1)),
        (True, True, (9.4, 10.1, 11.7, 14.9)),
    ],
)
def test_weights_and_calls(
    released: ModelBytes, quantize: bool, kv_int8: bool, gigabytes: tuple[float, ...]
) -> None:
    """Of 1, 2, 4 and 8 calls, without Mimi's state; the budget has no scales of int8 keys and values, which
    are 3 % of them."""
    needs = released.needs(quantize, kv_int8)
    key_values = needs.call - CODEC_CALL_BYTES
    scales = key_values / 33 if kv_int8 else 0
    for calls, budget in zip((1, 2, 4, 8), gigabytes, strict=True):
        codec = CODEC_BYTES + UNUSED_CODEBOOKS_BYTES
        computed = (needs.weights + codec + calls * (key_values - scales)) / 1e9
        assert computed == pytest.approx(budget, abs=0.06)


def test_what_comes_on_top_is_the_context_the_pools_the_personas_and_one_more_row(
    released: ModelBytes,
) -> None:
    assert CONTEXT_BYTES + POOL_BYTES == 900_000_000
    needs = released.needs(persona_cache_bytes=500_000_000)
    assert needs.besides == CODEC_BYTES + POOL_BYTES + 500_000_000 + needs.call
    assert needs.total(4) == needs.weights + 4 * needs.call + needs.besides
    assert needs.fitting(needs.total(4)) == 4
    assert needs.fitting(needs.total(4) - 1) == 3


@pytest.mark.parametrize(
    ("quantize", "kv_int8", "calls", "milliseconds"),
    [
        (False, False, 1, 76.6),
        (False, False, 4, 97.6),
        (True, False, 1, 44.6),
        (True, False, 4, 65.6),
        (True, True, 4, 52.1),
    ],
)
def test_a_frame_of_an_l4(
    released: ModelBytes, quantize: bool, kv_int8: bool, calls: int, milliseconds: float
) -> None:
    """67 ms for the weights, 35 in int8; 7.0 ms a call, 3.6 in int8 with scales; 2.6 for 1,200 kernels."""
    computed = released.frame_sec(L4_BANDWIDTH, calls, quantize, kv_int8) * 1e3
    assert computed == pytest.approx(milliseconds, abs=0.15)


def test_the_codec_is_counted_as_it_is_held() -> None:
    with torch.device("meta"):
        mimi = get_mimi(None, device="meta", num_codebooks=8)
    assert pytest.approx(CODEC_READ_BYTES, rel=0.01) == sum(p.nbytes for p in mimi.parameters())
    loop = MimiLoop(mimi)
    assert pytest.approx(CODEC_BYTES, rel=0.01) == sum(t.nbytes for t in held_tensors(loop).values())
    calls = [sum(t.nbytes for t in held_tensors(loop.new_state(n)).values()) for n in (1, 2)]
    assert pytest.approx(CODEC_CALL_BYTES, rel=0.01) == calls[1] - calls[0]


def test_offloaded_layers_are_not_on_the_gpu(released: ModelBytes) -> None:
    needs = released.needs(cpu_offload=True)
    assert 2.6e9 < needs.weights < 2.7e9
    assert needs.besides == released.needs().besides


def test_other_sizes_take_other_bytes(released: ModelBytes, tiny: CheckpointFiles) -> None:
    small = model_bytes(tiny.config, torch.bfloat16)
    assert small.plain.stored < released.plain.stored / 1_000
    assert small.key_values < released.key_values / 1_000
    with pytest.raises(CheckpointUnusable, match="says n_q"):
        model_bytes({"n_q": 8}, torch.bfloat16)
