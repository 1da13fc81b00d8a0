"""Works around faults of PyAV 18 that would harm the process that reads a file.

- It counts a frame's planes up to a null one; with 8 or more there may be none (see ``channels_of``).
- It copies a layout by its address. A layout with a custom channel order is freed twice: with its Python
  object and with the frame (since PyAV-Org/PyAV#2284). That object is therefore kept alive forever, and the
  frame is not used.
- It prints a traceback for each error that a file object raises in a callback.
"""

import ctypes
from collections.abc import Sequence
from typing import BinaryIO

import av

from personaplex_ui.errors import InvalidInput

NOWHERE = -1
MOST_PLANES = 8
"""Channels that have a plane each within FFmpeg's frame itself."""

MIX_DOWN = "Mix it down to stereo or mono and try again."
TOO_MANY_CHANNELS = f"Sound of more than {MOST_PLANES} channels cannot be used. {MIX_DOWN}"
UNUSUAL_ORDER = f"The channels of this file are in an order that cannot be used. {MIX_DOWN}"


class QuietFile:
    """A file whose invalid seeks, which damaged files cause, return an error instead of raising one."""

    def __init__(self, file: BinaryIO) -> None:
        self.read, self.tell = file.read, file.tell
        self._seek = file.seek

    def seek(self, offset: int, whence: int = 0) -> int:
        try:
            return self._seek(offset, whence)
        except (OSError, ValueError, OverflowError):
            return NOWHERE


def check_frames(frames: Sequence[av.AudioFrame]) -> None:
    """Call it before decoded frames are used in any other way. Raises InvalidInput."""
    unusual = [frame for frame in frames if _has_unusual_order(frame)]
    for frame in unusual:
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(frame.layout))
    if unusual:
        raise InvalidInput("audio", UNUSUAL_ORDER)
    if any(frame.format.is_planar and frame.layout.nb_channels > MOST_PLANES for frame in frames):
        raise InvalidInput("audio", TOO_MANY_CHANNELS)


def _has_unusual_order(frame: av.AudioFrame) -> bool:
    try:
        # FFmpeg lists the channels, as in "2 channels (FR+FL)", if it has no name for the layout.
        return " channels (" in frame.layout.name
    except (UnicodeDecodeError, RuntimeError):
        return True
