"""Frames of 80 ms, the unit all parts exchange, and how chunks of any size are cut into them.

Depends on samples only, not on a clock, a transport or a model.
"""

from typing import TypeAlias

import numpy as np
import numpy.typing as npt

SAMPLE_RATE_HZ = 24_000
FRAME_SEC = 0.08
FRAME_SAMPLES = 1_920
FRAMES_PER_SEC = 12.5

Samples: TypeAlias = npt.NDArray[np.float32]
"""Mono sound, float32 in [-1, 1], 24 kHz, shape ``[n]``."""

Frame: TypeAlias = npt.NDArray[np.float32]
"""Samples of exactly one frame, shape ``[1920]``."""


def silent_frame() -> Frame:
    return np.zeros(FRAME_SAMPLES, dtype=np.float32)


class FrameCutter:
    """Cuts sound of any chunk size into whole frames and keeps the rest for the next chunk."""

    def __init__(self) -> None:
        self._rest: Samples = np.zeros(0, dtype=np.float32)
        self._skip_samples = 0

    @property
    def pending_samples(self) -> int:
        """Samples received that do not yet make a whole frame."""
        return len(self._rest)

    def skip(self, samples: int) -> None:
        """Drop pending samples and the next ``samples`` to come, which moves every later frame boundary."""
        self._rest = self._rest[:0]
        self._skip_samples = samples

    def cut(self, samples: Samples) -> list[Frame]:
        """Take ``samples`` of shape ``[n]`` and return the frames that are now complete, oldest first."""
        if self._skip_samples:
            skipped = min(self._skip_samples, len(samples))
            self._skip_samples -= skipped
            samples = samples[skipped:]
        sound = np.concatenate([self._rest, samples])
        whole = len(sound) // FRAME_SAMPLES
        frames = [sound[i * FRAME_SAMPLES : (i + 1) * FRAME_SAMPLES] for i in range(whole)]
        self._rest = sound[whole * FRAME_SAMPLES :].copy()
        return frames


def pad_to_frames(samples: Samples) -> Samples:
    """``samples``, zero-padded to a whole number of frames."""
    return np.pad(samples, (0, -len(samples) % FRAME_SAMPLES)).astype(np.float32, copy=False)
