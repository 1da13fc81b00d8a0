"""The engine: owns the speech model's thread, and gives calls slots of the model.

The event loop hands over commands and frames under a lock that is never held while the model works; the
thread hands back answers once a tick. Neither side waits for the other. A thread that hangs, ends or fails
repeatedly is replaced, and its callers are told. This module runs on the event loop.
"""

import asyncio
import logging
import time
from collections.abc import Callable

from personaplex_ui.engine.health import EngineState, Health
from personaplex_ui.engine.loading import LoadModel, ReportLoading
from personaplex_ui.engine.model_runner import Caller, Deliver
from personaplex_ui.engine.reports import stands_in_because
from personaplex_ui.engine.slot import Slot
from personaplex_ui.engine.slot_pool import SlotPool
from personaplex_ui.engine.speech_model import Persona, Sampling, SpeechModel
from personaplex_ui.engine.supervisor import Remedy, Supervisor, Verdict
from personaplex_ui.engine.thread import ModelThread
from personaplex_ui.errors import EngineFailure, EngineUnavailable

__all__ = ["Engine", "EngineState", "LoadModel", "ReportLoading"]

log = logging.getLogger(__name__)

STOPS_WITHIN_SEC = 0.5
"""How long ``close`` waits for the thread. A step takes less; a load or a hang ends with the process."""

LOOK_EVERY_SEC = 0.25
PREPARED_WITHIN_SEC = 60.0
CLIP_PREPARED_WITHIN_SEC = 300.0
"""A clip may be answered on a CPU, which takes minutes."""

MADE_WAY = ", since the server is too busy with other calls. Please call again in a few minutes."
CHOOSE_ANOTHER = ". Please call again, or choose another voice."
FEWER_LINES = "There are fewer lines now than when you got yours. Please call again."
RESTARTS = "The speech model failed on our side and is being restarted. Please call again in a minute."
RESTARTS_PROCESS = "The speech model failed, so the server is restarting. Please call again in a minute."
SHUTS_DOWN = "The server is shutting down."


class Engine:
    """Loads a model in its own thread, then steps it for all callers until it is closed. ``max_calls``: how
    many slots there are until a model is loaded, which then says how many it has. ``trial``: the voice and
    role to try a restarted model with. ``clock``: monotonic seconds."""

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
        self.slots = SlotPool(max_calls, max_waiting)
        self.restarts = 0
        self.on_tick: list[Callable[[float, int], None]] = []
        """Called after each step: the seconds it took, and how many callers it was for."""
        self.restart_process: Callable[[str], str] | None = None
        """Called when no restart helps: restarts the process and returns nothing, or returns a sentence that
        tells why it does not."""
        self.process_restarted = False
        """The process has restarted itself, so nobody may be there to press a button: a loaded model is tried
        before calls are taken, and if none can be loaded, the process may be restarted again."""
        self._load = load
        self._clock = clock
        self._supervisor = Supervisor()
        self._watching: asyncio.Task[None] | None = None
        self._thread: ModelThread | None = None

    @property
    def state(self) -> EngineState:
        return self.health.state

    @property
    def model(self) -> SpeechModel:
        """The loaded model, for its name and memory.

        Raises:
            EngineUnavailable: it is not ready; the text says why.
        """
        model = self._thread.model if self._thread is not None else None
        if not self.health.takes_calls or model is None:
            raise EngineUnavailable(self.health.message)
        return model

    # Start and end ---------------------------------------------------------------------------------

    async def start(self) -> None:
        """Start loading. Returns at once; watch ``health``."""
        self._start_thread()
        self._watching = asyncio.create_task(self._keep_watching(), name="engine watch")

    def _start_thread(self, former: ModelThread | None = None, keep: bool = False) -> None:
        loop = asyncio.get_running_loop()
        self._thread = ModelThread(self._load, self, self._clock, loop, former, keep)
        self._supervisor.watch_next()
        self._thread.start()

    def load_again(self, load: LoadModel, instead: bool = False) -> None:
        """Load with ``load``, after loading has failed; in any other state, nothing happens. ``instead``: it
        is another model, so the failure of the first is still shown, and the first can be tried again while
        the other has no callers."""
        former = self._thread
        idle = self.health.takes_calls and not self.slots.taken
        if former is None or not (self.state is EngineState.FAILED or (self.health.failure and idle)):
            return
        self.process_restarted = False  # an operator is there
        self.health.load(instead)
        self._supervisor.forget()
        self._load = load
        former.abandon(EngineFailure(RESTARTS))
        self._start_thread()

    async def close(self) -> None:
        """Stop the thread after its current step. Calls should have ended already."""
        self.health.drain(SHUTS_DOWN)
        if self._watching is not None:
            self._watching.cancel()
        if self._thread is not None:
            self._thread.stop()
            await asyncio.to_thread(self._thread.join, STOPS_WITHIN_SEC)
            self._thread.abandon(EngineFailure(SHUTS_DOWN))

    # Calls -----------------------------------------------------------------------------------------

    async def take_slot(
        self,
        slot: int,
        persona: Persona,
        sampling: Sampling,
        deliver: Deliver,
        on_progress: Callable[[float], None],
        paced: bool = True,
    ) -> Slot:
        """Prepare ``persona`` and join ``slot``; returns when the model is ready to hear the first frame.

        ``deliver`` gets every answer, or the error that ends the call. Cancellation leaves nothing behind.

        Raises:
            EngineUnavailable: the model is not ready, or has fewer slots than the one before.
            InvalidInput: the persona cannot be prepared.
            EngineFailure: the model raised while it prepared, or took too long.
        """
        _ = self.model
        thread = self._thread
        assert thread is not None
        if slot >= self.slots.capacity:  # given before another model was loaded
            raise EngineUnavailable(FEWER_LINES)
        taken = Slot(thread, Caller(slot, sampling, paced, deliver, on_progress))
        within_sec = PREPARED_WITHIN_SEC if paced else CLIP_PREPARED_WITHIN_SEC
        try:
            async with asyncio.timeout(within_sec):
                await taken.join(persona)
        except TimeoutError:
            then = MADE_WAY if thread.makes_way(slot) else CHOOSE_ANOTHER
            sentence = f"The voice and role were not ready within {within_sec:.0f} seconds{then}"
            log.error("%s", sentence)
            await taken.leave()
            raise EngineFailure(sentence) from None
        except BaseException:
            await taken.leave()
            raise
        return taken

    # Health ----------------------------------------------------------------------------------------

    async def _keep_watching(self) -> None:
        while True:
            await asyncio.sleep(LOOK_EVERY_SEC)
            try:
                self.look()
            except Exception:
                log.exception("The check of the engine failed.")

    def look(self) -> None:
        """Check that the thread is working, and restart the engine if it is not."""
        thread = self._thread
        if thread is None or self.state in (EngineState.FAILED, EngineState.DRAINING):
            return
        has_model = thread.model is not None
        verdict = self._supervisor.look(
            self._clock(), thread.pulse, not thread.died, len(thread.commands), has_model
        )
        if verdict is not None:
            self._help(thread, verdict)

    def _help(self, thread: ModelThread, verdict: Verdict) -> None:
        trouble = verdict.trouble
        match verdict.remedy:
            case Remedy.WAIT:
                log.error("%s", trouble)
                self.health.fail(f"{trouble} You can try again; the server's log has the details.")
            case Remedy.GIVE_UP:
                self._give_up(thread, trouble)
            case Remedy.KEEP_MODEL | Remedy.LOAD_AGAIN:
                log.error("%s Restarting the engine.", trouble)
                self.health.degrade(f"{trouble} It is being restarted. Please call again in a minute.")
                self.restarts += 1
                self._end_calls(thread)
                self._start_thread(thread, keep=verdict.remedy is Remedy.KEEP_MODEL)

    def _end_calls(self, thread: ModelThread) -> None:
        for caller in thread.abandon(EngineFailure(RESTARTS)):
            caller.fail(EngineFailure(RESTARTS))

    def _give_up(self, thread: ModelThread, why: str) -> None:
        """Nothing in this process helps."""
        log.error("%s The engine cannot be restarted.", why)
        self.health.degrade(f"{why} Please call again in a few minutes.")
        self._end_calls(thread)
        why_not = self.restart_process(why) if self.restart_process is not None else "See the server's log."
        if why_not:
            self.health.fail(f"{why} A restart did not help. {why_not}")
        else:
            self.health.drain(RESTARTS_PROCESS)

    # What the thread reports -----------------------------------------------------------------------

    def loaded(self, slots: int) -> None:
        """A model with ``slots`` slots can be used."""
        self.slots.resize(slots)
        if self._thread is not None and (why := stands_in_because(self._thread.model)):
            self.health.failure = why
        self.health.ready()

    def stepped(self, sec: float, callers: int) -> None:
        """A step for ``callers`` callers took ``sec`` seconds."""
        for listener in self.on_tick:
            listener(sec, callers)

    def could_not_load(self, sentence: str) -> None:
        assert self._thread is not None
        if self._thread.restarts:
            self._give_up(self._thread, sentence)
        else:
            self.health.fail(sentence)
