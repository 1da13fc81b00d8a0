"""A whistle of 440 Hz on the telephone, and what a listener makes of it: when, how loud and how clean it was.

Pure: sound in, numbers out.
"""

from dataclasses import dataclass

import numpy as np

from personaplex_ui.audio import mu_law
from personaplex_ui.audio.frames import Samples

PHONE_HZ, RECORDING_HZ = 8_000, 24_000
WHISTLE_HZ = 440
AMPLITUDE = 0.5
FADE_SEC = 0.01

LOUD = AMPLITUDE / 5
"""As the root mean square of 10 ms."""
LEVEL_EVERY_SEC = 0.01
PAUSE_SEC = 0.3
"""Less than this is a hole in a whistle, not its end."""
ONE_CLOCK_SEC = 0.15
"""The two sides of a recording are together to this."""
LATE_PART = 0.15
"""A hiccup of the machine is heard, and recorded, as a hole: so much of what was played may have one."""
STEADY_AFTER_SEC = WINDOW_SEC = 0.1


@dataclass(frozen=True)
class Whistle:
    """Of one loud stretch: ``level_db`` of 440 Hz in it, and how far that stands over all else, in each 0.1 s
    between its edges."""

    began_sec: float
    ended_sec: float
    level_db: float
    clean_db: list[float]

    @property
    def sec(self) -> float:
        return self.ended_sec - self.began_sec


def whistle(sec: float) -> bytes:
    """As mu-law; faded in and out so that its edges are no clicks."""
    time_sec = np.arange(round(sec * PHONE_HZ)) / PHONE_HZ
    fade = np.minimum(1.0, time_sec / FADE_SEC)
    tone = AMPLITUDE * np.sin(2 * np.pi * WHISTLE_HZ * time_sec) * fade * fade[::-1]
    return mu_law.encode(tone.astype(np.float32))


def whistles_in(sound: Samples, rate_hz: int) -> list[Whistle]:
    """Each loud stretch of ``sound``, holes and all; other loud sounds too, which are not clean."""
    window = round(rate_hz * LEVEL_EVERY_SEC)
    whole = sound[: len(sound) // window * window].astype(np.float64).reshape(-1, window)
    loud = np.flatnonzero(np.sqrt(np.mean(np.square(whole), axis=1)) > LOUD)
    if not len(loud):
        return []
    stretches = np.split(loud, np.flatnonzero(np.diff(loud) > PAUSE_SEC / LEVEL_EVERY_SEC) + 1)
    return [
        _measured(sound, rate_hz, int(stretch[0]) * LEVEL_EVERY_SEC, int(stretch[-1] + 1) * LEVEL_EVERY_SEC)
        for stretch in stretches
    ]


def _measured(sound: Samples, rate_hz: int, began_sec: float, ended_sec: float) -> Whistle:
    window = round(rate_hz * WINDOW_SEC)
    angle = 2 * np.pi * WHISTLE_HZ * np.arange(window) / rate_hz
    basis = np.stack([np.sin(angle), np.cos(angle)], axis=1)
    first, last = (
        round(rate_hz * sec) for sec in (began_sec + STEADY_AFTER_SEC, ended_sec - STEADY_AFTER_SEC)
    )
    tones: list[float] = []
    clean_db: list[float] = []
    for start in range(first, last - window + 1, window):
        piece = sound[start : start + window].astype(np.float64)
        fitted = basis @ np.linalg.lstsq(basis, piece, rcond=None)[0]
        tone, rest = np.mean(fitted**2) + 1e-12, np.mean((piece - fitted) ** 2) + 1e-12
        tones.append(float(tone))
        clean_db.append(10 * float(np.log10(tone / rest)))
    level_db = 10 * float(np.log10(np.median(tones))) if tones else -np.inf
    return Whistle(began_sec, ended_sec, level_db, clean_db)


def cleanness_db(whistles: list[Whistle], but_for: float = 0.05) -> float:
    """Over which all but the worst part, ``but_for``, of their pieces are."""
    return float(np.quantile([db for found in whistles for db in found.clean_db], but_for))
