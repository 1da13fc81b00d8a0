"""How the face moves: sound in, the shape of its mouth out, and what it does by itself. Pure.

The same rules as in the page (``orb_motion.mjs``), at the pace of a film.
"""

import math
import random
from dataclasses import dataclass

import numpy as np

from personaplex_ui.audio.frames import SAMPLE_RATE_HZ, Samples
from personaplex_ui.audio.levels import rms_dbfs

PICTURES_PER_SEC = 25
PICTURE_SEC = 1 / PICTURES_PER_SEC
PICTURE_SAMPLES = SAMPLE_RATE_HZ // PICTURES_PER_SEC

QUIETEST_SHOWN_DBFS = -55.0
LOUDEST_SHOWN_DBFS = -12.0

ATTACK_SEC = 0.03
RELEASE_SEC = 0.09
"""Faster than on the page, where a mouth is seen a little after its sound in any case."""

HALO_ATTACK_SEC = 0.05
HALO_RELEASE_SEC = 0.28
WIDTH_SEC = 0.07

LOW_HZ, BRIGHT_HZ, HIGH_HZ = 200.0, 1_000.0, 5_000.0
HEARD_LEVEL = 0.05
"""Below it a sound has no colour that a mouth would follow."""

BLINK_SEC = 0.3
EYES_SHUT = 0.08
SWAY_UNITS = 1.8


@dataclass(frozen=True, slots=True)
class Mouth:
    """``open`` and ``wide``: of the lips; ``glow``: of the light around the head. All 0 to 1."""

    open: float = 0.0
    wide: float = 0.5
    glow: float = 0.0


@dataclass(frozen=True, slots=True)
class Pose:
    """``eyes``: how far open, 0 to 1. ``right`` and ``down``: where the face is, from its usual place, in
    units of a head of 200."""

    eyes: float = 1.0
    right: float = 0.0
    down: float = 0.0


class SpeakingMouth:
    """The mouth of one film. Give it the sound picture by picture."""

    def __init__(self) -> None:
        self._mouth = Mouth()
        self._window = np.hanning(PICTURE_SAMPLES).astype(np.float32)
        hz = np.fft.rfftfreq(PICTURE_SAMPLES, 1 / SAMPLE_RATE_HZ)
        self._low = (hz >= LOW_HZ) & (hz < BRIGHT_HZ)
        self._high = (hz >= BRIGHT_HZ) & (hz < HIGH_HZ)

    def say(self, samples: Samples) -> Mouth:
        """The mouth while ``samples``, float32 of shape ``[960]``, are heard."""
        level = _shown(rms_dbfs(samples))
        before, wide = self._mouth, self._mouth.wide
        if level > HEARD_LEVEL:
            wide = approach(wide, self._width(samples), WIDTH_SEC, WIDTH_SEC)
        self._mouth = Mouth(
            approach(before.open, level, ATTACK_SEC, RELEASE_SEC),
            wide,
            approach(before.glow, level, HALO_ATTACK_SEC, HALO_RELEASE_SEC),
        )
        return self._mouth

    def _width(self, samples: Samples) -> float:
        """Bright sounds draw the lips apart, dark ones round them."""
        spectrum = np.abs(np.fft.rfft(np.nan_to_num(samples) * self._window))
        low, high = float(spectrum[self._low].sum()), float(spectrum[self._high].sum())
        return min(1.0, 1.6 * high / (low + high)) if low + high > 0.0 else 0.5


class IdleMotion:
    """Blinking and a slight sway, which are the same for the same ``seed``."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._phases = [self._random.uniform(0.0, math.tau) for _ in range(4)]
        self._blink_at = self._random.uniform(1.0, 4.0)
        self._pictures = 0

    def next(self) -> Pose:
        """The pose in the next picture."""
        sec = self._pictures * PICTURE_SEC
        self._pictures += 1
        if sec >= self._blink_at + BLINK_SEC:
            self._blink_at = sec + self._random.uniform(2.2, 5.6)
        blinking = max(0.0, sec - self._blink_at) / BLINK_SEC
        eyes = 1.0 - (1.0 - EYES_SHUT) * math.sin(math.pi * min(1.0, blinking))
        slow, slower, down, lower = self._phases
        right = math.sin(1.1 * sec + slow) + 0.6 * math.sin(0.47 * sec + slower)
        below = math.sin(0.9 * sec + down) + 0.5 * math.sin(0.31 * sec + lower)
        return Pose(eyes, SWAY_UNITS * right / 1.6, SWAY_UNITS * below / 1.5)


def approach(value: float, target: float, attack_sec: float, release_sec: float) -> float:
    """``value`` one picture later, on its way to ``target``."""
    time_sec = attack_sec if target > value else release_sec
    return value + (target - value) * (1.0 - math.exp(-PICTURE_SEC / time_sec))


def _shown(dbfs: float) -> float:
    part = (dbfs - QUIETEST_SHOWN_DBFS) / (LOUDEST_SHOWN_DBFS - QUIETEST_SHOWN_DBFS)
    return min(1.0, max(0.0, part))
