"""What auto becomes on GPUs of all sizes, and the sentences that say why, or why nothing fits."""

from dataclasses import replace

import pytest
import torch

from personaplex_ui.config import settings
from personaplex_ui.models.personaplex.loading import plan as planning
from personaplex_ui.models.personaplex.loading.checkpoint_files import CheckpointFiles, CheckpointUnusable
from personaplex_ui.models.personaplex.loading.gpu import GpuFacts, bandwidth_of, known_bandwidth
from personaplex_ui.models.personaplex.loading.gpu_memory import ModelBytes, model_bytes
from personaplex_ui.models.personaplex.loading.plan import Plan, Wishes, make_plan
from tests.support.gpus import A10G, A100_40, A100_80, H100, H200, L4, L40S, RTX_4090, T4

USUAL = Wishes(persona_cache_bytes=512_000_000)


@pytest.fixture(scope="module")
def released() -> ModelBytes:
    return model_bytes({}, torch.bfloat16)


def planned(released: ModelBytes, gpu: GpuFacts | None, wishes: Wishes = USUAL) -> Plan:
    return make_plan(wishes, released, gpu, "bfloat16")


@pytest.mark.parametrize(
    ("gpu", "quantize", "kv_int8", "slots"),
    [
        (T4, True, True, 5),
        (L4, True, True, 15),
        (A10G, True, False, 7),
        (RTX_4090, False, False, 4),
        (L40S, False, False, 18),
        (A100_40, False, False, 14),
        (A100_80, False, False, 41),
        (H100, False, False, 41),
        (H200, False, False, 64),
    ],
)
def test_auto_everywhere(
    released: ModelBytes, gpu: GpuFacts, quantize: bool, kv_int8: bool, slots: int
) -> None:
    """``slots`` by memory; what a tick takes is measured later."""
    plan = planned(released, gpu)
    assert (plan.quantize, plan.kv_int8, plan.slots) == (quantize, kv_int8, slots)
    assert all(gpu.name in reason for reason in plan.reasons)


@pytest.mark.parametrize("slots", [None, 1, 2, 4, 8])
@pytest.mark.parametrize("kv_int8", [None, False, True])
@pytest.mark.parametrize("cache", [0, 512_000_000, 2_000_000_000])
def test_an_l4_always_gets_int8(
    released: ModelBytes, slots: int | None, kv_int8: bool | None, cache: int
) -> None:
    chosen, _ = planning._choose_weights(  # pyright: ignore[reportPrivateUsage]
        Wishes(None, kv_int8, slots, cache), released, L4, "bfloat16"
    )
    assert chosen


def test_why_an_l4_gets_int8(released: ModelBytes) -> None:
    time, _ = planned(released, L4, Wishes(slots=1)).reasons
    assert time == (
        "Weights in int8, since on NVIDIA L4 a frame of 4 calls in bfloat16 is computed to take 98 ms, over "
        "64 ms."
    )
    memory, key_values = planned(released, L4).reasons
    assert memory == "Weights in int8, since NVIDIA L4 has memory for 3 of 4 calls in bfloat16."
    assert key_values == (
        "Keys and values in int8, since NVIDIA L4 is computed to serve 3 calls with them in bfloat16, and 7 "
        "in int8; 4 are wanted."
    )


def test_a_gpu_without_bfloat16_is_told_of(released: ModelBytes) -> None:
    assert planned(released, T4).reasons[0].endswith("has no bfloat16 of its own and is slow in it.")
    assert not any("no bfloat16" in reason for reason in planned(released, A10G).reasons)


@pytest.mark.parametrize("gpu", [L4, A10G, RTX_4090, H100])
def test_what_is_free_changes_the_number_of_calls_and_nothing_else(
    released: ModelBytes, gpu: GpuFacts
) -> None:
    plan, busy = planned(released, gpu), planned(released, replace(gpu, free=gpu.free - 3_000_000_000))
    assert busy.slots < plan.slots
    assert (busy.quantize, busy.kv_int8, busy.reasons) == (plan.quantize, plan.kv_int8, plan.reasons)


def test_the_settings_win(released: ModelBytes) -> None:
    plan = planned(released, L4, replace(USUAL, quantize=False, kv_int8=False, slots=2))
    assert (plan.quantize, plan.kv_int8, plan.slots) == (False, False, 2)
    assert plan.reasons == (
        "Weights in bfloat16, as QUANTIZE says.",
        "Keys and values in bfloat16, as KV_CACHE says.",
    )
    plan = planned(released, H200, replace(USUAL, quantize=True, kv_int8=True, slots=2))
    assert (plan.quantize, plan.kv_int8, plan.slots) == (True, True, 2)


def test_an_unknown_bandwidth_decides_by_memory_alone(released: ModelBytes) -> None:
    unknown = GpuFacts("NVIDIA X1", (9, 0), 48_000_000_000, 47_500_000_000)
    plan = planned(released, unknown)
    assert (plan.quantize, plan.kv_int8) == (False, False)
    assert "bandwidth of NVIDIA X1 is unknown" in plan.reasons[0]
    assert planned(released, replace(unknown, total=20_000_000_000)).quantize


def test_without_a_gpu_nothing_is_int8_unless_it_is_said(released: ModelBytes) -> None:
    plan = planned(released, None)
    assert (plan.quantize, plan.kv_int8, plan.slots) == (False, False, 4)
    assert plan.reasons[0] == "Weights in bfloat16, since there is no GPU to ask."
    plan = planned(released, None, Wishes(True, True, 9))
    assert (plan.quantize, plan.kv_int8, plan.slots) == (True, True, 9)
    assert plan.reasons[1] == "Keys and values in int8, as KV_CACHE says."


def test_with_offload_weights_stay_as_they_are_and_few_clips_are_answered_at_once(
    released: ModelBytes,
) -> None:
    plan = planned(released, L4, replace(USUAL, cpu_offload=True))
    assert (plan.quantize, plan.kv_int8, plan.slots) == (False, False, 4)
    assert "CPU_OFFLOAD" in plan.reasons[0]
    six = GpuFacts("small", (8, 6), 6_400_000_000, 6_000_000_000)
    small = planned(released, six, replace(USUAL, cpu_offload=True))
    assert (small.kv_int8, small.slots) == (True, 1)
    with pytest.raises(CheckpointUnusable, match=r"8\.2 GB for the weights.* CPU_OFFLOAD=1"):
        planned(released, six)
    told = r"needs 5\.\d GB of GPU memory: 2\.\d GB for the weights.* helps: stopping"
    with pytest.raises(CheckpointUnusable, match=told):
        planned(released, replace(six, free=4_000_000_000), Wishes(None, None, 1, 0, True))


@pytest.mark.parametrize(
    ("wishes", "free", "told"),
    [
        (
            Wishes(False, False, 4),
            21e9,
            "needs 24.1 GB of GPU memory: 15.4 GB for the weights, 1.6 GB for each of MAX_CALLS=4 calls and "
            "2.3 GB besides. 21.0 GB are free. What helps: MAX_CALLS=2, or QUANTIZE=int8, which halves the "
            "weights, or KV_CACHE=int8, which halves what a call takes, or CPU_OFFLOAD=1, which is slow",
        ),
        (
            Wishes(False, False, 4),
            13e9,
            "helps: QUANTIZE=int8, which halves the weights and leaves room for MAX_CALLS=1, or CPU_OFFLOAD",
        ),
        (Wishes(False, False, 4, 500_000_000), 22.8e9, "2.8 GB besides"),
        (Wishes(True, False, 4), 13e9, "What helps: MAX_CALLS=1, or KV_CACHE=int8, which halves"),
        (
            Wishes(None, None, 1),
            5.5e9,
            "What helps: CPU_OFFLOAD=1, which is slow and for clips",
        ),
        (
            Wishes(None, None, None),
            2e9,
            "What helps: stopping other programs that use this GPU, or",
        ),
    ],
)
def test_no_room(released: ModelBytes, wishes: Wishes, free: float, told: str) -> None:
    with pytest.raises(CheckpointUnusable) as refused:
        planned(released, replace(L4, free=int(free)), wishes)
    assert told in str(refused.value)
    assert str(refused.value).endswith("a GPU with more memory.")


def test_a_small_model_has_room_for_many(tiny: CheckpointFiles) -> None:
    small = model_bytes(tiny.config, torch.bfloat16)
    assert planned(small, replace(L4, free=4_000_000_000)).slots == 64


def test_the_settings_and_the_plan_mean_the_same_numbers() -> None:
    assert (settings.USUAL_CALLS, settings.MOST_CALLS) == (planning.USUAL_CALLS, planning.MOST_CALLS)


def test_bandwidths() -> None:
    """The table has what the driver would say of an L4's 6,251 MHz and 192 bits, within a hundredth."""
    assert bandwidth_of(6_251_000, 192) == pytest.approx(known_bandwidth("NVIDIA L4"), rel=0.01)
    assert bandwidth_of(5_001_000, 256) == pytest.approx(known_bandwidth("Tesla T4"), rel=0.01)
    assert known_bandwidth("NVIDIA X1") == 0
