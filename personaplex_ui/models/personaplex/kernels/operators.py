"""Makes functions operators of PyTorch (``torch.library``), in the namespace ``personaplex``."""

from collections.abc import Callable
from typing import Any, cast

import torch
from torch.library import Library

NAMESPACE = "personaplex"

_library = Library(NAMESPACE, "FRAGMENT")


def register(
    schema: str, twin: Callable[..., Any], on_gpu: Callable[..., Any], fake: Callable[..., Any]
) -> Callable[..., Any]:
    """The operator of ``schema``, which declares what it writes, as in ``Tensor(a!) keys``.

    ``twin`` is what it does on a CPU, ``on_gpu`` on CUDA; ``fake`` returns tensors of the right shapes.
    """
    name = schema.partition("(")[0]
    _library.define(schema)
    _library.impl(name, twin, "CPU")
    _library.impl(name, on_gpu, "CUDA")
    cast(Any, torch.library).register_fake(f"{NAMESPACE}::{name}", fake, lib=_library)
    return cast(Any, torch.ops).personaplex.__getattr__(name).default
