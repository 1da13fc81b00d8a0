"""Indexing and attention for CUDA tensors that are only pretended.

Without a driver, a CUDA build of torch fails where it would choose the current device (a device guard) before
any dispatch mode is asked. This mode goes other ways to the same operators. Tensors of a CPU are left alone.
"""

from collections.abc import Mapping, Sequence
from typing import Any, cast

import torch
from torch import Tensor
from torch.nn.functional import pad
from torch.overrides import TorchFunctionMode

aten: Any = torch.ops.aten

MASK_ALIGNMENT = 16
"""Efficient attention reads the rows of its bias in steps of so many numbers."""


class GuardlessIndexing(TorchFunctionMode):
    def __torch_function__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        kwargs = dict(kwargs or {})
        if func in (torch.tensor, torch.as_tensor) and kwargs.get("device") is not None:
            device = kwargs.pop("device")
            return func(*args, **kwargs).to(device)
        if not args or not isinstance(args[0], Tensor) or args[0].device.type != "cuda":
            return func(*args, **kwargs)
        match getattr(func, "__name__", ""):
            case "__getitem__":
                return _read(*args)
            case "__setitem__":
                return _write(*args)
            case "__invert__" | "bitwise_not":
                return aten.bitwise_not.default(args[0])
            case "contiguous" if not args[0].is_contiguous():
                return aten.clone.default(args[0], memory_format=torch.contiguous_format)
            case "contiguous":
                return args[0]
            case "nonzero":
                return aten.nonzero.default(args[0])
            case "copy_":
                return aten.copy_.default(*args, **kwargs)
            case "scaled_dot_product_attention":
                return _attention(*args, **kwargs)
            case _:
                return func(*args, **kwargs)


def _read(tensor: Tensor, key: Any) -> Tensor:
    view, advanced = _selected(tensor, key)
    if advanced:
        return aten.index.Tensor(view, advanced)
    return aten.alias.default(view) if view is tensor else view


def _write(tensor: Tensor, key: Any, value: Any) -> None:
    view, advanced = _selected(tensor, key)
    masks = [one for one in advanced if one is not None]
    if not advanced:
        if isinstance(value, Tensor):
            aten.copy_.default(view, value)
        else:
            view.fill_(value)
    elif len(masks) == 1 and masks[0].dtype == torch.bool and not isinstance(value, Tensor):
        view.masked_fill_(masks[0].reshape(masks[0].shape + (1,) * (view.dim() - masks[0].dim())), value)
    else:
        given = value if isinstance(value, Tensor) else torch.tensor(value, dtype=tensor.dtype)
        aten.index_put_.default(view, advanced, given.to(tensor.device) if given.dim() else given)


def _selected(tensor: Tensor, key: Any) -> tuple[Tensor, list[Tensor | None]]:
    """The view that numbers, slices and None select, and the tensors that index it, if there are any."""
    view, dim = tensor, 0
    advanced: list[Tensor | None] = []
    for part in _whole_key(tensor, key):
        if part is None:
            view, dim = aten.unsqueeze.default(view, dim), dim + 1
            advanced.append(None)
        elif isinstance(part, slice):
            if part != slice(None):
                view = aten.slice.Tensor(view, dim, part.start, part.stop, part.step or 1)
            dim += 1
            advanced.append(None)
        elif isinstance(part, int) and not isinstance(part, bool):
            view = aten.select.int(view, dim, part)
        else:
            # A list becomes a tensor on the CPU, which is brought to the device.
            index = part if isinstance(part, Tensor) else torch.tensor(part)
            advanced.append(index if index.device == tensor.device else index.to(tensor.device))
            dim += index.dim() if index.dtype == torch.bool else 1
    return view, advanced if any(one is not None for one in advanced) else []


def _whole_key(tensor: Tensor, key: Any) -> list[Any]:
    """One part for each dimension: what ``...`` and missing parts stand for is filled in."""
    parts = list(cast(Sequence[Any], key)) if isinstance(key, tuple) else [key]
    if not any(part is Ellipsis for part in parts):
        parts.append(Ellipsis)
    taken = sum(
        part.dim() if isinstance(part, Tensor) and part.dtype == torch.bool else 1
        for part in parts
        if part is not None and part is not Ellipsis
    )
    place = next(number for number, part in enumerate(parts) if part is Ellipsis)
    return [*parts[:place], *[slice(None)] * (tensor.dim() - taken), *parts[place + 1 :]]


def _attention(
    q: Tensor, k: Tensor, v: Tensor, attn_mask: Tensor | None = None, dropout_p: float = 0.0, **options: Any
) -> Tensor:
    """What torch does on a GPU (``attention.cpp``): flash attention takes no mask, and efficient attention
    makes a bias of a mask, padded to its alignment."""
    assert dropout_p == 0.0, "no dropout in a tick"
    if attn_mask is None:
        causal = bool(options.get("is_causal", False))
        return aten._scaled_dot_product_flash_attention.default(
            q, k, v, 0.0, causal, scale=options.get("scale")
        )[0]
    bias = attn_mask
    if bias.dtype == torch.bool:
        nothing, hidden = (torch.scalar_tensor(x, dtype=q.dtype, device=q.device) for x in (0.0, -torch.inf))
        bias = torch.where(bias, nothing, hidden)
    last = bias.shape[-1]
    if missing := -last % MASK_ALIGNMENT:
        bias = aten.slice.Tensor(pad(bias, [0, missing]), bias.dim() - 1, 0, last)
    bias = bias.expand(*q.shape[:3], k.shape[2])
    scale = options.get("scale")
    return aten._scaled_dot_product_efficient_attention.default(q, k, v, bias, False, scale=scale)[0]
