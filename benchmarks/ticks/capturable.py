"""Which operators a CUDA graph cannot hold, or would hold with a value of today frozen in it.

Knows operators and their tensors, not who runs them: the device lint and the tests' tape both ask here.
Stricter than CUDA in one thing: random numbers are drawn outside the graph, so that seeds
keep their meaning.
"""

from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, cast
from unittest.mock import patch

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils import _pytree as pytree

WAITS_WITHOUT_TAG = {"nonzero_static", "_linalg_check_errors"}
"""Operators that wait for the device, but carry none of torch's tags that say so."""

INDEXING = {"index", "index_put", "index_put_", "_index_put_impl_", "_unsafe_index", "_unsafe_index_put"}
FROM_NUMBERS = {"lift", "lift_fresh", "lift_fresh_copy"}
"""What ``torch.tensor`` and its relatives call."""

COPIES = {"copy_", "_to_copy"}

MOVES = {"set_", "resize_", "resize_as_"}

READS_ON_THE_HOST = {
    "cpu",
    "numpy",
    "tolist",
    "item",
    "__array__",
    "__bool__",
    "__float__",
    "__index__",
    "__int__",
}
MAKES_OF_HOST_MEMORY = {"tensor", "as_tensor", "asarray", "frombuffer", "from_numpy"}


class NotCapturable(RuntimeError):
    """A CUDA graph could not hold this."""


def tensors_in(tree: object) -> list[Tensor]:
    """All tensors in nested arguments or results, in order."""
    leaves: list[object] = pytree.tree_leaves(tree)
    return [leaf for leaf in leaves if isinstance(leaf, Tensor)]


def operator_name(func: Any) -> str:
    """``index_put_`` for ``torch.ops.aten.index_put_.default``."""
    return func._schema.name.rpartition("::")[2]


def why_not_capturable(func: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> str:
    """Why the operator ``func``, called like this, cannot be captured; empty if it can."""
    name = operator_name(func)
    if name in FROM_NUMBERS and not _is_plain_number(args[0]):
        return f"{name}: a tensor made of Python numbers, which is a copy from the host"
    if name in MOVES:
        return f"{name}: a tensor gets other memory"
    if name in INDEXING:
        if any(index.dtype in (torch.bool, torch.uint8) for index in tensors_in(args[1])):
            return f"{name} with a boolean mask: its result has a data-dependent shape"
    elif torch.Tag.dynamic_output_shape in func.tags:
        return f"{name}: a data-dependent shape, for which the host waits"
    if torch.Tag.data_dependent_output in func.tags or name in WAITS_WITHOUT_TAG:
        return f"{name}: the host waits for a value"
    if torch.Tag.nondeterministic_seeded in func.tags and _is_random(func, args, kwargs):
        return f"{name}: random numbers"
    devices = _devices(name, args, kwargs)
    if len(devices) > 1:
        return f"{name}: a copy between devices ({', '.join(devices)})"
    return ""


def _is_random(func: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> bool:
    """Attention carries the tag because of its dropout."""
    given: dict[str, Any] = {}
    for number, argument in enumerate(func._schema.arguments):
        value = args[number] if number < len(args) else kwargs.get(argument.name, argument.default_value)
        given[argument.name] = value
    return given.get("dropout_p", 1.0) != 0.0


def _devices(name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> list[str]:
    copies = name in COPIES
    found = {t.device.type for t in tensors_in((args, kwargs)) if copies or not _is_plain_number(t)}
    wanted = kwargs.get("device")
    if wanted is not None:
        found.add(torch.device(wanted).type)
    return sorted(found)


def _is_plain_number(tensor: Tensor) -> bool:
    """Without dimensions, on the CPU: it goes to a kernel as its argument. ``x[0] = 1.0`` makes one."""
    return tensor.dim() == 0 and tensor.device.type == "cpu"


class NoHostReads(TorchFunctionMode):
    """Refuses what reads or makes a tensor in host memory without an operator, as it does on a CPU."""

    def __torch_function__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        name: str = getattr(func, "__name__", "")
        if name in READS_ON_THE_HOST:
            raise NotCapturable(f"{name}: the host reads a tensor")
        if name in MAKES_OF_HOST_MEMORY:
            raise NotCapturable(f"{name}: a tensor made in host memory")
        return func(*args, **(kwargs or {}))


@contextmanager
def no_host_reads() -> Generator[None]:
    """``NoHostReads`` for a while. Modes do not see ``from_numpy`` and ``frombuffer``."""

    def refuse(*_: object, **__: object) -> object:
        raise NotCapturable("from_numpy or frombuffer: a tensor made in host memory")

    torch_module = cast(Any, torch)
    with (
        patch.object(torch_module, "from_numpy", refuse),
        patch.object(torch_module, "frombuffer", refuse),
        NoHostReads(),
    ):
        yield
