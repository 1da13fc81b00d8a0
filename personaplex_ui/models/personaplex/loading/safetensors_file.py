"""Reads tensors from a safetensors file, one at a time and from any row on, straight to their device.

Knows the format (https://huggingface.co/docs/safetensors, "Format") and no model. The file is read, not
mapped: mapped pages would count as memory of this process until the last tensor is there.
"""

import json
import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, cast

import torch
from spaces.config import Config
from torch import Tensor

from personaplex_ui.models.personaplex.loading.checkpoint_files import CheckpointUnusable

CHUNK_BYTES = 16 * 2**20
MAX_HEADER_BYTES = 100_000_000
"""As the reference implementation of the format allows."""

DTYPES = {
    "BF16": torch.bfloat16,
    "F16": torch.float16,
    "F32": torch.float32,
    "F64": torch.float64,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}


@dataclass(frozen=True, slots=True)
class Entry:
    """``start`` and ``end``: bytes from the start of the file."""

    dtype: torch.dtype
    shape: tuple[int, ...]
    start: int
    end: int


class SafetensorsFile:
    """An open file of the name ``name``. ``entries``: its tensors by name.

    Raises:
        CheckpointUnusable: the file cannot be opened, is of another kind, cut short or damaged.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.name = path.name
        try:
            self._file = path.open("rb", buffering=0)
        except OSError as error:
            raise CheckpointUnusable(
                f"{path} cannot be opened ({error.strerror}). Allow this app to read it."
            ) from error
        try:
            self.entries: Mapping[str, Entry] = self._read_header()
        except BaseException:
            self._file.close()
            raise
        self._chunk: Tensor | None = None

    def __enter__(self) -> "SafetensorsFile":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def read(
        self,
        name: str,
        device: torch.device,
        dtype: torch.dtype,
        first_row: int = 0,
        rows: int | None = None,
    ) -> Tensor:
        """The tensor ``name``, or ``rows`` of its first dimension from ``first_row`` on, as a new tensor.

        Needs no host memory besides it but one chunk. Raises CheckpointUnusable.
        """
        entry = self.entries[name]
        shape = entry.shape if rows is None else (rows, *entry.shape[1:])
        row_bytes = math.prod(entry.shape[1:]) * entry.dtype.itemsize
        start = entry.start + first_row * row_bytes
        length = math.prod(shape) * entry.dtype.itemsize
        assert start + length <= entry.end, "rows beyond the tensor"
        target = torch.empty(shape, device=device, dtype=dtype)
        flat = target.view(-1)
        chunk = self._chunk_for(device)
        for offset in range(0, length, CHUNK_BYTES):
            part = chunk[: min(CHUNK_BYTES, length - offset)]
            self._fill(memoryview(cast(Any, part.numpy())), start + offset)
            values = part.view(entry.dtype)
            first = offset // entry.dtype.itemsize
            flat[first : first + len(values)].copy_(values)
        return target

    def quantized(self, name: str, kind: object) -> CheckpointUnusable:
        """For the tensor ``name``, whose numbers are no floats."""
        return CheckpointUnusable(
            f"{self.name} holds numbers of the kind {kind} ({name}): it is quantized, and only weights in "
            "BF16, F16 or F32 can be used. Set HF_REPO to a repository that has them."
        )

    def _chunk_for(self, device: torch.device) -> Tensor:
        if self._chunk is None:
            # On ZeroGPU the device is a promise: there is no driver yet to lock pages.
            is_pinned = device.type == "cuda" and not Config.zero_gpu
            self._chunk = torch.empty(CHUNK_BYTES, dtype=torch.uint8, pin_memory=is_pinned)
        return self._chunk

    def _fill(self, buffer: memoryview, start: int) -> None:
        try:
            self._file.seek(start)
            filled = 0
            while filled < len(buffer):
                count = self._file.readinto(buffer[filled:])
                if not count:
                    raise self._cut_short(start + len(buffer))
                filled += count
        except OSError as error:
            raise CheckpointUnusable(
                f"Reading {self._path} failed ({error.strerror}). Check the disk it is on."
            ) from error

    def _read_header(self) -> dict[str, Entry]:
        size = self._path.stat().st_size
        start = self._file.read(9)
        if start.startswith(b"version "):
            raise CheckpointUnusable(
                f"{self._path} is only the pointer that Git leaves without Git LFS. Run `git lfs pull` there."
            )
        length = struct.unpack("<Q", start[:8])[0] if len(start) == 9 else 0
        if not 2 <= length <= MAX_HEADER_BYTES or start[8:] != b"{":
            raise self._foreign() if size else self._cut_short(None)
        if 8 + length > size:
            raise self._cut_short(None)
        header = bytearray(length)
        self._fill(memoryview(header), 8)
        try:
            content: object = json.loads(header)
        except (ValueError, RecursionError) as error:
            raise self._foreign() from error
        if not isinstance(content, dict):
            raise self._foreign()
        entries = {
            name: self._entry(name, description, 8 + length)
            for name, description in cast(dict[str, object], content).items()
            if name != "__metadata__"
        }
        end = max((entry.end for entry in entries.values()), default=8 + length)
        if end > size:
            raise self._cut_short(end)
        if end < size:
            raise self._damaged("it is longer than it says")
        return entries

    def _entry(self, name: str, description: object, data_start: int) -> Entry:
        described = cast(dict[str, object], description) if isinstance(description, dict) else {}
        kind = described.get("dtype")
        shape, offsets = _whole_numbers(described.get("shape")), _whole_numbers(described.get("data_offsets"))
        if not isinstance(kind, str) or shape is None or offsets is None or len(offsets) != 2:
            raise self._damaged(f"it does not say where {name} is")
        if kind not in DTYPES:
            raise self.quantized(name, kind)
        dtype, (start, end) = DTYPES[kind], offsets
        if end - start != math.prod(shape) * dtype.itemsize:
            raise self._damaged(f"{name} has another size than it says")
        return Entry(dtype, shape, data_start + start, data_start + end)

    def _foreign(self) -> CheckpointUnusable:
        return CheckpointUnusable(
            f"{self.name} is no safetensors file. Correct HF_REPO; or if it should be one, {self._remedy}"
        )

    def _damaged(self, how: str) -> CheckpointUnusable:
        return CheckpointUnusable(
            f"{self.name} is damaged: {how}. {self._remedy[0].upper()}{self._remedy[1:]}"
        )

    def _cut_short(self, whole: int | None) -> CheckpointUnusable:
        size = self._path.stat().st_size
        there = f"only {size:,}" if whole is None else f"{size:,} of {whole:,}"
        return CheckpointUnusable(
            f"{self.name} is cut short: {there} bytes are there. {self._remedy[0].upper()}{self._remedy[1:]}"
        )

    @property
    def _remedy(self) -> str:
        return f"remove {self._path.resolve()} and start the app again to fetch it anew, or copy it again."


def _whole_numbers(value: object) -> tuple[int, ...] | None:
    """A list of numbers from JSON as a tuple; None when it is anything else."""
    values = cast(list[object], value) if isinstance(value, list) else [None]
    numbers = tuple(number for number in values if isinstance(number, int) and number >= 0)
    return numbers if len(numbers) == len(values) else None
