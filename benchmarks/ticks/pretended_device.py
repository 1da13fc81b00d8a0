"""A CUDA device that is only pretended: tensors on it have shapes and no memory, so that any machine can see
which operators a model of any size would launch.

What happens in host memory is real. What comes from the device is zeros.
"""

from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from typing import Any, cast
from unittest.mock import patch

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode, unset_fake_temporarily
from torch.utils._python_dispatch import TorchDispatchMode

from benchmarks.ticks.capturable import operator_name, tensors_in
from benchmarks.ticks.guardless import GuardlessIndexing

DEVICE = torch.device("cuda:0")
"""With its number: to ask which device is current would need a driver."""


@contextmanager
def pretended_device() -> Generator[None]:
    """Within, ``cuda`` is the pretended device. What is made on it must not be used outside."""
    generator = torch.Generator

    def on_host(device: object = None) -> torch.Generator:
        return generator()

    with ExitStack() as stack:
        stack.enter_context(FakeTensorMode(allow_non_fake_inputs=True))
        stack.enter_context(_RealHost())
        stack.enter_context(GuardlessIndexing())
        stack.enter_context(cast(Any, torch).no_grad())
        stack.enter_context(patch.object(cast(Any, torch), "Generator", on_host))
        yield


class _RealHost(TorchDispatchMode):
    """Operators of the CPU are run, and copies from the device bring zeros."""

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = dict(kwargs or {})
        name = operator_name(func)
        tensors = tensors_in((args, kwargs))
        wanted = kwargs.get("device")
        to_host = wanted is not None and torch.device(wanted).type == "cpu"
        if all(_on_host(tensor) for tensor in tensors) and (wanted is None or to_host):
            kwargs.pop("pin_memory", None)  # needs a driver
            with unset_fake_temporarily():
                return func(*args, **kwargs)
        kwargs.pop("generator", None)  # of the host, see pretended_device
        if name == "_to_copy" and to_host:
            return _zeros(args[0], kwargs.get("dtype"))
        if name == "_to_copy" and _on_host(args[0]):
            dtype = kwargs.get("dtype") or args[0].dtype
            return torch.empty(tuple(args[0].shape), dtype=dtype, device=wanted)
        if name == "copy_" and _on_host(args[0]):
            return args[0]
        if name == "_local_scalar_dense":
            with unset_fake_temporarily():
                return torch.zeros((), dtype=args[0].dtype).item()
        return func(*args, **kwargs)


def _on_host(tensor: Tensor) -> bool:
    return tensor.device.type == "cpu"


def _zeros(like: Tensor, dtype: torch.dtype | None) -> Tensor:
    with unset_fake_temporarily():
        return torch.zeros(tuple(like.shape), dtype=dtype or like.dtype)
