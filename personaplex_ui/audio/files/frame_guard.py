"""Frames that would end the process, kept away from it. Knows two faults of PyAV 18; no files.

- It seeks a frame's planes up to one that is null; from 8 planes on there need be none (see ``channels_of``).
- It copies a layout by its address. One whose channels have an order of their own is freed twice: with its
  Python object and with the frame (since PyAV-Org/PyAV#2284). So that object is made to live for ever, and
  the frame is not used.
"""

import ctypes
from collections.abc import Sequence

import av

from personaplex_ui.audio.files.decoded_sound import MOST_PLANES
from personaplex_ui.errors import InvalidInput

MIX_DOWN = "Mix it down to stereo or mono and try again."
TOO_MANY_CHANNELS = f"Sound of more than {MOST_PLANES} channels cannot be used. {MIX_DOWN}"
UNUSUAL_ORDER = f"The channels of this file are in an order that cannot be used. {MIX_DOWN}"


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
