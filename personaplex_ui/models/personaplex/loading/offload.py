"""Layers that stay in host memory and take turns on the device, so that weights larger than the GPU fit.

Each step copies every layer again, 12 GB for the 7B model, so it is for clips only.
"""

from collections.abc import Iterator
from math import prod
from typing import Any, cast

import torch
from moshi.models.lm import LMModel
from torch import Tensor
from torch.nn import Module, ModuleList

ON_HOST = "transformer.layers."
"""The prefix of the tensors that stay in host memory."""

CHUNK_BYTES = 32 * 2**20
"""A power of two: PyTorch rounds the size of each page-locked buffer up to one."""

ALIGNMENT = 256
"""CUDA's own alignment, with which the kernels are fastest."""


def move_layers_to_host(lm: LMModel, device: torch.device) -> None:
    """Let the temporal layers of ``lm``, loaded in host memory, run on ``device``."""
    transformer: Any = lm.transformer
    transformer.layers = HostLayers(transformer.layers, device)


def device_bytes(lm: LMModel) -> int:
    """Device memory of the weights of ``lm``, which may be on the meta device, when offloaded."""
    state = lm.state_dict()
    resident = sum(tensor.nbytes for name, tensor in state.items() if not name.startswith(ON_HOST))
    return resident + _Layout(lm.transformer.layers[0]).total


class HostLayers(Module):
    """Like an ``nn.ModuleList`` of equal layers, for iteration only: each is on ``device`` until the next one
    replaces it.

    The given layers lose their weights.
    """

    def __init__(self, layers: ModuleList, device: torch.device) -> None:
        super().__init__()
        first = layers[0]
        layout = _Layout(first)
        self._on_host = [_packed(layer, layout, device.type == "cuda") for layer in layers]
        self._staged = torch.empty(layout.total, dtype=torch.uint8, device=device)
        first.load_state_dict(layout.tensors_in(self._staged), assign=True)
        self._layer = first.requires_grad_(False)

    def __len__(self) -> int:
        return len(self._on_host)

    def __iter__(self) -> Iterator[Module]:
        for chunks in self._on_host:
            start = 0
            for chunk in chunks:
                # Ordered by the device's stream: after the last read of the previous layer, before the first
                # of this one.
                self._staged[start : start + len(chunk)].copy_(chunk, non_blocking=True)
                start += len(chunk)
            yield self._layer


class _Layout:
    """The positions of a layer's tensors in one run of ``total`` bytes."""

    def __init__(self, layer: Module) -> None:
        self._places: dict[str, tuple[int, torch.dtype, torch.Size]] = {}
        self.total = 0
        for name, tensor in layer.state_dict().items():
            self._places[name] = (self.total, tensor.dtype, tensor.shape)
            self.total += -(-tensor.nbytes // ALIGNMENT) * ALIGNMENT

    def tensors_in(self, run: Tensor) -> dict[str, Tensor]:
        """The tensors as views of ``run``, uint8 ``[total]``."""
        return {
            name: run[start : start + prod(shape) * dtype.itemsize].view(dtype).view(shape)
            for name, (start, dtype, shape) in self._places.items()
        }


def _packed(layer: Module, layout: _Layout, page_locked: bool) -> list[Tensor]:
    """Move the weights of ``layer`` into chunks of bytes."""
    run = torch.zeros(layout.total, dtype=torch.uint8)
    held = layer.state_dict()
    places = layout.tensors_in(run)
    assert {name: (t.dtype, t.shape) for name, t in held.items()} == {
        name: (t.dtype, t.shape) for name, t in places.items()
    }, "the layers differ"
    for name, place in places.items():
        place.copy_(held[name])
    layer.to("meta")
    parts: tuple[Tensor, ...] = cast(Any, run).split(CHUNK_BYTES)
    return [part.pin_memory() if page_locked else part.clone() for part in parts]
