"""The Triton kernels compiled for GPUs that are not there: what no CPU can run, it can still compile."""

import pytest

from personaplex_ui.models.personaplex.kernels.triton_setup import triton_missing
from tests.support.compiled_kernels import ARCHITECTURES, CASES, MUST_SPILL, Compiled, compile_all

# One process compiles them all.
pytestmark = [
    pytest.mark.timeout(300),
    pytest.mark.skipif(bool(triton_missing()), reason=triton_missing() or "-"),
]

TENSOR_CORES = "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32"
SHARED_BYTES = 99 * 1024
"""What one block of threads may have on an L4."""


@pytest.fixture(scope="module")
def compiled() -> list[Compiled]:
    return compile_all()


def of(compiled: list[Compiled], architecture: int, case: str) -> list[Compiled]:
    return [one for one in compiled if (one.architecture, one.case) == (architecture, case)]


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("case", CASES)
def test_no_kernel_spills_its_registers(compiled: list[Compiled], architecture: int, case: str):
    found = of(compiled, architecture, case)
    assert found
    assert {one.kernel: one.spilled_bytes for one in found} == {one.kernel: 0 for one in found}
    assert max(one.shared_bytes for one in found) <= SHARED_BYTES


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_steps_of_the_depth_transformer_share_one_kernel(compiled: list[Compiled], architecture: int):
    assert len(of(compiled, architecture, "depth")) == 1


def test_a_kernel_that_spills_is_found(compiled: list[Compiled]):
    (found,) = of(compiled, ARCHITECTURES[0], MUST_SPILL)
    assert found.spilled_bytes > 0


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_few_and_many_rows_are_multiplied_by_the_same_instruction(
    compiled: list[Compiled], architecture: int
):
    """With each thread's numbers in the same order: so an answer does not depend on how many rows there are.
    From 64 rows on, compute capability 9.0 would have another instruction."""
    tiles = [
        one
        for case in ("few rows", "few rows, few outputs", "many rows")
        for one in of(compiled, architecture, case)
    ]
    assert len(tiles) == 3
    assert {tuple(one.products) for one in tiles} == {
        ("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32",)
    }
    assert len({tuple(one.operands) for one in tiles}) == 1


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize(
    ("case", "kernel"), [("a tick", "_attend"), ("a tick, int8", "_attend"), ("heads", "_linear")]
)
def test_what_can_be_is_on_tensor_cores(compiled: list[Compiled], architecture: int, case: str, kernel: str):
    (found,) = (one for one in of(compiled, architecture, case) if one.kernel == kernel)
    assert found.products == [TENSOR_CORES]
