"""The engine's slot pool, scheduler and runner on a clock that moves with the model's work and with waiting.

Nothing sleeps and no thread runs: minutes of calls take a second, and come out the same each time.
"""

import heapq
import random
from collections import deque
from collections.abc import Callable
from threading import Condition, RLock

from personaplex_ui.audio.frames import FRAME_SEC, SAMPLE_RATE_HZ, silent_frame
from personaplex_ui.calls.live_call import LATE_FRAME_SEC, RELOCK_EVERY_FRAMES
from personaplex_ui.engine.model_runner import Caller, ModelRunner
from personaplex_ui.engine.scheduler import Scheduler, Wait
from personaplex_ui.engine.slot_pool import SlotPool
from personaplex_ui.engine.speech_model import Answer, Persona, Sampling
from personaplex_ui.engine.supervisor import Pulse
from personaplex_ui.errors import PersonaplexError
from tests.support.clock import Clock
from tests.support.simulated_model import Machine, SimulatedModel

PACKET_SAMPLES = 480
PACKET_SEC = PACKET_SAMPLES / SAMPLE_RATE_HZ
JITTER_SEC = 0.004
SILENCE = silent_frame()


class SimulatedCall:
    """A call that is prepared and then talks for ``frames`` frames. With 0 it hangs up as soon as it is
    ready. A clip gives a frame for each answer, two ahead."""

    def __init__(self, engine: "SimulatedEngine", persona: Persona, frames: int, paced: bool = True) -> None:
        self.frames = frames
        self.asked_at = engine.clock.now
        self.prepared_sec: float | None = None
        self.latencies_sec: list[float] = []
        self.dropped = 0
        self.errors: list[PersonaplexError] = []
        self.progress: list[float] = []
        self.over = False
        self._engine = engine
        self._persona = persona
        self.paced = paced
        self._heard_at: deque[float] = deque()
        self._heard = 0
        self._request = engine.pool.request(self._begin)
        self._begin()

    def _begin(self) -> None:
        slot = self._request.slot
        if slot is None or vars(self).get("_caller") is not None:
            return
        self.asked_at = self._engine.clock.now
        self._caller = Caller(slot, Sampling(), self.paced, self._deliver, self.progress.append)
        self._caller.joined.add_done_callback(lambda joined: self._joined())
        self._engine.command(lambda runner: runner.begin(self._caller, self._persona))

    def _joined(self) -> None:
        if self._caller.joined.exception() is not None:
            self.hang_up()
            return
        engine = self._engine
        self.prepared_sec = engine.clock.now - self.asked_at
        if not self.frames:
            self.hang_up()
        elif not self.paced:
            for _ in range(min(2, self.frames)):
                self._hear()
        else:
            self._align(engine.clock.now + engine.random.random() * PACKET_SEC)
            self._send_next()

    def _align(self, from_sec: float) -> None:
        """As ``LiveCall`` does: frames complete just before a tick from now on."""
        skipped = self._engine.scheduler.clock.samples_to_skip(from_sec, PACKET_SAMPLES) or 0
        self._sent_at = from_sec + skipped / SAMPLE_RATE_HZ

    def _send_next(self) -> None:
        self._sent_at += FRAME_SEC
        self._engine.at(self._sent_at + self._engine.random.random() ** 4 * JITTER_SEC, self._send)

    def _send(self) -> None:
        self._hear()
        if self._heard < self.frames:
            wait_sec = self._engine.scheduler.waiting_frames(self._caller.slot)[2]
            if self._heard % RELOCK_EVERY_FRAMES == 0 and wait_sec > LATE_FRAME_SEC:
                self._align(self._sent_at)
            self._send_next()

    def _hear(self) -> None:
        self._heard += 1
        self._heard_at.append(self._engine.event_at)
        self._engine.scheduler.hear(self._caller.slot, SILENCE, self._engine.event_at)

    def _deliver(self, answer: Answer | PersonaplexError) -> None:
        if isinstance(answer, PersonaplexError):
            self.errors.append(answer)
            self.hang_up()
            return
        latency_sec = self._engine.clock.now - self._heard_at.popleft()
        self.latencies_sec.append(latency_sec)
        if self.paced:
            self._engine.latencies_in_step_sec.append(latency_sec)
        elif self._heard < self.frames:
            self._hear()
        if len(self.latencies_sec) >= self.frames:
            self.hang_up()

    def hang_up(self) -> None:
        self._engine.command(self._leave)

    def _leave(self, runner: ModelRunner) -> None:
        if not self.over:
            self.over = True
            self.dropped = self._engine.scheduler.waiting_frames(self._caller.slot)[1]
            runner.leave(self._caller)
            self._engine.pool.release(self._request)


class SimulatedEngine:
    def __init__(
        self, machine: Machine, slots: int, chunks: int = 10, scheduler: Scheduler | None = None
    ) -> None:
        self.clock = Clock(0.0)
        self.model = SimulatedModel(machine, self.clock, slots, chunks)
        self.scheduler = scheduler or Scheduler()
        self.scheduler.expect(self.model.costs, slots)
        self.pool = SlotPool(slots, 100)
        self.ticks_sec: list[float] = []
        """What each step took."""
        self.answered_sec: list[float] = []
        """How long after the last of its live callers' frames each step's answers came."""
        self.latencies_in_step_sec: list[float] = []
        self.random = random.Random(2)
        self.event_at = 0.0
        """The time of the event that is handled: a frame comes while the model works, not after."""
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._commands: deque[Callable[[ModelRunner], None]] = deque()
        self._numbers = 0
        self.runner = ModelRunner(
            self.model, self.scheduler, Condition(RLock()), Pulse(), self._post, self._stepped, self.clock
        )

    def _post(self, function: Callable[..., None], *arguments: object) -> None:
        self.event_at = self.clock.now
        function(*arguments)

    def _stepped(self, sec: float, callers: int) -> None:
        self.ticks_sec.append(sec)

    def command(self, function: Callable[[ModelRunner], None]) -> None:
        self._commands.append(function)

    def at(self, sec: float, function: Callable[[], None]) -> None:
        self._numbers += 1
        heapq.heappush(self._events, (sec, self._numbers, function))

    def call(self, voice: str = "NATF2", frames: int = 0, paced: bool = True) -> SimulatedCall:
        return SimulatedCall(self, Persona(voice, "Be kind."), frames, paced)

    def run(self, sec: float) -> None:
        """Let ``sec`` seconds pass."""
        end = self.clock.now + sec
        while True:
            while self._events and self._events[0][0] <= self.clock.now:
                self.event_at, _, function = heapq.heappop(self._events)
                function()
            if self.clock.now >= end:
                return
            if self._commands:
                self._commands.popleft()(self.runner)
                continue
            action = self.scheduler.next_action(self.clock.now)
            if isinstance(action, Wait):
                wake_at = end if action.sec is None else min(end, self.clock.now + action.sec)
                self.clock.now = min([wake_at, *[event[0] for event in self._events[:1]]])
            else:
                self.latencies_in_step_sec.clear()
                self.runner.act(action)
                if self.latencies_in_step_sec:
                    self.answered_sec.append(min(self.latencies_in_step_sec))
