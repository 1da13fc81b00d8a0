"""Makes functions operators of PyTorch (``torch.library``), in the namespace ``personaplex``.

On a GPU an operator is its Triton kernel if that has stood its trial there, else plain PyTorch. That is
decided once in a process.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, cast

import torch
from torch.library import Library

from personaplex_ui.models.personaplex.kernels.samples import SAMPLES
from personaplex_ui.models.personaplex.kernels.trial import trouble_of
from personaplex_ui.models.personaplex.kernels.triton_setup import triton_missing

log = logging.getLogger(__name__)

NAMESPACE = "personaplex"
LEAST_CAPABILITY = (8, 0)
"""Tensor cores take bfloat16 from here on, which the kernels rely on."""

_library = Library(NAMESPACE, "FRAGMENT")


@dataclass(eq=False)
class Operator:
    name: str
    twin: Callable[..., Any]
    kernel: Callable[..., Any]
    _troubles: dict[int, str] = field(default_factory=dict[int, str])

    def on_gpu(self, *args: Any) -> Any:
        return self.twin(*args) if self.trouble(args[0].device) else self.kernel(*args)

    def trouble(self, device: torch.device) -> str:
        """Why the kernel is not used on ``device``, a GPU with its index. The first time, it is tried."""
        index = device.index
        if index not in self._troubles:
            found = triton_missing() or _too_old(device)
            found = found or trouble_of(self.name, self.twin, self.kernel, SAMPLES[self.name], device)
            self._troubles[index] = found
            if found:
                log.warning("%s Plain PyTorch is used for %s, which is slower.", found, self.name)
        return self._troubles[index]


OPERATORS: dict[str, Operator] = {}
"""All that are registered, by name."""


def register(
    schema: str, twin: Callable[..., Any], kernel: Callable[..., Any], fake: Callable[..., Any]
) -> Callable[..., Any]:
    """The operator of ``schema``, which declares what it writes, as in ``Tensor(a!) keys``.

    ``twin`` is its plain PyTorch, and ``kernel`` launches Triton's. ``fake`` returns tensors of the right
    shapes.
    """
    name = schema.partition("(")[0]
    operator = OPERATORS[name] = Operator(name, twin, kernel)
    _library.define(schema)
    _library.impl(name, twin, "CPU")
    _library.impl(name, operator.on_gpu, "CUDA")
    cast(Any, torch.library).register_fake(f"{NAMESPACE}::{name}", fake, lib=_library)
    return cast(Any, torch.ops).personaplex.__getattr__(name).default


def _too_old(device: torch.device) -> str:
    capability = torch.cuda.get_device_capability(device)
    if torch.version.hip is not None or capability >= LEAST_CAPABILITY:
        return ""
    return (
        f"{torch.cuda.get_device_name(device)} has compute capability {capability[0]}.{capability[1]}, and "
        f"Triton's kernels need {LEAST_CAPABILITY[0]}.{LEAST_CAPABILITY[1]}."
    )
