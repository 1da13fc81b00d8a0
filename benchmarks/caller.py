"""A simulated caller: speaks and listens in real time on one call, and records how long answers take."""

import asyncio
import contextlib
import itertools
import time
from abc import ABC, abstractmethod

import numpy as np

from benchmarks.timed_model import stamp, stamp_of
from personaplex_ui.audio.frames import SAMPLE_RATE_HZ, Samples
from personaplex_ui.calls.live_call import LiveCall
from personaplex_ui.calls.settings import CallSettings
from personaplex_ui.engine.engine import Engine
from personaplex_ui.errors import CallOver, PersonaplexError

CHUNK_SEC = 0.02
CHUNK_SAMPLES = 480
SPEECH_SEC = 2.0
PAUSE_SEC = 2.0
"""The echo answers in this pause; the rest of its answer is spoken over."""


class BenchCaller(ABC):
    """One call in real time: ``start`` it, let it talk, ``stop`` it."""

    def __init__(self, engine: Engine, settings: CallSettings) -> None:
        self.call = LiveCall("bench", settings, engine, max_sec=86_400.0)
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Returns when the call is live. Raises PersonaplexError when it is refused."""
        running = asyncio.create_task(self.call.run())
        live = asyncio.create_task(self.call.live.wait())
        await asyncio.wait([running, live], return_when=asyncio.FIRST_COMPLETED)
        live.cancel()
        if not self.call.live.is_set():
            raise PersonaplexError(self.call.reason)
        self._tasks = [running, asyncio.create_task(self._speak()), asyncio.create_task(self._listen())]

    async def stop(self) -> None:
        running, speaking, listening = self._tasks
        speaking.cancel()
        self.call.hang_up("The measurement is over.")
        await asyncio.wait([running, speaking, listening])

    @abstractmethod
    async def _speak(self) -> None:
        """Talk until cancelled."""

    @abstractmethod
    async def _listen(self) -> None:
        """Hear the answers until the call is over."""


class Caller(BenchCaller):
    """``latencies_sec``: for each frame, until its answer is out."""

    def __init__(self, engine: Engine, settings: CallSettings, begins_after_sec: float) -> None:
        super().__init__(engine, settings)
        self.latencies_sec: list[float] = []
        self._begins_after_sec = begins_after_sec
        self._sent_at: list[float] = []

    async def _speak(self) -> None:
        sound = _speech_and_pause()
        begins = time.perf_counter() + self._begins_after_sec
        for number in itertools.count():
            await asyncio.sleep(begins + number * CHUNK_SEC - time.perf_counter())
            at = number * CHUNK_SAMPLES % len(sound)
            chunk = sound[at : at + CHUNK_SAMPLES].copy()
            stamp(chunk, number)
            self._sent_at.append(time.perf_counter())
            self.call.hear(chunk)

    async def _listen(self) -> None:
        with contextlib.suppress(CallOver):
            while (answer := await self.call.next_answer()) is not None:
                self.latencies_sec.append(time.perf_counter() - self._sent_at[stamp_of(answer)])


def _speech_and_pause() -> Samples:
    """A buzz of a man's pitch in syllables, -20 dBFS, then silence."""
    time_sec = np.arange(int(SPEECH_SEC * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    buzz = sum(np.sin(2 * np.pi * 120 * n * time_sec) / n for n in range(1, 12))
    speech = 0.12 * buzz * (0.6 + 0.4 * np.sin(2 * np.pi * 4 * time_sec))
    return np.concatenate([speech, np.zeros(int(PAUSE_SEC * SAMPLE_RATE_HZ))]).astype(np.float32)
