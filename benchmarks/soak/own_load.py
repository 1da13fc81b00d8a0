"""How busy the calling process is: if it were late itself, it would blame the server."""

import asyncio
import time

import numpy as np

from benchmarks.soak.observed import OwnLoad

EVERY_SEC = 0.02


class OwnLoadMeter:
    """``run`` it beside the calls, then ask it what it saw."""

    def __init__(self) -> None:
        self._began = (time.process_time(), time.monotonic())
        self._late_sec: list[float] = []

    def restart(self) -> None:
        """Forget what was until now."""
        self.__init__()

    async def run(self) -> None:
        while True:
            due = time.monotonic() + EVERY_SEC
            await asyncio.sleep(EVERY_SEC)
            self._late_sec.append(time.monotonic() - due)

    def load(self) -> OwnLoad:
        cpu_sec, wall_sec = time.process_time() - self._began[0], time.monotonic() - self._began[1]
        late_ms = 1_000 * np.array(self._late_sec or [0.0])
        return OwnLoad(100 * cpu_sec / wall_sec, float(np.percentile(late_ms, 95)), float(np.max(late_ms)))
