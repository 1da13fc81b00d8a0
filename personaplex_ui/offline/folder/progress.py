"""How far a run is, for whoever waits for it: a bar on a terminal, a line for each recording in a log."""

import sys
import time
from collections.abc import Callable
from typing import TextIO

from tqdm import tqdm


class Progress:
    """``total``: recordings to answer; ``sound_sec``: of all of them together, as far as their files tell it.
    ``clock``: monotonic seconds. Times are told from ``began`` on, without the loading."""

    def __init__(
        self,
        total: int,
        sound_sec: float,
        out: TextIO | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._total = total
        self._sound_sec = sound_sec
        self._out = sys.stderr if out is None else out
        self._clock = clock
        self._began_at = clock()
        self._done = 0
        self._given_up_sec = 0.0
        self._answered_sec = 0.0
        self._bar = tqdm(
            total=round(sound_sec, 1),
            unit="s",
            file=self._out,
            disable=None,
            leave=False,
            bar_format="{desc}: {n:.0f} of {total:.0f} s of sound |{bar}| {remaining} left",
        )
        self._describe()

    def began(self) -> None:
        """The model is loaded."""
        self._began_at = self._clock()
        self._bar.reset(self._bar.total)

    def stepped(self, sound_sec: float) -> None:
        """So much sound more has been answered, of all recordings together."""
        self._answered_sec += sound_sec
        self._bar.update(sound_sec)

    def finished(self, name: str, result: str) -> None:
        """``result``: what came of the recording, in a few words."""
        self._done += 1
        self._describe()
        if self._bar.disable:
            self._say(f"[{self._done}/{self._total}] {name}: {result}.{self.left()}")

    def skipped(self, sound_sec: float) -> None:
        """So much sound will not be answered."""
        self._given_up_sec += sound_sec
        self._bar.total = max(0.0, self._bar.total - sound_sec) if self._bar.total else self._bar.total

    def gave_up(self, name: str, sentence: str) -> None:
        """A recording could not be answered."""
        self._done += 1
        self._describe()
        line = f"[{self._done}/{self._total}] {name} could not be answered: {sentence}"
        if self._bar.disable:
            self._say(line)
        else:
            self._bar.write(line, file=self._out)

    def left(self) -> str:
        """`` 12 min left.``, or nothing while it cannot be told, or when all is done."""
        sec = self._clock() - self._began_at
        to_do = self._sound_sec - self._given_up_sec - self._answered_sec
        if self._done >= self._total or not self._answered_sec or to_do <= 0:
            return ""
        left_sec = sec * to_do / self._answered_sec
        hours, minutes = divmod(round(left_sec / 60), 60)
        if left_sec < 90:
            return f" {left_sec:.0f} s left."
        return f" {hours} h {minutes} min left." if hours else f" {minutes} min left."

    def close(self) -> None:
        self._bar.close()

    def _describe(self) -> None:
        self._bar.set_description_str(f"{self._done} of {self._total} recordings")

    def _say(self, line: str) -> None:
        print(line, file=self._out, flush=True)
