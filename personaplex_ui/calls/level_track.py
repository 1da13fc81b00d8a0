"""The loudness of one side of a call over time, and a small picture of a part of it."""

from array import array
from collections.abc import Sequence

from personaplex_ui.audio.frames import FRAME_SEC
from personaplex_ui.audio.levels import SILENCE_DBFS

WAVE_VALUES = 40
"""The most values of a wave."""
_WAVE_FLOOR_DBFS = -50.0
_WAVE_STEP_DB = 4.5


class LevelTrack:
    """One dBFS value for every 80 ms of the live call, silence if none was set."""

    def __init__(self) -> None:
        self._levels = array("f")  # 4 bytes each, in a call that may go on for hours

    @property
    def now(self) -> float:
        return self._levels[-1] if self._levels else SILENCE_DBFS

    def set(self, at_sec: float, level_dbfs: float) -> int:
        """Set the level of the frame that began at ``at_sec`` and return its number. If it has one already,
        the louder counts."""
        index = max(0, round(at_sec / FRAME_SEC))
        self._levels.extend([SILENCE_DBFS] * (index + 1 - len(self._levels)))
        self._levels[index] = max(self._levels[index], level_dbfs)
        return index

    def between(self, start_sec: float, end_sec: float) -> Sequence[float]:
        """The levels of a part of the call."""
        return part_of(self._levels, start_sec, end_sec)

    def until(self, duration_sec: float) -> tuple[float, ...]:
        """All levels of a call that lasted ``duration_sec``."""
        frames = round(duration_sec / FRAME_SEC)
        return tuple(self._levels[:frames]) + (SILENCE_DBFS,) * (frames - len(self._levels))


def part_of(levels_dbfs: Sequence[float], start_sec: float, end_sec: float) -> Sequence[float]:
    """The levels from ``start_sec`` to ``end_sec`` of one level a frame."""
    return levels_dbfs[round(start_sec / FRAME_SEC) : round(end_sec / FRAME_SEC)]


def wave_of(levels_dbfs: Sequence[float]) -> tuple[int, ...]:
    """A picture of ``levels_dbfs``: the loudest of each of at most 40 equal parts, from 0 (-50 dBFS and
    below) to 9 (-9.5 dBFS and above)."""
    width = max(1, -(-len(levels_dbfs) // WAVE_VALUES))
    parts = (levels_dbfs[start : start + width] for start in range(0, len(levels_dbfs), width))
    steps = (round((max(part) - _WAVE_FLOOR_DBFS) / _WAVE_STEP_DB) for part in parts)
    return tuple(min(max(step, 0), 9) for step in steps)
