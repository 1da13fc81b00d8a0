"""Where captions have room, and the sentences that say why or why not."""

from dataclasses import replace

import pytest
import torch

from personaplex_ui.models.personaplex.captions.planning import NoRoom, plan_captions, reader_bytes
from personaplex_ui.models.personaplex.captions.sizes import stt_sizes
from personaplex_ui.models.personaplex.loading.checkpoint_files import CheckpointUnusable
from personaplex_ui.models.personaplex.loading.gpu import GpuFacts
from personaplex_ui.models.personaplex.loading.gpu_memory import ModelBytes, ReaderBytes, model_bytes
from personaplex_ui.models.personaplex.loading.plan import Plan, Wishes, make_plan
from tests.support.gpus import A10G, H200, L4, RTX_4090, T4

USUAL = Wishes(persona_cache_bytes=512_000_000)
SAID = {"audio_delay_seconds": 0.5, "audio_silence_prefix_seconds": 0.0}


@pytest.fixture(scope="module")
def sums() -> tuple[ModelBytes, ReaderBytes]:
    sizes = stt_sizes({"model_type": "stt", "stt_config": SAID})
    return model_bytes({}, torch.bfloat16), reader_bytes(sizes, torch.bfloat16)


def planned(
    sums: tuple[ModelBytes, ReaderBytes], gpu: GpuFacts | None, wishes: Wishes = USUAL, demanded: bool = False
) -> tuple[Plan, Plan]:
    plan = make_plan(wishes, sums[0], gpu, "bfloat16")
    return plan, plan_captions(plan, wishes, sums[0], gpu, "bfloat16", sums[1], demanded)


def test_two_gigabytes_and_98_megabytes_a_call(sums: tuple[ModelBytes, ReaderBytes]) -> None:
    """0.99 billion numbers, and 24 codebooks of Mimi; 750 positions in 16 layers."""
    reader = sums[1]
    assert reader.stored / 1e9 == pytest.approx(2.03, abs=0.01)
    assert reader.read / 1e9 == pytest.approx(1.73, abs=0.01)
    assert reader.call == 2 * 16 * 750 * 2048 * 2


@pytest.mark.parametrize(("gpu", "calls"), [(L4, 11), (A10G, 5), (H200, 64)])
def test_where_there_is_room_only_the_number_of_calls_changes(
    sums: tuple[ModelBytes, ReaderBytes], gpu: GpuFacts, calls: int
) -> None:
    plan, with_captions = planned(sums, gpu)
    assert with_captions.slots == with_captions.by_memory == calls
    assert (with_captions.quantize, with_captions.kv_int8) == (plan.quantize, plan.kv_int8)
    assert with_captions.reasons[:-1] == plan.reasons
    assert "Captions of the caller by Kyutai STT: a frame of 4 calls" in with_captions.reasons[-1]


def test_an_l4_and_what_it_takes(sums: tuple[ModelBytes, ReaderBytes]) -> None:
    assert planned(sums, L4)[1].reasons[-1] == (
        "Captions of the caller by Kyutai STT: a frame of 4 calls with them is computed to take 61 ms on "
        "NVIDIA L4, of 64 ms."
    )


@pytest.mark.parametrize(
    ("gpu", "wishes", "says"),
    [
        (T4, USUAL, "No captions by Kyutai STT: beside them Tesla T4 has memory for 2 of 4 calls."),
        (RTX_4090, USUAL, "beside them NVIDIA GeForce RTX 4090 has memory for 2 of 4 calls."),
        (A10G, replace(USUAL, slots=2), "NVIDIA A10G has no memory for them beside the calls."),
        (
            L4,
            replace(USUAL, slots=8),
            "a frame of 8 calls with them is computed to take 78 ms on NVIDIA L4, over 64 ms.",
        ),
    ],
)
def test_where_there_is_none_the_calls_come_first(
    sums: tuple[ModelBytes, ReaderBytes], gpu: GpuFacts, wishes: Wishes, says: str
) -> None:
    with pytest.raises(NoRoom) as refused:
        planned(sums, gpu, wishes)
    assert str(refused.value).endswith(says)


def test_demanded_they_take_the_room_of_calls(sums: tuple[ModelBytes, ReaderBytes]) -> None:
    plan, with_captions = planned(sums, T4, demanded=True)
    assert (plan.slots, with_captions.slots) == (5, 2)
    assert with_captions.reasons[-1] == "Captions of the caller by Kyutai STT, as CAPTIONS says."
    assert planned(sums, None, demanded=True)[1].slots == 4


def test_demanded_where_they_do_not_fit(sums: tuple[ModelBytes, ReaderBytes]) -> None:
    with pytest.raises(CheckpointUnusable) as refused:
        planned(sums, A10G, replace(USUAL, slots=2), demanded=True)
    assert not isinstance(refused.value, NoRoom)
    assert "23.2 GB are free" in str(refused.value)
    assert "Or set CAPTIONS=auto" in str(refused.value)


def test_an_unknown_bandwidth_decides_by_memory_alone(sums: tuple[ModelBytes, ReaderBytes]) -> None:
    unknown = GpuFacts("NVIDIA X1", (9, 0), 48_000_000_000, 47_500_000_000)
    assert planned(sums, unknown)[1].reasons[-1].endswith("they fit the memory of NVIDIA X1.")
