"""Converts decoded frames of any kind to mono at 24 kHz. Depends on PyAV's frames, not on files."""

from collections.abc import Iterator
from typing import Any, cast

import av
import numpy as np
import numpy.typing as npt

from personaplex_ui.audio.files.mixdown import Mixdown
from personaplex_ui.audio.files.pyav_faults import MOST_PLANES
from personaplex_ui.audio.files.resample import ClipResampler
from personaplex_ui.audio.frames import Samples
from personaplex_ui.errors import InvalidInput

ANOTHER = "Save it as WAV, MP3, OGG, FLAC, M4A or WebM and try again."
LOUDEST = 8.0
"""Floats may exceed full scale, as with lossy codecs. Anything 18 dB above it is not sound."""

_KINDS = {"u8": "u1", "s16": "i2", "s32": "i4", "flt": "f4", "dbl": "f8"}
_FULL_SCALE = {"u1": 2.0**7, "i2": 2.0**15, "i4": 2.0**31}


def mono_24k(sound: Iterator[tuple[Samples, int]], mixdown: Mixdown) -> Iterator[Samples]:
    """Mix down and resample; the rate and the channels may change along the way (chained Ogg files)."""
    resampler: ClipResampler | None = None
    for channels, rate_hz in sound:
        if resampler is None or resampler.from_hz != rate_hz:
            if resampler is not None:
                mixdown.finish(resampler.from_hz)
                yield resampler.flush()
            resampler = ClipResampler(rate_hz)
        yield resampler.push(mixdown.mono(channels, rate_hz))
    if resampler is not None:
        mixdown.finish(resampler.from_hz)
        yield resampler.flush()


def channels_of(frame: av.AudioFrame) -> Samples:
    """The frame as float32 ``[channels, n]``, without NaN or infinity, within ``LOUDEST``."""
    kind = _KINDS.get(frame.format.packed.name)
    if kind is None:
        raise InvalidInput("audio", f"Samples of type {frame.format.name} cannot be used. {ANOTHER}")
    # PyAV's to_ndarray counts planes up to a null one; with 8 channels there is none, so it reads past the
    # last plane and the process crashes.
    channels = frame.layout.nb_channels
    if frame.format.is_planar:
        assert channels <= MOST_PLANES
        planes = frame.planes[:channels]
        sound = np.stack([_numbers(plane, kind, frame.samples) for plane in planes])
    else:
        sound = _numbers(frame.planes[0], kind, frame.samples * channels).reshape(-1, channels).T
    full_scale = _FULL_SCALE.get(kind)
    if full_scale is not None:
        sound = sound.astype(np.float32) / full_scale - (1.0 if sound.dtype == np.uint8 else 0.0)
    sound = np.nan_to_num(sound, nan=0.0, posinf=np.inf, neginf=-np.inf)
    return np.where(np.abs(sound) <= LOUDEST, sound, np.sign(sound)).astype(np.float32, copy=False)


def _numbers(plane: object, kind: str, count: int) -> npt.NDArray[Any]:
    return np.frombuffer(cast(bytes, plane), dtype=kind, count=count)  # any buffer works
