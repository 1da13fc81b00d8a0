"""Writes checkpoints for the tests: safetensors files byte by byte, and models of any size as released."""

import json
import math
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor

from personaplex_ui.models.personaplex.loading.checkpoint import empty_language_model
from personaplex_ui.models.personaplex.loading.checkpoint_files import Config
from personaplex_ui.models.personaplex.loading.model_sizes import language_model_sizes

Shapes = Mapping[str, tuple[int, ...]]

PATTERN = torch.arange(1, 2**20 + 1, dtype=torch.float32).mul_(1e-7).bfloat16()


def write_safetensors(path: Path, tensors: Mapping[str, Tensor], kind: str = "BF16") -> None:
    """``tensors`` must be of ``kind``; anything may be claimed."""
    shapes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    sizes = {name: tensor.nbytes for name, tensor in tensors.items()}
    with path.open("wb") as file:
        file.write(_header(shapes, sizes, kind))
        for tensor in tensors.values():
            file.write(_bytes(tensor))


def write_model(path: Path, config: Config) -> int:
    """A language model of the sizes of ``config`` as released: BF16, all depth steps. Returns its bytes."""
    shapes = released_shapes(config)
    sizes = {name: 2 * math.prod(shape) for name, shape in shapes.items()}
    pattern = _bytes(PATTERN)
    with path.open("wb") as file:
        file.write(_header(shapes, sizes, "BF16"))
        for size in sizes.values():
            for start in range(0, size, len(pattern)):
                file.write(pattern[: size - start])
    return sum(sizes.values())


def released_shapes(config: Config) -> Shapes:
    """Names and shapes of the released file, from moshi's own model with all depth steps."""
    model = empty_language_model(language_model_sizes(config).arguments, torch.bfloat16)
    shapes: dict[str, tuple[int, ...]] = {}
    for name, tensor in model.state_dict().items():
        merged, step = name, 0
        for way, released in (("in_projs", "in_proj_weight"), ("out_projs", "out_proj.weight")):
            if f".{way}." in name:
                before, _, after = name.partition(f"{way}.")
                merged, step = before + released, int(after.removesuffix(".weight"))
        shapes[merged] = (tensor.shape[0] * (step + 1), *tensor.shape[1:])
    return shapes


def _header(shapes: Shapes, sizes: Mapping[str, int], kind: str) -> bytes:
    entries: dict[str, Any] = {}
    offset = 0
    for name, shape in shapes.items():
        entries[name] = {
            "dtype": kind,
            "shape": list(shape),
            "data_offsets": [offset, offset + sizes[name]],
        }
        offset += sizes[name]
    return with_length(json.dumps(entries).encode())


def with_length(header: bytes) -> bytes:
    return struct.pack("<Q", len(header)) + header


def _bytes(tensor: Tensor) -> bytes:
    flat = tensor.contiguous().view(-1).view(torch.uint8)
    return cast(Any, flat.numpy()).tobytes()
