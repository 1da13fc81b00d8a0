"""What PyTorch is told about the operators: what they write, and the shapes of what they return."""

from typing import Any, cast

import pytest
import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode

from personaplex_ui.models.personaplex.kernels import (
    embedding,
    gating,
    int8_linear,
    norm,
    ring,
    row_linear,
    sampling,
    step_attention,
)

OPERATORS: Any = cast(Any, torch.ops).personaplex
HEADS, HEAD_DIM, WINDOW = 2, 16, 8
X = torch.randn(2, 1, 32)
WEIGHT = torch.randint(-127, 128, (48, 32), dtype=torch.int8)
QKV = torch.randn(2, 1, 3, HEADS, HEAD_DIM)
ANGLES = torch.randn(2, 1, HEAD_DIM // 2)
POSITIONS = torch.tensor([[3], [9]])
PINNED = torch.tensor([0, 2])


def rings(dtype: torch.dtype) -> list[Tensor | None]:
    shape = (2, HEADS, WINDOW, HEAD_DIM)
    both: list[Tensor | None] = [torch.ones(shape).to(dtype) for _ in range(2)]
    return both + ([torch.ones(shape[:3]) for _ in range(2)] if dtype == torch.int8 else [None, None])


Case = tuple[Any, tuple[Any, ...]]
CASES: dict[str, Case] = {
    "rms_norm": (OPERATORS.rms_norm.default, (X, torch.ones(32), 1e-8)),
    "add_rms_norm": (OPERATORS.add_rms_norm.default, (X, X + 1, torch.ones(32), 1e-8)),
    "silu_mul": (OPERATORS.silu_mul.default, (X,)),
    "embed_sum": (
        OPERATORS.embed_sum.default,
        (torch.tensor([[0, 1], [1, 0]]), [X[:, 0], X[:, 0]], X[:, 0]),
    ),
    "sample_top_k": (
        OPERATORS.sample_top_k.default,
        (X[:, 0], X[:, 0].exp(), torch.ones(2), torch.tensor([1, 5]), torch.tensor([True, False]), 7),
    ),
    "row_linear": (OPERATORS.row_linear.default, (X, torch.randn(48, 32))),
    "step_attention": (
        OPERATORS.step_attention.default,
        (QKV[:, 0], torch.randn(2, 2, HEADS, WINDOW, HEAD_DIM), 3),
    ),
    "int8_linear": (OPERATORS.int8_linear.default, (X, WEIGHT, torch.ones(48))),
}
for kind in (torch.float32, torch.int8):
    for pinned in (False, True):
        name = f"{str(kind)[6:]}{' pinned' if pinned else ''}"
        seen = (ANGLES, ANGLES) if pinned else (None, None)
        rope = (QKV, ANGLES, ANGLES, *seen, *rings(kind), POSITIONS % WINDOW)
        CASES[f"rope_and_store {name}"] = (OPERATORS.rope_and_store.default, rope)
        queries = torch.randn(2, 2, HEADS, 1, HEAD_DIM)
        attention = (queries[0], queries[1] if pinned else None, *rings(kind), POSITIONS, PINNED)
        CASES[f"ring_attention {name}"] = (OPERATORS.ring_attention.default, attention)


@pytest.mark.parametrize("case", CASES.values(), ids=list(CASES))
def test_an_operator_keeps_to_its_declaration(case: Case):
    """It writes only what it says, and its stand-in for shapes returns the same shapes."""
    cast(Any, torch.library).opcheck(*case, test_utils=("test_schema", "test_faketensor"))


class Seen(TorchDispatchMode):
    """The operators that a pretended device is given, views and allocations aside."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if not func.is_view and func.namespace != "prim" and "empty" not in func.name():
            self.names.append(func.name())
        return func(*args, **(kwargs or {}))


def test_on_a_pretended_gpu_each_is_one_operator():
    with FakeTensorMode(), torch.no_grad(), Seen() as seen:
        x = torch.empty(2, 1, 32, device="cuda", dtype=torch.bfloat16)
        weight = torch.empty(48, 32, device="cuda", dtype=torch.int8)
        cache = torch.empty(2, 2, HEADS, WINDOW, HEAD_DIM, device="cuda", dtype=torch.bfloat16)
        positions = torch.empty(2, 1, device="cuda", dtype=torch.int64)
        angle = torch.empty(2, 1, HEAD_DIM // 2, device="cuda")
        steps = torch.empty(2, 2, HEADS, WINDOW, HEAD_DIM, device="cuda", dtype=torch.bfloat16)
        qkv = torch.empty(2, 1, 3, HEADS, HEAD_DIM, device="cuda", dtype=torch.bfloat16)
        norm.rms_norm(x, angle.view(-1), 1e-8)
        norm.add_rms_norm(x, x, angle.view(-1), 1e-8)
        assert embedding.embed_sum(positions, [weight, weight]).shape == (2, 32)
        flat, row = positions.view(-1), x.view(2, 32)
        drawn = sampling.sample_top_k(row, row, angle.view(-1), flat, flat, 5)
        assert (drawn.shape, drawn.dtype) == ((2,), torch.int64)
        assert gating.silu_mul(x).shape == (2, 1, 16)
        assert int8_linear.int8_linear(x, weight, x.view(-1)).shape == (2, 1, 48)
        assert row_linear.row_linear(x, x.view(2, 32)).shape == (2, 1, 2)
        seen_step = step_attention.step_attention(qkv.view(2, 3, HEADS, HEAD_DIM), steps, 7)
        assert seen_step.shape == (2, HEADS * HEAD_DIM)
        layer = ring.RingLayer(*cache.unbind(0))
        turned = ring.Turns(angle, angle)
        q, q_pinned = ring.rope_and_store(qkv, turned, turned, layer, positions)
        assert q.shape == q_pinned.shape == (2, HEADS, 1, HEAD_DIM)
        at = ring.RingPositions(positions, positions.view(-1), 5)
        given = ring.ring_attention(q, q_pinned, layer, at)
        assert (given.shape, given.device.type) == ((2, 1, HEADS * HEAD_DIM), "cuda")
    names = ["rms_norm", "add_rms_norm", "embed_sum", "sample_top_k", "silu_mul", "int8_linear", "row_linear"]
    names += ["step_attention", "rope_and_store", "ring_attention"]
    assert seen.names == [f"personaplex::{name}" for name in names]
