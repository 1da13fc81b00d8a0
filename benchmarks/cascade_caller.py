"""A caller who asks one question after the other in real time, and notes how soon each answer begins."""

import asyncio
import contextlib
import itertools
import time
from collections.abc import Sequence

import numpy as np

from benchmarks.caller import CHUNK_SAMPLES, CHUNK_SEC, BenchCaller
from personaplex_ui.audio.frames import FRAME_SEC, Samples
from personaplex_ui.audio.listener import PAUSE_FRAMES
from personaplex_ui.calls.settings import CallSettings
from personaplex_ui.engine.engine import Engine
from personaplex_ui.errors import CallOver

LOUD = 0.01
"""Amplitude above which a sample is heard."""

ASKS_AFTER_SEC = 0.8
"""Of silence after an answer."""

GIVES_UP_AFTER_SEC = 12.0
"""Without an answer, the next question is asked."""


class AskingCaller(BenchCaller):
    """``latencies_sec``: from the end of each question to the first sound of its answer, less the pause by
    which an end is known. ``late_sec``: how much later than the 80 ms after the one before each frame of an
    answer came."""

    def __init__(self, engine: Engine, settings: CallSettings, questions: Sequence[Samples]) -> None:
        super().__init__(engine, settings)
        self.latencies_sec: list[float] = []
        self.late_sec: list[float] = []
        self.unanswered = 0
        self._questions = itertools.cycle(questions)
        self._asked_at: float | None = None
        self._last_sound_at = 0.0

    async def start(self) -> None:
        """See ``BenchCaller``."""
        await super().start()
        self._last_sound_at = time.perf_counter()

    async def _speak(self) -> None:
        begins, left = time.perf_counter(), np.zeros(0, dtype=np.float32)
        for number in itertools.count():
            await asyncio.sleep(begins + number * CHUNK_SEC - time.perf_counter())
            now = time.perf_counter()
            if not len(left) and self._may_ask(now):
                left, self._asked_at = next(self._questions), None
            chunk = np.zeros(CHUNK_SAMPLES, dtype=np.float32)
            chunk[: min(CHUNK_SAMPLES, len(left))] = left[:CHUNK_SAMPLES]
            asked, left = len(left) > 0, left[CHUNK_SAMPLES:]
            if asked and not len(left):
                self._asked_at = self._last_sound_at = now
            self.call.hear(chunk)

    def _may_ask(self, now: float) -> bool:
        silent_sec = now - self._last_sound_at
        if self._asked_at is not None and silent_sec > GIVES_UP_AFTER_SEC:
            self.unanswered += 1
            self._asked_at = None
        return self._asked_at is None and silent_sec > ASKS_AFTER_SEC

    async def _listen(self) -> None:
        before = time.perf_counter()
        with contextlib.suppress(CallOver):
            while (answer := await self.call.next_answer()) is not None:
                now = time.perf_counter()
                if float(np.max(np.abs(answer))) > LOUD:
                    self.late_sec.append(now - before - FRAME_SEC)
                    if self._asked_at is not None:
                        pause_sec = PAUSE_FRAMES * FRAME_SEC
                        self.latencies_sec.append(now - self._asked_at - pause_sec)
                        self._asked_at = None
                    self._last_sound_at = now
                before = now
