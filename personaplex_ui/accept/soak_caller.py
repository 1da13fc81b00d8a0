"""A caller of the soak: speaks in real time, listens to every frame, hangs up after a while and calls
again."""

import asyncio
import contextlib
import itertools
import random
import time
from collections.abc import Callable
from dataclasses import dataclass

from personaplex_ui.accept.soak_record import CallRecord, SoakRecord, drift_ms
from personaplex_ui.accept.sound_health import Listener
from personaplex_ui.audio.frames import FRAME_SEC, SAMPLE_RATE_HZ, Samples
from personaplex_ui.calls.live_call import LiveCall
from personaplex_ui.calls.settings import CallSettings
from personaplex_ui.calls.snapshot import End
from personaplex_ui.engine.engine import Engine
from personaplex_ui.engine.speech_model import Persona, Sampling
from personaplex_ui.errors import CallOver

CHUNK_SEC = 0.02
"""As a browser's or a telephone's packets."""

PART_FRAMES = 3_750
"""Five minutes: the sound of a longer call is judged in parts, so that its numbers take no more memory."""

CALLS_END_SEC = 86_400.0
OVER = "The soak is over."
AGAIN_AFTER_SEC = 0.5


@dataclass(frozen=True, slots=True)
class Manner:
    """``stay_sec``: how long a call lasts on average, None for the whole soak. ``persona``: of the n-th
    call."""

    speech: Samples
    persona: Callable[[int], Persona]
    stay_sec: float | None
    seed: int


class SoakCaller:
    """``run`` it until it is cancelled."""

    def __init__(self, name: str, engine: Engine, manner: Manner, record: SoakRecord) -> None:
        self._name = name
        self._engine = engine
        self._manner = manner
        self._record = record
        self._dice = random.Random(manner.seed)
        self._listener = Listener()
        self._late_sec: list[float] = []
        self._longest_gap_sec = 0.0

    async def run(self) -> None:
        for number in itertools.count(1):
            await self._call(f"{self._name}.{number}", self._manner.persona(number))
            await asyncio.sleep(AGAIN_AFTER_SEC)

    async def _call(self, name: str, persona: Persona) -> None:
        settings = CallSettings(persona, Sampling(seed=self._dice.randrange(1 << 31)), record=False)
        call = LiveCall(name, settings, self._engine, CALLS_END_SEC)
        self._listener, self._late_sec, self._longest_gap_sec = Listener(), [], 0.0
        running = asyncio.create_task(call.run())
        talking = [asyncio.create_task(self._speak(call)), asyncio.create_task(self._listen(call, name))]
        try:
            await asyncio.wait([running], timeout=self._stay_sec())
        finally:
            call.hang_up(OVER)
            talking[0].cancel()
            await asyncio.wait([running, *talking])
            self._note(call, name)

    def _stay_sec(self) -> float | None:
        stay_sec = self._manner.stay_sec
        return None if stay_sec is None else stay_sec * self._dice.uniform(0.5, 1.5)

    async def _speak(self, call: LiveCall) -> None:
        """From a moment of its own in the speech, so that callers do not all speak at once."""
        await call.live.wait()
        speech, chunk = self._manner.speech, round(CHUNK_SEC * SAMPLE_RATE_HZ)
        offset = self._dice.randrange(len(speech) // chunk) * chunk
        begun = time.perf_counter()
        for number in itertools.count():
            await asyncio.sleep(begun + number * CHUNK_SEC - time.perf_counter())
            at = (offset + number * chunk) % (len(speech) - chunk + 1)
            call.hear(speech[at : at + chunk])

    async def _listen(self, call: LiveCall, name: str) -> None:
        first_at = last_at = 0.0
        with contextlib.suppress(CallOver):
            for number in itertools.count():
                frame = await call.next_answer()
                assert frame is not None
                now = time.perf_counter()
                first_at, last_at = first_at or now, last_at or now
                # A dropped frame is told as such; those after it are not late for its sake.
                dropped = call.stats.dropped_heard + call.stats.dropped_said
                self._late_sec.append(now - first_at - (number + dropped) * FRAME_SEC)
                self._longest_gap_sec = max(self._longest_gap_sec, now - last_at)
                last_at = now
                self._listener.hear(frame)
                if self._listener.frames == PART_FRAMES:
                    self._note_sound(name, number)

    def _note_sound(self, name: str, last_frame: int) -> None:
        minute = round((last_frame + 1) * FRAME_SEC / 60)
        self._record.sound.append(self._listener.health(f"{name} to minute {minute}"))
        self._listener = Listener()

    def _note(self, call: LiveCall, name: str) -> None:
        if not self._late_sec and call.reason == OVER:
            return  # nothing had begun
        if self._listener.frames:
            self._record.sound.append(self._listener.health(name))
        stats = call.stats
        self._record.calls.append(
            CallRecord(
                name,
                call.prepared_sec,
                call.elapsed_sec,
                len(self._late_sec),
                stats.dropped_heard,
                stats.dropped_said,
                drift_ms(self._late_sec),
                1_000 * self._longest_gap_sec,
                "" if call.end is End.HUNG_UP else call.reason,
            )
        )
