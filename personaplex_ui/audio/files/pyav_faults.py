"""Faults of PyAV 18, kept away from the process that reads a file.

- It seeks a frame's planes up to one that is null; from 8 planes on there need be none (see ``channels_of``).
- It copies a layout by its address. One whose channels have an order of their own is freed twice: with its
  Python object and with the frame (since PyAV-Org/PyAV#2284). So that object is made to live for ever, and
  the frame is not used.
- It prints a traceback for each error that a file object raises in a callback.
"""

import ctypes
from collections.abc import Sequence
from typing import BinaryIO

import av

from personaplex_ui.errors import InvalidInput

NOWHERE = -1
MOST_PLANES = 8
"""Channels that have a plane each, as FFmpeg holds them in a frame itself."""

MIX_DOWN = "Mix it down to stereo or mono and try again."
TOO_MANY_CHANNELS = f"Sound of more than {MOST_PLANES} channels cannot be used. {MIX_DOWN}"
UNUSUAL_ORDER = f"The channels of this file are in an order that cannot be used. {MIX_DOWN}"


class QuietFile:
    """A file whose seeks to nowhere, as damaged files ask for, are answered and not raised."""

    def __init__(self, file: BinaryIO) -> None:
        self.read, self.tell = file.read, file.tell
        self._seek = file.seek

    def seek(self, offset: int, whence: int = 0) -> int:
        try:
            return self._seek(offset, whence)
        except (OSError, ValueError, OverflowError):
            return NOWHERE


def check_frames(frames: Sequence[av.AudioFrame]) -> None:
    """To be called before anything else is done with what was decoded. Raises InvalidInput."""
    unusual = [frame for frame in frames if _has_unusual_order(frame)]
    for frame in unusual:
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(frame.layout))
    if unusual:
        raise InvalidInput("audio", UNUSUAL_ORDER)
    if any(frame.format.is_planar and frame.layout.nb_channels > MOST_PLANES for frame in frames):
        raise InvalidInput("audio", TOO_MANY_CHANNELS)


def _has_unusual_order(frame: av.AudioFrame) -> bool:
    try:
        # FFmpeg lists the channels, as in "2 channels (FR+FL)", where it has no name for them.
        return " channels (" in frame.layout.name
    except (UnicodeDecodeError, RuntimeError):
        return True
