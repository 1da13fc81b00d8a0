"""The engine: owns the speech model's thread, and is the door to it for the event loop.

The event loop hands over commands and frames under a lock that is never held while the model works; the
thread hands back answers once a tick. Whoever is late, neither side waits for the other. A thread that hangs,
ends or fails again and again is replaced; every caller on it is told.
"""

import asyncio
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from personaplex_ui.engine.health import EngineState, Health
from personaplex_ui.engine.recovery import Recovery, Remedy
from personaplex_ui.engine.slot import Deliver, Slot
from personaplex_ui.engine.slot_pool import SlotPool
from personaplex_ui.engine.speech_model import Persona, Sampling, SpeechModel
from personaplex_ui.engine.thread import LoadModel, ModelThread, ReportLoading
from personaplex_ui.engine.watch import Trouble, Watch
from personaplex_ui.errors import EngineFailure, EngineUnavailable

__all__ = ["Engine", "EngineState", "EngineStats", "LoadModel", "ReportLoading"]

log = logging.getLogger(__name__)

STOPS_WITHIN_SEC = 0.5
"""So long the end waits for the thread: a step takes less, and loading or a hang ends with the process."""

LOOK_EVERY_SEC = 0.25
PREPARED_WITHIN_SEC = 60.0
CLIP_PREPARED_WITHIN_SEC = 300.0
"""A clip may be answered by a CPU, where it takes minutes."""

RESTARTS = "The speech model failed on our side and is being restarted. Please call again in a minute."
STARTS_ANEW = "The speech model failed, so the server starts anew. Please call again in a minute."
SHUTS_DOWN = "The server is shutting down."


@dataclass(slots=True)
class EngineStats:
    """``ticks``: steps made; ``last_step_sec``: what the newest one took; ``restarts``: of the engine."""

    ticks: int = 0
    last_step_sec: float = 0.0
    restarts: int = 0


class Engine:
    """Loads a model in its own thread, then steps it for all seats until it is closed. ``trial``: the voice
    and role to try a restarted model with. ``clock``: monotonic seconds."""

    def __init__(
        self,
        load: LoadModel,
        max_calls: int,
        max_waiting: int = 20,
        clock: Callable[[], float] = time.monotonic,
        trial: Persona | None = None,
    ) -> None:
        self.trial = trial
        self.health = Health()
        self.lines = SlotPool(max_calls, max_waiting)
        self.figures = EngineStats()
        self.on_tick: list[Callable[[float, int], None]] = []
        """Called on the engine's thread after each step: the seconds it took, and how many it was for."""
        self.start_anew: Callable[[str], str] | None = None
        """Called when no restart helps: has the process start anew and returns nothing, or returns a sentence
        that tells why it does not."""
        self.has_started_anew = False
        """The process started itself anew, so nobody may be there to press a button: a model is tried once it
        is loaded, and one that cannot be loaded is no end yet."""
        self._load = load
        self._clock = clock
        self._swapping = threading.RLock()
        self._thread = ModelThread(load, self, clock)
        self._watch = Watch()
        self._recovery = Recovery()
        self._watching: asyncio.Task[None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def state(self) -> EngineState:
        return self.health.state

    @property
    def message(self) -> str:
        return self.health.message

    @property
    def progress(self) -> float:
        return self.health.progress

    @property
    def failure(self) -> str:
        return self.health.failure

    @property
    def model(self) -> SpeechModel:
        """The loaded model, for its name and memory.

        Raises:
            EngineUnavailable: it is not ready; the text says why.
        """
        model = self._thread.model
        if not self.health.takes_calls or model is None:
            raise EngineUnavailable(self.health.message)
        return model

    # Start and end ---------------------------------------------------------------------------------

    async def start(self) -> None:
        """Start loading. Returns at once; watch ``health``."""
        self._loop = asyncio.get_running_loop()
        self._thread.start()
        self._watching = asyncio.create_task(self._keep_watching(), name="engine watch")

    def load_again(self, load: LoadModel, instead: bool = False) -> None:
        """Load with ``load``, after loading has failed; in any other state, nothing happens. ``instead``: it
        is another model, so why the first one failed is still worth telling; as long as nobody is on it, the
        first one can be tried again. From any thread."""
        lines = self.lines
        with self._swapping:
            former = self._thread
            idle = self.health.takes_calls and lines.free == lines.capacity and not former.seats
            if self.state is not EngineState.FAILED and not (self.failure and idle):
                return
            self.has_started_anew = False  # somebody is there
            self.health.load(instead)
            self._recovery.forget()
            self._load = load
            former.abandon()
            former.join(STOPS_WITHIN_SEC)  # it waits for commands and frames, of which there are none
            self._replace(ModelThread(load, self, self._clock))

    def _replace(self, thread: ModelThread) -> None:
        self._thread, self._watch = thread, Watch()
        thread.start()

    async def close(self) -> None:
        """Stop the thread after the step it is in. Calls should have ended before."""
        self.health.drain(SHUTS_DOWN)
        if self._watching is not None:
            self._watching.cancel()
        thread = self._thread
        thread.stop()
        if not await asyncio.to_thread(thread.join, STOPS_WITHIN_SEC):
            thread.abandon()

    # Calls -----------------------------------------------------------------------------------------

    async def take_seat(
        self,
        slot: int,
        persona: Persona,
        sampling: Sampling,
        deliver: Deliver,
        on_progress: Callable[[float], None],
        paced: bool = True,
    ) -> Slot:
        """Prepare ``persona`` and join ``slot``; returns when the model is ready to hear the first frame.

        ``deliver`` gets every answer, or the error that ends the call, on the event loop. On cancellation
        nothing is left behind.

        Raises:
            EngineUnavailable: the model is not ready.
            InvalidInput: the persona cannot be prepared.
            EngineFailure: the model raised while it prepared, or took too long.
        """
        _ = self.model
        thread = self._thread
        joined: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        seat = Slot(thread, slot, sampling, deliver, on_progress, joined, paced)
        within_sec = PREPARED_WITHIN_SEC if paced else CLIP_PREPARED_WITHIN_SEC
        gone = EngineFailure(RESTARTS)
        thread.command(lambda: thread.begin(seat, persona), lambda: seat.refuse(gone))
        try:
            async with asyncio.timeout(within_sec):
                await joined
        except TimeoutError:
            log.error("A voice and role were not ready within %.0f s.", within_sec)
            await asyncio.shield(seat.leave())
            raise EngineFailure(
                f"The voice and role were not ready within {within_sec:.0f} seconds. Please call again, or "
                "choose another voice."
            ) from None
        except BaseException:
            await asyncio.shield(seat.leave())
            raise
        return seat

    def samples_to_skip(self, chunk_samples: int) -> int | None:
        """See ``TickClock.samples_to_skip``."""
        return self._thread.samples_to_skip(chunk_samples)

    # Health ----------------------------------------------------------------------------------------

    async def _keep_watching(self) -> None:
        while True:
            await asyncio.sleep(LOOK_EVERY_SEC)
            try:
                self.look()
            except Exception:
                log.exception("The engine could not be looked after.")

    def look(self) -> None:
        """Look whether the thread does its work, and help if it does not. On the event loop."""
        with self._swapping:
            thread = self._thread
            if thread.abandoned or self.state is EngineState.DRAINING:
                return
            trouble = self._watch.look(self._clock(), thread.pulse, not thread.died, thread.waiting_commands)
            if trouble is not None:
                self._help(thread, trouble)

    def _help(self, former: ModelThread, trouble: Trouble) -> None:
        has_model = former.model is not None
        remedy = self._recovery.remedy(trouble, self._clock(), has_model, self.trial is not None)
        if remedy is Remedy.WAIT:
            log.error("%s", trouble.what)
            self.health.fail(f"{trouble.what} It may be tried again; the server's log has the details.")
        elif remedy is Remedy.GIVE_UP:
            self._give_up(former, trouble.what)
        else:
            log.error("%s The engine is restarted.", trouble.what)
            self.health.degrade(f"{trouble.what} It is being restarted. Please call again in a minute.")
            self.figures.restarts += 1
            self._end_calls(former)
            keep = remedy is Remedy.KEEP_MODEL
            self._replace(ModelThread(self._load, self, self._clock, former, keep))

    def _end_calls(self, thread: ModelThread) -> None:
        for seat in thread.abandon():
            seat.fail(EngineFailure(RESTARTS))

    def _give_up(self, thread: ModelThread, why: str) -> None:
        """Nothing in this process helps."""
        log.error("%s The engine cannot be restarted.", why)
        self.health.degrade(f"{why} Please call again in a few minutes.")
        self._end_calls(thread)
        why_not = self.start_anew(why) if self.start_anew is not None else "See the server's log."
        if why_not:
            self.health.fail(f"{why} A restart did not help. {why_not}")
        else:
            self.health.drain(STARTS_ANEW)

    # The thread's side -----------------------------------------------------------------------------

    def post(self, function: Callable[[], None]) -> None:
        """Run ``function`` on the event loop."""
        assert self._loop is not None
        try:
            self._loop.call_soon_threadsafe(function)
        except RuntimeError:
            log.debug("The event loop is gone; an answer was not delivered.")

    def stepped(self, sec: float, callers: int) -> None:
        self.figures.ticks += 1
        self.figures.last_step_sec = sec
        try:
            for told in self.on_tick:
                told(sec, callers)
        except Exception:
            log.exception("A step could not be counted.")

    def could_not_restart(self, thread: ModelThread, why: str) -> None:
        with self._swapping:
            if thread is self._thread:
                self._give_up(thread, why)
