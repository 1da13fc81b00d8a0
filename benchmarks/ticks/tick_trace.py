"""Watches one tick: its operators by part, its copies between host and device, and what a CUDA graph could
not hold, with the line that asked for it."""

import inspect
from collections import Counter, defaultdict
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from torch import Tensor
from torch.utils import _pytree as pytree
from torch.utils._python_dispatch import TorchDispatchMode

from benchmarks.ticks.capturable import NotCapturable, operator_name, tensors_in, why_not_capturable

VIEWS = {"detach", "alias", "_unsafe_view", "_reshape_alias", "lift_fresh"}
"""Views that torch's schemas do not call so."""

ALLOCATIONS = {"empty", "empty_like", "empty_permuted", "empty_strided", "new_empty", "new_empty_strided"}

REST = "rest"
LINES_OF_INTEREST = ("/personaplex_ui/", "/site-packages/moshi/", "/tests/")


class TickTrace(TorchDispatchMode):
    """Active as a context.

    ``operators``: those that were launched, by part and name; without views, allocations and what happens on
    the host alone. ``outside``: the same for what is done before and after the captured part.
    ``host_copies``: one sentence for each. ``findings``: what a CUDA graph could not hold, in the captured
    part. ``calls``: each operator there with the numbers and the places in memory that it is given, all of
    which a graph freezes.
    """

    def __init__(self) -> None:
        super().__init__()
        self.operators: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self.outside: Counter[str] = Counter()
        self.host_copies: list[str] = []
        self.findings: Counter[str] = Counter()
        self.calls: list[str] = []
        self._parts = [REST]
        self._is_captured = False

    @property
    def launches(self) -> int:
        """Operators of the captured part."""
        return sum(names.total() for names in self.operators.values())

    @contextmanager
    def captured(self) -> Generator[None]:
        """What runs within is what a CUDA graph would hold."""
        self._is_captured = True
        try:
            yield
        finally:
            self._is_captured = False

    @contextmanager
    def part(self, name: str) -> Generator[None]:
        """What runs within belongs to ``name``; the innermost part counts."""
        self._parts.append(name)
        try:
            yield
        finally:
            self._parts.pop()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if func.namespace == "prim":
            return func(*args, **kwargs)
        trouble = why_not_capturable(func, args, kwargs) if self._is_captured else ""
        if trouble:
            trouble = f"{asking_line()}: {trouble}"
            self.findings[trouble] += 1
        try:
            result = func(*args, **kwargs)
        except RuntimeError as error:
            if trouble:  # a pretended device knows no shape that depends on data
                raise NotCapturable(trouble) from error
            raise
        if self._is_launched(func, tensors_in((args, kwargs)), tensors_in(result)):
            self._count(operator_name(func), args, kwargs)
        return result

    def _is_launched(self, func: Any, given: list[Tensor], results: list[Tensor]) -> bool:
        """Whether it is an operator of the device; copies from and to the host are noted."""
        name = operator_name(func)
        devices = {tensor.device.type for tensor in (*given, *results)}
        copied = name in ("copy_", "_to_copy") and len(devices) > 1
        if copied or name == "_local_scalar_dense":
            copy = f"{name} of {list(given[-1].shape)}" if copied else "a value read by the host"
            self.host_copies.append(f"{asking_line()}: {copy}")
            return False
        return not (func.is_view or name in VIEWS or name in ALLOCATIONS or devices <= {"cpu"})

    def _count(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        if not self._is_captured:
            self.outside[name] += 1
            return
        self.operators[self._parts[-1]][name] += 1
        leaves: list[object] = pytree.tree_leaves((args, kwargs))
        self.calls.append(f"{name}({', '.join(_frozen(leaf) for leaf in leaves)})")


def _frozen(argument: object) -> str:
    if isinstance(argument, Tensor):
        return f"{list(argument.shape)} in steps of {argument.stride()} from {argument.storage_offset()}"
    return repr(argument)


def asking_line() -> str:
    """The innermost line of the product, of moshi or of a test, as ``stepper.py:120``."""
    frame = inspect.currentframe()
    while frame is not None:
        path = frame.f_code.co_filename
        if any(part in path for part in LINES_OF_INTEREST):
            return f"{path.rpartition('/')[2]}:{frame.f_lineno}"
        frame = frame.f_back
    return "?"
