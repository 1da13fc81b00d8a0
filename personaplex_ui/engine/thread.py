"""The one thread that may touch a speech model: loads it, then steps it for all seats until it is stopped.

Knows its own seats and nothing of other threads. Whoever abandons it, since it hangs, hears no more of it,
whenever it wakes: all that it tells goes through ``post`` and ``_tell``, which are closed then.
"""

import gc
import logging
import threading
from collections import deque
from collections.abc import Callable
from typing import Protocol

from personaplex_ui.audio.frames import Frame, silent_frame
from personaplex_ui.engine.health import Health
from personaplex_ui.engine.model_runner import ModelRunner
from personaplex_ui.engine.scheduler import Action, Prepare, Scheduler, Step, Wait
from personaplex_ui.engine.slot import Slot
from personaplex_ui.engine.speech_model import Persona, Recoverable, Sampling, SpeechModel
from personaplex_ui.engine.watch import Pulse, Work
from personaplex_ui.errors import PersonaplexError

log = logging.getLogger(__name__)

ReportLoading = Callable[[str, float], None]
"""Called by a loader with a sentence and the progress in [0, 1]."""

LoadModel = Callable[[ReportLoading], SpeechModel]

LETS_GO_WITHIN_SEC = 5.0
"""A thread that is to leave its model to another one."""

Command = tuple[Callable[[], None], Callable[[], None] | None]
"""What to run, and what to call on the event loop instead when nobody can tell whether it ran."""


class Host(Protocol):
    """What the engine is to its thread; called from there."""

    health: Health
    trial: Persona | None
    has_started_anew: bool

    def post(self, function: Callable[[], None]) -> None:
        """Run ``function`` on the event loop."""
        ...

    def stepped(self, sec: float, callers: int) -> None: ...

    def could_not_restart(self, thread: "ModelThread", why: str) -> None: ...


class ModelThread:
    """``former``: the thread before, when this one restarts the engine; its ``model`` is kept if ``keep``."""

    def __init__(
        self,
        load: LoadModel,
        host: Host,
        clock: Callable[[], float],
        former: "ModelThread | None" = None,
        keep: bool = False,
    ) -> None:
        self.pulse = Pulse(Work.LOAD if former is None else Work.RELOAD)
        self.model = former.model if former is not None and keep else None
        self._load = load
        self._host = host
        self._clock = clock
        self._former = former
        self._scheduler = Scheduler()
        self._wake = threading.Condition(threading.RLock())
        self._runner = ModelRunner(self._scheduler, self._wake, self.pulse, self.post)
        self._commands: deque[Command] = deque()
        self._in_hand: list[Command] = []
        self._stopping = False
        self._abandoned = False
        self._ended = False
        self._thread = threading.Thread(target=self._run, name="engine", daemon=True)

    # Anybody's side --------------------------------------------------------------------------------

    def start(self) -> None:
        self._thread.start()

    @property
    def seats(self) -> dict[int, Slot]:
        return self._runner.seats

    @property
    def died(self) -> bool:
        """It has ended, and nobody meant it to."""
        return self._thread.ident is not None and not self._thread.is_alive() and not self._ended

    @property
    def abandoned(self) -> bool:
        return self._abandoned

    @property
    def waiting_commands(self) -> int:
        return len(self._commands)

    def join(self, within_sec: float) -> bool:
        """Whether it has ended."""
        self._thread.join(within_sec)
        return not self._thread.is_alive()

    def stop(self) -> None:
        """End after the piece of work it is in."""
        with self._wake:
            self._stopping = True
            self._wake.notify()

    def abandon(self) -> list[Slot]:
        """Let it tell nothing any more, and end when it can; returns the seats it had."""
        with self._wake:
            self._abandoned = self._stopping = True
            self._wake.notify()
            left_over = [*self._in_hand, *self._commands]
            self._commands.clear()
        for _, give_up in left_over:
            if give_up is not None:
                self._host.post(give_up)
        return list(self.seats.values())

    def command(self, command: Callable[[], None], give_up: Callable[[], None] | None = None) -> None:
        """Have the thread run ``command`` before its next action; here, if it has ended. ``give_up`` is
        called instead, on the event loop, once nobody can tell any more whether it ran."""
        with self._wake:
            if not (self._ended or self._abandoned):
                self._commands.append((command, give_up))
                self._wake.notify()
                return
        if self._abandoned:
            if give_up is not None:
                give_up()
        else:
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

    # Its own side ----------------------------------------------------------------------------------

    def _tell(self, function: Callable[[], None]) -> None:
        with self._wake:
            if not self._abandoned:
                function()

    def post(self, function: Callable[[], None]) -> None:
        """Run ``function`` on the event loop, unless this thread was abandoned meanwhile."""

        def unless_abandoned() -> None:
            if not self._abandoned:
                function()

        self._tell(lambda: self._host.post(unless_abandoned))

    def post_result(self, function: Callable[[], None]) -> None:
        """Run ``function`` on the event loop, for whoever waits for a command: also after the end."""
        self._host.post(function)

    def _run(self) -> None:
        try:
            if not self._get_ready():
                return
            while not self._stopping:
                self._turn(self._ready_model)
        except BaseException:  # a library may raise SystemExit; who watches sees that the thread has ended
            log.exception("The thread of the speech model ended.")
            return
        with self._wake:
            self._ended = True
            left_over = [] if self._abandoned else list(self._commands)
        for command, _ in left_over:
            self._guarded(command)

    @property
    def _ready_model(self) -> SpeechModel:
        assert self.model is not None
        return self.model

    def _get_ready(self) -> bool:
        """Whether there is a model that callers may use."""
        restarts = self._former is not None or self._host.has_started_anew
        if self._former is not None:
            former, self._former = self._former, None
            if self.model is not None and not former.join(LETS_GO_WITHIN_SEC):
                self.model = None  # it may touch it yet
            former.model = None
        if self.model is not None and self._keeps_going(self.model):
            self._tell(self._host.health.ready)
            return True
        self.model = None
        if restarts:
            gc.unfreeze()  # see server.keep_collections_short; there may be room for one model only
            gc.collect()
        try:
            self.model = self._load(self._report)
            if restarts:
                self._try_out(self.model)
        except PersonaplexError as error:
            log.error("The speech model could not be loaded: %s", error)
            self._could_not_load(restarts, str(error))
            return False
        except BaseException:
            log.exception("The speech model could not be loaded.")
            sentence = "The speech model could not be loaded; the server's log tells why."
            self._could_not_load(restarts, sentence)
            return False
        self._tell(self._host.health.ready)
        self.pulse.end()
        return True

    def _could_not_load(self, restarts: bool, sentence: str) -> None:
        self.pulse.end()
        self._ended = True
        if restarts:
            self.post(lambda: self._host.could_not_restart(self, sentence))
        else:
            self._tell(lambda: self._host.health.fail(sentence))

    def _report(self, message: str, progress: float) -> None:
        log.info("%s (%.0f %%)", message, progress * 100)
        self.pulse.beats += 1
        self._tell(lambda: self._host.health.report(message, progress))

    def _keeps_going(self, model: SpeechModel) -> bool:
        """Whether a model that was in trouble works, once it has forgotten all of its callers."""
        try:
            self.pulse.begin(Work.COMMAND)
            for slot in range(model.slots):
                model.leave(slot)
            if isinstance(model, Recoverable):
                model.recover()
            self._try_out(model)
        except BaseException:
            log.exception("The speech model is still in trouble; it is loaded again.")
            self.pulse.begin(Work.RELOAD)
            return False
        self.pulse.end()
        return True

    def _try_out(self, model: SpeechModel) -> None:
        """One step, as for a caller. Raises what the model raises."""
        if self._host.trial is None or model.clips_only:
            return
        try:
            preparation = model.prepare(self._host.trial)
            while True:
                self.pulse.begin(Work.PREPARE)
                next(preparation)
        except StopIteration as done:
            prepared = done.value
        except PersonaplexError:
            return  # this voice or role is not for this model, which tells nothing
        model.join(0, prepared, Sampling(greedy=True))
        self.pulse.begin(Work.STEP)
        model.step({0: silent_frame()})
        model.leave(0)

    def _turn(self, model: SpeechModel) -> None:
        with self._wake:
            commands = list(self._commands)
            self._commands.clear()
            action = Wait(0.0) if commands else self._scheduler.next_action(self._clock())
            if isinstance(action, Wait) and not (commands or self._stopping):
                self._wake.wait(action.sec)
            self._in_hand = commands
        for command, _ in commands:
            self.pulse.begin(Work.COMMAND)
            self._guarded(command)
            self.pulse.end()
            if self._abandoned:
                return
        self._in_hand = []
        if not isinstance(action, Wait):
            started = self._clock()
            self._act(model, action)
            self.pulse.end()
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
                self._runner.step(model, heard)
                sec = self._clock() - started
                self._tell(lambda: self._host.stepped(sec, len(heard)))
            case Prepare(slot):
                self._runner.prepare(model, slot)
            case Wait():
                pass

    def begin(self, seat: Slot, persona: Persona) -> None:
        """A command: see ``ModelRunner``."""
        self._runner.begin(self._ready_model, seat, persona)

    def free(self, seat: Slot) -> None:
        """A command: see ``ModelRunner``."""
        self._runner.free(self._ready_model, seat)

    def change_sampling(self, slot: int, sampling: Sampling) -> None:
        """A command."""
        self._ready_model.change_sampling(slot, sampling)

    def speak(self, slot: int, text: str) -> None:
        """A command."""
        self._ready_model.speak(slot, text)
