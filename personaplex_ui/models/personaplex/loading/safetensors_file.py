"""Opens a safetensors file, explains what is wrong with it, and reads tensors to their device.

Independent of the model. The library maps the file, so its pages belong to the system's cache, not to the
memory of this process.
"""

from pathlib import Path
from types import TracebackType
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from personaplex_ui.models.personaplex.loading.checkpoint_files import HF_REPO, CheckpointUnusable

USABLE_KINDS = ("BF16", "F16", "F32", "F64")


class SafetensorsFile:
    """An open file named ``name``. ``shapes``: the shapes of its tensors, by name.

    Raises:
        CheckpointUnusable: the file cannot be opened, is of another kind, truncated or damaged.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.name = path.name
        start = b""
        try:
            with path.open("rb") as file:
                start = file.read(9)
            self._size = path.stat().st_size
            self._file: Any = safe_open(path, framework="pt")
        except OSError as error:
            raise CheckpointUnusable(
                f"{path} cannot be opened ({error.strerror}). Allow this app to read it."
            ) from error
        except SafetensorError as error:
            raise self._unusable(start, str(error)) from error
        names: list[str] = self._file.offset_keys()
        described: dict[str, Any] = {name: self._file.get_slice(name) for name in names}
        self.shapes = {name: tuple[int, ...](each.get_shape()) for name, each in described.items()}
        self._kinds = {name: str(each.get_dtype()) for name, each in described.items()}

    def __enter__(self) -> "SafetensorsFile":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.__exit__(kind, error, trace)

    def read(
        self,
        name: str,
        device: torch.device,
        dtype: torch.dtype,
        first_row: int = 0,
        rows: int | None = None,
    ) -> Tensor:
        """The tensor ``name``, or ``rows`` of its first dimension from ``first_row`` on, as a new tensor.

        Raises:
            CheckpointUnusable: its numbers are not floats, or the file has changed since it was opened.
        """
        if self._kinds[name] not in USABLE_KINDS:
            raise CheckpointUnusable(
                f"{self.name} holds numbers of the kind {self._kinds[name]} ({name}): it is quantized, and "
                f"only weights in BF16, F16 or F32 can be used. Set {HF_REPO} to a repository that has them."
            )
        if self._path.stat().st_size != self._size:  # reading lost mapped pages would crash us
            raise self._unusable(b"", "it has changed while it was read")
        mapped: Tensor = self._file.get_tensor(name)
        if rows is not None:
            mapped = mapped[first_row : first_row + rows]
        return torch.empty(mapped.shape, device=device, dtype=dtype).copy_(mapped)

    def _unusable(self, start: bytes, why: str) -> CheckpointUnusable:
        """``start``: the first 9 bytes; in a valid file the last of them opens the header."""
        remedy = f"emove {self._path.resolve()} and restart to fetch it again, or copy it again."
        if start.startswith(b"version "):
            return CheckpointUnusable(
                f"{self._path} is only the pointer that Git leaves without Git LFS. Run `git lfs pull` there."
            )
        if start and start[8:] != b"{":
            return CheckpointUnusable(
                f"{self.name} is not a safetensors file. Correct {HF_REPO}; or if it should be one, r{remedy}"
            )
        why = why.removeprefix("Error while deserializing header: ")
        return CheckpointUnusable(
            f"{self.name} is cut short or damaged, with {self._size:,} bytes ({why}). R{remedy}"
        )
