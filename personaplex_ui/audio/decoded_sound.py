"""From decoded frames of any kind to mono at 24 kHz. Knows PyAV's frames; no files."""

from collections.abc import Iterator

import av
import numpy as np

from personaplex_ui.audio.clip_resample import ClipResampler
from personaplex_ui.audio.frames import Samples
from personaplex_ui.audio.mixdown import Mixdown
from personaplex_ui.errors import InvalidInput

ANOTHER = "Save it as WAV, MP3, OGG, FLAC, M4A or WebM and try again."
LOUDEST = 8.0
"""Floats may pass full scale, as those of a lossy codec do. What is 18 dB above it is no sound."""

_FULL_SCALE = {"u1": 2.0**7, "i2": 2.0**15, "i4": 2.0**31}


def mono_24k(sound: Iterator[tuple[Samples, int]], mixdown: Mixdown) -> Iterator[Samples]:
    """Mix down and resample; the rate and the channels may change on the way (chained Ogg files)."""
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
    """The frame as float32 ``[channels, n]``; no NaN, no infinity, nothing beyond ``LOUDEST``."""
    try:
        sound = frame.to_ndarray()
    except ValueError as error:
        raise InvalidInput(
            "audio", f"Samples of the kind {frame.format.name} cannot be used. {ANOTHER}"
        ) from error
    if not frame.format.is_planar:
        sound = sound.reshape(-1, frame.layout.nb_channels).T
    full_scale = _FULL_SCALE.get(sound.dtype.str[1:])
    if full_scale is not None:
        sound = sound.astype(np.float32) / full_scale - (1.0 if sound.dtype == np.uint8 else 0.0)
    sound = np.nan_to_num(sound, nan=0.0, posinf=np.inf, neginf=-np.inf)
    return np.where(np.abs(sound) <= LOUDEST, sound, np.sign(sound)).astype(np.float32, copy=False)
