"""A CUDA graph played on a CPU: records the operators of one call with their tensors, and replays them on the
same memory without running any Python of the call again.

Like a capture it refuses what a CUDA graph cannot hold, leaves no trace of the recording in memory, and
freezes every Python number. What ``torch.empty`` gave holds rubbish at every replay, as a graph's pool may.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from benchmarks.ticks.capturable import (
    NotCapturable,
    no_host_reads,
    operator_name,
    tensors_in,
    why_not_capturable,
)

UNINITIALISED = {"empty", "empty_like", "empty_permuted", "empty_strided", "new_empty", "new_empty_strided"}


@dataclass(frozen=True, slots=True)
class Operation:
    """One operator to run again. ``fresh``: which of its results were new memory, and the tensors that had
    them, which later operators read."""

    func: Any
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    fresh: tuple[tuple[int, Tensor], ...]

    def run(self) -> None:
        if operator_name(self.func) in UNINITIALISED:
            for _, kept in self.fresh:
                kept.copy_(rubbish(kept.dtype).expand(kept.shape))
            return
        results = tensors_in(self.func(*self.args, **self.kwargs))
        for number, kept in self.fresh:
            assert results[number].shape == kept.shape, f"{self.func}: another shape at the replay"
            kept.copy_(results[number])


class Tape:
    """``operations`` in order; views among them are not run again. Made by ``Tape.record``."""

    def __init__(self, operations: list[Operation], held: list[Tensor]) -> None:
        self.operations = operations
        self.replays = 0
        self._held = held
        """All tensors of the recording, so that their memory goes to nobody else."""

    @classmethod
    def record(cls, function: Callable[[], object]) -> "Tape":
        """Record ``function()``. Memory that it had not made itself is afterwards as it was before.

        Raises:
            NotCapturable: it does something that a CUDA graph cannot hold.
        """
        assert not torch.is_inference_mode_enabled(), "composite operators would be recorded whole"
        recorder = _Recorder()
        try:
            with torch.no_grad(), no_host_reads(), recorder:
                function()
        finally:
            recorder.undo()
        return cls(recorder.operations, recorder.held)

    def replay(self) -> None:
        """Run the recorded operators again, on the very same tensors."""
        self.replays += 1
        with torch.no_grad():
            for operation in self.operations:
                operation.run()


class _Recorder(TorchDispatchMode):
    def __init__(self) -> None:
        super().__init__()
        self.operations: list[Operation] = []
        self.held: list[Tensor] = []
        self._own: set[int] = set()
        """Addresses of memory made during the recording."""
        self._before: dict[int, tuple[Tensor, Tensor]] = {}
        """By address: all bytes of memory that was there before and has been written to, and their copy."""

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if func.namespace == "prim":
            return func(*args, **kwargs)
        trouble = why_not_capturable(func, args, kwargs)
        if trouble:
            raise NotCapturable(trouble)
        for written in _written(func, args, kwargs):
            self._keep(written)
        result = func(*args, **kwargs)
        known = {_address(tensor) for tensor in tensors_in((args, kwargs))}
        results = tensors_in(result)
        fresh = tuple(
            (number, tensor)
            for number, tensor in enumerate(results)
            if tensor.numel() and _address(tensor) not in known
        )
        self._own |= {_address(tensor) for _, tensor in fresh}
        if fresh or func._schema.is_mutable:
            self.operations.append(Operation(func, args, kwargs, fresh))
        self.held += results
        return result

    def _keep(self, written: Tensor) -> None:
        address = _address(written)
        if address and address not in self._own and address not in self._before:
            whole = torch.empty(0, dtype=torch.uint8).set_(written.untyped_storage())
            self._before[address] = whole, whole.clone()

    def undo(self) -> None:
        for whole, before in self._before.values():
            whole.copy_(before)


def _written(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Iterator[Tensor]:
    """The tensors among the arguments that ``func`` changes."""
    for number, argument in enumerate(func._schema.arguments):
        if argument.alias_info is not None and argument.alias_info.is_write:
            yield from tensors_in(args[number] if number < len(args) else kwargs.get(argument.name))


def _address(tensor: Tensor) -> int:
    if tensor.is_mkldnn:  # a packed weight: it hides its memory, and nobody writes to it
        return 0
    return tensor.untyped_storage().data_ptr()


def rubbish(dtype: torch.dtype) -> Tensor:
    """A value ``[]`` that shows wherever it is read."""
    if dtype.is_floating_point:
        return torch.tensor(float("nan"), dtype=dtype)
    return torch.tensor(True) if dtype == torch.bool else torch.tensor(torch.iinfo(dtype).max, dtype=dtype)
