"""The engine: one thread that owns the speech model, and the door to it for the event loop.

The event loop hands over commands and frames under a lock that is never held while the model works; the
thread hands back answers once a tick. Whoever is late, neither side waits for the other.
"""

import asyncio
import enum
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from personaplex_ui.audio.frames import Frame
from personaplex_ui.engine.lines import Lines
from personaplex_ui.engine.scheduler import Action, Prepare, Scheduler, Step, Wait
from personaplex_ui.engine.seat import Deliver, Seat
from personaplex_ui.engine.speech_model import Answer, Persona, Preparation, Sampling, SpeechModel
from personaplex_ui.errors import EngineFailure, EngineUnavailable, PersonaplexError

log = logging.getLogger(__name__)

ReportLoading = Callable[[str, float], None]
"""Called by a loader with a sentence and the progress in [0, 1]."""

LoadModel = Callable[[ReportLoading], SpeechModel]


STOPS_WITHIN_SEC = 0.5
"""So long the end waits for the thread: a step takes less, and loading or a hang ends with the process."""


class EngineState(enum.Enum):
    LOADING = "loading"
    READY = "ready"
    FAILED = "failed"
    CLOSED = "closed"


@dataclass(slots=True)
class EngineFigures:
    """``ticks``: steps made; ``last_step_sec``: what the newest one took."""

    ticks: int = 0
    last_step_sec: float = 0.0


class Engine:
    """Loads a model in its own thread, then steps it for all seats until it is closed."""

    def __init__(
        self,
        load: LoadModel,
        max_calls: int,
        max_waiting: int = 20,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._load = load
        self._clock = clock
        self._scheduler = Scheduler()
        self._wake = threading.Condition()
        self._commands: deque[Callable[[], None]] = deque()
        self._seats: dict[int, Seat] = {}
        self._preparations: dict[int, Preparation] = {}
        self._thread = threading.Thread(target=self._run, name="engine", daemon=True)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._model: SpeechModel | None = None
        self._closing = False
        self._replaced = False
        self.lines = Lines(max_calls, max_waiting)
        self.state = EngineState.LOADING
        self.message = "The speech model is being loaded."
        self.progress = 0.0
        self.failure = ""
        """Why the model could not be loaded the last time; stays while another one is loaded instead."""
        self.figures = EngineFigures()
        self.on_tick: list[Callable[[float, int], None]] = []
        """Called on the engine's thread after each step: the seconds it took, and how many it was for."""

    # The event loop's side -------------------------------------------------------------------------

    async def start(self) -> None:
        """Start loading. Returns at once; watch ``state``, ``message`` and ``progress``."""
        self._loop = asyncio.get_running_loop()
        self._thread.start()

    def load_again(self, load: LoadModel, instead: bool = False) -> None:
        """Load with ``load``, after loading has failed; in any other state, nothing happens. ``instead``: it
        is another model, so why the first one failed is still worth telling; as long as nobody is on it, the
        first one can be tried again."""
        lines = self.lines
        with self._wake:
            idle = self.state is EngineState.READY and lines.free == lines.capacity and not self._seats
            if self._closing or not (self.state is EngineState.FAILED or (self.failure and idle)):
                return
            former, self._load, self._replaced = self._thread, load, True
            self.failure = self.failure if instead else ""
            self.message, self.progress = "The model is being loaded.", 0.0
            self.state = EngineState.LOADING
            self._wake.notify()
        former.join()  # it waits for commands and frames, of which there are none
        with self._wake:
            self._replaced = False
            if self._closing:
                return
            self._thread = threading.Thread(target=self._run, name="engine", daemon=True)
            self._thread.start()

    async def close(self) -> None:
        """Stop the thread after the step it is in. Calls should have ended before."""
        with self._wake:
            self._closing = True
            self._wake.notify()
        if self._thread.is_alive():
            await asyncio.to_thread(self._thread.join, STOPS_WITHIN_SEC)

    @property
    def model(self) -> SpeechModel:
        """The loaded model, for its name and memory.

        Raises:
            EngineUnavailable: it is not ready; the text says why.
        """
        if self.state is not EngineState.READY or self._model is None:
            raise EngineUnavailable(self.message)
        return self._model

    async def take_seat(
        self,
        slot: int,
        persona: Persona,
        sampling: Sampling,
        deliver: Deliver,
        on_progress: Callable[[float], None],
        paced: bool = True,
    ) -> Seat:
        """Prepare ``persona`` and join ``slot``; returns when the model is ready to hear the first frame.

        ``deliver`` gets every answer, or the error that ends the call, on the event loop. On cancellation
        nothing is left behind.

        Raises:
            EngineUnavailable: the model is not ready.
            InvalidInput: the persona cannot be prepared.
            EngineFailure: the model raised while it prepared.
        """
        model = self.model
        joined: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        seat = Seat(self, slot, sampling, deliver, on_progress, joined, paced)

        self.command(lambda: self._begin(model, seat, persona))
        try:
            await joined
        except BaseException:
            await asyncio.shield(seat.leave())
            raise
        return seat

    def command(self, command: Callable[[], None]) -> None:
        """Have the engine's thread run ``command`` before its next action; here, if the thread has ended."""
        with self._wake:
            if self.state is not EngineState.CLOSED:
                self._commands.append(command)
                self._wake.notify()
                return
        self._guarded(command)

    def hear(self, slot: int, frame: Frame) -> None:
        with self._wake:
            self._scheduler.hear(slot, frame, self._clock())
            self._wake.notify()

    def samples_to_skip(self, chunk_samples: int) -> int | None:
        """See ``TickClock.samples_to_skip``."""
        with self._wake:
            return self._scheduler.clock.samples_to_skip(self._clock(), chunk_samples)

    def waiting_frames(self, slot: int) -> tuple[int, int, float]:
        """Of one seat: frames waiting, frames dropped so far, and how long a frame waits for its tick (s)."""
        with self._wake:
            seat = self._scheduler.seats.get(slot)
            return (len(seat.queue), seat.queue.dropped, seat.wait_sec) if seat else (0, 0, 0.0)

    # The engine thread's side ----------------------------------------------------------------------

    def post(self, function: Callable[[], None]) -> None:
        """Run ``function`` on the event loop."""
        assert self._loop is not None
        try:
            self._loop.call_soon_threadsafe(function)
        except RuntimeError:
            log.debug("The event loop is gone; an answer was not delivered.")

    def _run(self) -> None:
        try:
            self._model = self._load(self._report_loading)
        except PersonaplexError as error:
            log.error("The speech model could not be loaded: %s", error)
            self._fail_loading(str(error))
            return
        except Exception:
            log.exception("The speech model could not be loaded.")
            self._fail_loading("The speech model could not be loaded; the server's log tells why.")
            return
        # The state last: whoever reads it finds the message that belongs to it.
        self.message, self.progress, self.state = "", 1.0, EngineState.READY
        while not (self._closing or self._replaced):
            self._turn(self._model)
        with self._wake:
            if self._replaced:
                return
            self.state, self.message = EngineState.CLOSED, "The server is shutting down."
            left_over = list(self._commands)
        for command in left_over:
            self._guarded(command)

    def _fail_loading(self, sentence: str) -> None:
        with self._wake:
            self.message = self.failure = sentence
            self.state = EngineState.FAILED

    def _report_loading(self, message: str, progress: float) -> None:
        log.info("%s (%.0f %%)", message, progress * 100)
        self.message, self.progress = message, progress

    def _turn(self, model: SpeechModel) -> None:
        with self._wake:
            commands = list(self._commands)
            self._commands.clear()
            action = Wait(0.0) if commands else self._scheduler.next_action(self._clock())
            if isinstance(action, Wait) and not (commands or self._closing or self._replaced):
                self._wake.wait(action.sec)
        for command in commands:
            self._guarded(command)
        if not isinstance(action, Wait):
            started = self._clock()
            self._act(model, action)
            with self._wake:
                self._scheduler.spent(action, self._clock() - started)

    @staticmethod
    def _guarded(command: Callable[[], None]) -> None:
        try:
            command()
        except Exception:
            log.exception("A command to the speech model failed.")

    def _act(self, model: SpeechModel, action: Action) -> None:
        match action:
            case Step(heard):
                started = self._clock()
                try:
                    answers = model.step(heard)
                except Exception:
                    calls = ", ".join(self._seats[slot].call for slot in heard if slot in self._seats)
                    log.exception("The speech model failed in a step for the calls %s.", calls)
                    self._fail([self._seats[slot] for slot in heard if slot in self._seats])
                else:
                    self._hand_out(answers)
                self.figures.ticks += 1
                self.figures.last_step_sec = self._clock() - started
                for told in self.on_tick:
                    told(self.figures.last_step_sec, len(heard))
            case Prepare(slot):
                self._prepare(model, slot)
            case Wait():
                pass

    def _hand_out(self, answers: Mapping[int, Answer]) -> None:
        due = [(self._seats[slot].deliver, answer) for slot, answer in answers.items() if slot in self._seats]

        def deliver_all() -> None:
            for deliver, answer in due:
                deliver(answer)

        self.post(deliver_all)

    def _begin(self, model: SpeechModel, seat: Seat, persona: Persona) -> None:
        self._seats[seat.slot] = seat
        try:
            self._preparations[seat.slot] = model.prepare(persona)
        except PersonaplexError as error:
            self.post(lambda error=error: seat.fail(error))
            return
        with self._wake:
            self._scheduler.prepare(seat.slot)

    def _prepare(self, model: SpeechModel, slot: int) -> None:
        seat = self._seats[slot]
        try:
            progress = next(self._preparations[slot])
        except StopIteration as done:
            self._preparations.pop(slot)
            try:
                model.join(slot, done.value, seat.sampling)
            except Exception:
                log.exception("The speech model could not take the caller.", extra={"call": seat.call})
                self._end_preparation(slot)
                self._fail([seat])
                return
            with self._wake:
                self._scheduler.prepared(slot)
                self._scheduler.join(slot, seat.paced)
            self.post(seat.has_joined)
        except PersonaplexError as error:
            self._end_preparation(slot)
            self.post(lambda error=error: seat.fail(error))
        except Exception:
            log.exception("The speech model failed to prepare a persona.", extra={"call": seat.call})
            self._end_preparation(slot)
            self._fail([seat])
        else:
            self.post(lambda: seat.on_progress(progress))

    def _end_preparation(self, slot: int) -> None:
        self._preparations.pop(slot, None)
        with self._wake:
            self._scheduler.prepared(slot)

    def _fail(self, seats: list[Seat]) -> None:
        error = EngineFailure(
            "The speech model failed on our side. Please call again; the log has the details."
        )
        for seat in seats:
            self.post(lambda seat=seat: seat.fail(error))

    def free(self, seat: Seat) -> None:
        """On the engine's thread: take ``seat`` out of everything."""
        if self._seats.get(seat.slot) is not seat:
            return
        with self._wake:
            self._scheduler.leave(seat.slot)
        del self._seats[seat.slot]
        preparation = self._preparations.pop(seat.slot, None)
        if preparation is not None:
            preparation.close()
        assert self._model is not None
        self._model.leave(seat.slot)
