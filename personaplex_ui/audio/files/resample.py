"""Changes the sample rate of a sound file as NVIDIA's reference does: like ``sphn.resample``, bit for bit.

Processes a file in pieces, so that an hour of sound is never in memory at its original rate. Live streams use
``resample.Resampler``, since this one would delay a call.
"""

import math

import numpy as np
import sphn

from personaplex_ui.audio.frames import SAMPLE_RATE_HZ, Samples

LEAST_BLOCK_SAMPLES = 1_024
"""The block size that ``sphn`` requests of its resampler, which rounds it up to fit the ratio."""

PUSHED_SAMPLES = 65_536
"""Samples resampled at a time, rounded up to whole blocks."""


class ClipResampler:
    """Mono float32 of ``from_hz`` in, 24 kHz out.

    The result equals ``sphn.resample`` of the whole: the sound comes half a block late, and is as long as the
    whole blocks that hold it. Each block of the output depends on its own block of the input and the one
    before, so the last block is pushed again with the next piece, and its output is dropped.
    """

    def __init__(self, from_hz: int) -> None:
        self.from_hz = from_hz
        shared = math.gcd(from_hz, SAMPLE_RATE_HZ)
        ratio_in, ratio_out = from_hz // shared, SAMPLE_RATE_HZ // shared
        ratios = math.ceil(LEAST_BLOCK_SAMPLES / ratio_in)
        self._block = ratios * ratio_in
        self._block_out = ratios * ratio_out
        self._waiting: list[Samples] = []
        self._waiting_samples = 0
        self._last_block: Samples = np.zeros(0, dtype=np.float32)

    def push(self, samples: Samples) -> Samples:
        """Take samples ``[n]`` and return what is ready, ``[m]``."""
        if self.from_hz == SAMPLE_RATE_HZ:
            return samples
        self._waiting.append(samples)
        self._waiting_samples += len(samples)
        if self._waiting_samples < max(PUSHED_SAMPLES, self._block):
            return np.zeros(0, dtype=np.float32)
        waiting = np.concatenate(self._waiting)
        whole = len(waiting) // self._block * self._block
        self._waiting, self._waiting_samples = [waiting[whole:]], len(waiting) - whole
        return self._resampled(waiting[:whole])

    def flush(self) -> Samples:
        """End the file. Returns the rest, its last block padded with silence."""
        if not self._waiting_samples:
            return np.zeros(0, dtype=np.float32)
        waiting = np.concatenate(self._waiting)
        self._waiting, self._waiting_samples = [], 0
        return self._resampled(waiting)

    def _resampled(self, samples: Samples) -> Samples:
        before = self._last_block
        self._last_block = samples[-self._block :]
        sound = np.concatenate([before, samples])[np.newaxis]
        resampled: object = sphn.resample(  # pyright: ignore[reportUnknownVariableType]
            sound, src_sample_rate=self.from_hz, dst_sample_rate=SAMPLE_RATE_HZ
        )
        return np.asarray(resampled, dtype=np.float32)[0, self._block_out if len(before) else 0 :]
