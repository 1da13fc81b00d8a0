"""The Triton kernels beside their plain PyTorch, in Triton's interpreter."""

import pytest

from personaplex_ui.models.personaplex.kernels.triton_setup import triton_missing
from tests.support.interpreted_kernels import CASES, MUST_FAIL, run_all

# One process runs them all.
pytestmark = [
    pytest.mark.timeout(300),
    pytest.mark.skipif(bool(triton_missing()), reason=triton_missing() or "-"),
]


@pytest.fixture(scope="module")
def raised() -> dict[str, str]:
    return run_all()


@pytest.mark.parametrize("case", [case for case in CASES if not case.startswith(MUST_FAIL)])
def test_a_kernel_does_what_its_twin_does(raised: dict[str, str], case: str):
    assert not raised[case], raised[case]


@pytest.mark.parametrize("case", [case for case in CASES if case.startswith(MUST_FAIL)])
def test_a_kernel_that_does_not_is_found(raised: dict[str, str], case: str):
    assert "AssertionError: off by" in raised[case]
