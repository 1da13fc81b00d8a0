"""How loud one side of a call was, frame by frame, on the call's own clock."""

from array import array

from personaplex_ui.audio.frames import FRAME_SEC
from personaplex_ui.audio.levels import SILENCE_DBFS


class LevelTrack:
    """One dBFS value for every 80 ms since the start of the live call; what nobody reported is silence."""

    def __init__(self) -> None:
        self._levels = array("f")  # 4 bytes each, in a call that may go on for hours

    @property
    def now(self) -> float:
        return self._levels[-1] if self._levels else SILENCE_DBFS

    def set(self, at_sec: float, level_dbfs: float) -> None:
        """The frame that began at ``at_sec`` had ``level_dbfs``. Of two in one place the louder counts."""
        index = max(0, round(at_sec / FRAME_SEC))
        self._levels.extend([SILENCE_DBFS] * (index + 1 - len(self._levels)))
        self._levels[index] = max(self._levels[index], level_dbfs)

    def until(self, duration_sec: float) -> tuple[float, ...]:
        """All levels of a call that took ``duration_sec``."""
        frames = round(duration_sec / FRAME_SEC)
        return tuple(self._levels[:frames]) + (SILENCE_DBFS,) * (frames - len(self._levels))
