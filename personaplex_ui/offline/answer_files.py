"""The files of an answer: checks that they can be written, and writes each atomically."""

import contextlib
import errno
import functools
import os
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from personaplex_ui.audio.files.clip_file import write_wav
from personaplex_ui.audio.frames import Samples
from personaplex_ui.calls.transcript import to_json, utterances_of
from personaplex_ui.errors import PersonaplexError
from personaplex_ui.offline.arguments import Clip
from personaplex_ui.offline.path_words import readable


class CannotWrite(PersonaplexError):
    """An output cannot be written where it was asked for."""


class DiskFull(CannotWrite):
    """Nothing more can be written, there or beside it."""


def check_outputs(clip: Clip) -> None:
    """Whether the answer to ``clip`` can be written. Raises CannotWrite."""
    for path in clip.outputs:
        if not path.parent.is_dir():
            raise CannotWrite(f"{path} cannot be written: there is no folder {path.parent}. Create it first.")
        # Anything but a regular file, such as /dev/null, would be replaced by one.
        if path.exists() and not path.is_file():
            raise CannotWrite(f"{path} cannot be written: it exists and is not a file. Name another one.")
        try:
            with tempfile.TemporaryFile(dir=path.resolve().parent):
                pass
        except OSError as error:
            raise cannot_write(path, error) from error


def write_answer(
    clip: Clip, samples: Samples, tokens: npt.NDArray[np.int32] | None, pieces: Sequence[tuple[int, str]]
) -> None:
    """Write all requested outputs, replacing existing files. ``pieces``: a frame's number, and the text that
    came with it. Raises CannotWrite."""
    _write_whole(clip.wav, lambda path: write_wav(path, samples))
    text = to_json(utterances_of(pieces)) + "\n"
    _write_whole(clip.text, lambda path: path.write_text(text, encoding="utf-8"))
    if clip.tokens is not None and tokens is not None:
        _write_whole(clip.tokens, functools.partial(_save, tokens))


def _save(tokens: npt.NDArray[np.int32], path: Path) -> None:
    with path.open("wb") as file:  # to a path without .npy, numpy would append it
        np.save(file, tokens)


def _write_whole(path: Path, write: Callable[[Path], object]) -> None:
    path = path.resolve()  # a link stays a link
    beside = path.with_name(f".{path.name[:200]}.{os.getpid()}.part")
    try:
        write(beside)
        beside.replace(path)
    except OSError as error:
        raise cannot_write(path, error) from error
    finally:
        with contextlib.suppress(OSError):
            beside.unlink()


def cannot_write(path: Path, error: OSError) -> CannotWrite:
    """The sentence for ``path``, of which writing failed."""
    kind = DiskFull if error.errno in (errno.ENOSPC, errno.EDQUOT) else CannotWrite
    return kind(
        f"{readable(path)} cannot be written ({error.strerror}). Make room or grant access, or name another "
        "one."
    )
