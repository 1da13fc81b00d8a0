"""Reads tensors from an untrusted ``torch.save`` file, without ``torch.load``.

Depends on the format: a zip archive of uncompressed records, the numbers and a pickle that describes them
(torch 1.6 and later). Nothing in the file is called or trusted: sizes are compared with the stored data.
"""

import io
import math
import stat
import struct
import zipfile
from pathlib import Path
from typing import cast

import numpy as np
import torch
from torch import Tensor

from personaplex_ui.models.personaplex.loading.restricted_unpickler import (
    PickleUnusable,
    StoredTensor,
    unpickle,
)

MOST_RECORDS = 64
"""torch itself writes eight."""

DTYPES = {
    "BFloat16Storage": torch.bfloat16,
    "HalfStorage": torch.float16,
    "FloatStorage": torch.float32,
    "DoubleStorage": torch.float64,
    "LongStorage": torch.int64,
}

CENTRAL_ENTRY = b"PK\x01\x02"
BEFORE_1_6 = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
"""The first bytes of the format before zip archives."""


class TorchFileUnusable(Exception):
    """The text says why, as half a sentence without a full stop."""


def read_tensors(path: Path, names: tuple[str, ...], max_bytes: int) -> dict[str, Tensor]:
    """The tensors of the file's dict with the given ``names``, on the CPU. ``max_bytes`` limits the file and
    each tensor.

    Raises:
        TorchFileUnusable: the file is something else, too large or damaged.
        OSError: the file cannot be read.
    """
    with path.open("rb") as file:
        content = file.read(max_bytes + 1)
    if len(content) > max_bytes:
        raise TorchFileUnusable("it is too large")
    if content.startswith(BEFORE_1_6):
        raise TorchFileUnusable("it is in the format of PyTorch before 1.6")
    try:
        records = _Records(content)
        described = unpickle(records.read("data.pkl"))
        found = cast(dict[str, object], described) if isinstance(described, dict) else {}
        tensors = {name: found.get(name) for name in names}
        return {
            name: _tensor(tensor, records, max_bytes)
            for name, tensor in tensors.items()
            if isinstance(tensor, StoredTensor)
        }
    except PickleUnusable as error:
        raise TorchFileUnusable(f"it is damaged, or something else altogether: {error}") from error
    except (
        zipfile.BadZipFile,
        struct.error,
        EOFError,
        OSError,
        ValueError,
        OverflowError,
        LookupError,
        RuntimeError,  # encrypted, or an unknown compression (NotImplementedError)
    ) as error:
        raise TorchFileUnusable("it is damaged, or something else altogether") from error


class _Records:
    """The records of the archive by name, without their common folder.

    Raises zipfile.BadZipFile, and what ``zipfile`` raises for damage.
    """

    def __init__(self, content: bytes) -> None:
        if content.count(CENTRAL_ENTRY) > MOST_RECORDS:
            raise zipfile.BadZipFile("far more records than two tensors have")
        self._archive = zipfile.ZipFile(io.BytesIO(content))
        entries = self._archive.infolist()
        self._by_name = {entry.filename.partition("/")[2]: entry for entry in entries}
        if len(self._by_name) < len(entries) or not all(_is_stored(entry) for entry in entries):
            raise zipfile.BadZipFile("records of the same name, compressed, or no files")
        order = self.read("byteorder") if "byteorder" in self._by_name else b"little"
        if order not in (b"little", b"big"):
            raise zipfile.BadZipFile("an unknown byte order")
        self.little_endian = order == b"little"

    def read(self, name: str) -> bytes:
        """Also verifies the checksum. Raises KeyError if there is no such record."""
        return self._archive.read(self._by_name[name])


def _is_stored(entry: zipfile.ZipInfo) -> bool:
    kind = stat.S_IFMT(entry.external_attr >> 16)
    return (
        entry.compress_type == zipfile.ZIP_STORED
        and entry.compress_size == entry.file_size
        and not entry.is_dir()
        and kind in (0, stat.S_IFREG)
    )


def _tensor(described: StoredTensor, records: _Records, max_bytes: int) -> Tensor:
    """Raises ValueError if the description does not fit the stored data."""
    dtype = DTYPES[described.numbers.kind]
    raw = records.read(f"data/{described.numbers.key}")
    shape, strides = described.shape, described.strides
    if len(raw) != described.numbers.elements * dtype.itemsize or len(shape) != len(strides):
        raise ValueError("the record has another size")
    if math.prod(shape) * dtype.itemsize > max_bytes:
        raise ValueError("the tensor repeats what is stored to no end")
    if 0 in shape:
        return torch.empty(shape, dtype=dtype)
    last = described.offset + sum((n - 1) * stride for n, stride in zip(shape, strides, strict=True))
    if last >= described.numbers.elements:
        raise ValueError("the tensor reaches beyond what is stored")
    # Read as integers of the same width, since numpy has no bfloat16.
    order = "<" if records.little_endian else ">"
    numbers = np.frombuffer(raw, f"{order}i{dtype.itemsize}").astype(f"=i{dtype.itemsize}")
    return torch.from_numpy(numbers).view(dtype).as_strided(shape, strides, described.offset).contiguous()
