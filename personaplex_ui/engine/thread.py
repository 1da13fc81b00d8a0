"""The one thread that may touch a speech model: loads it, then steps it for its callers until it is stopped.

Serves its own callers only. A thread that hangs is abandoned: if it wakes later, nothing it posts reaches the
event loop.
"""

import asyncio
import contextlib
import logging
import threading
from collections.abc import Callable
from typing import Protocol

from personaplex_ui.audio.frames import Frame
from personaplex_ui.engine.command_queue import Command, CommandQueue
from personaplex_ui.engine.health import Health
from personaplex_ui.engine.loading import LoadModel, collect_garbage, recover, try_out
from personaplex_ui.engine.model_runner import Caller, ModelRunner
from personaplex_ui.engine.scheduler import Action, Scheduler, Wait
from personaplex_ui.engine.speech_model import Persona, SpeechModel, WorksBesides
from personaplex_ui.engine.supervisor import Pulse, Work
from personaplex_ui.errors import PersonaplexError

log = logging.getLogger(__name__)

LETS_GO_WITHIN_SEC = 5.0
"""How long a thread may take to end when another one takes over its model."""


class Host(Protocol):
    """What the thread reports to, on the event loop. ``trial`` and ``process_restarted``: see ``Engine``."""

    health: Health
    trial: Persona | None
    process_restarted: bool

    def loaded(self, slots: int) -> None: ...

    def stepped(self, sec: float, callers: int) -> None: ...

    def could_not_load(self, sentence: str) -> None: ...


class ModelThread:
    """``former``: the previous thread, when this one restarts the engine; its model is kept if ``keep``."""

    def __init__(
        self,
        load: LoadModel,
        host: Host,
        clock: Callable[[], float],
        loop: asyncio.AbstractEventLoop,
        former: "ModelThread | None" = None,
        keep: bool = False,
    ) -> None:
        self.restarts = former is not None or host.process_restarted
        self.pulse = Pulse(Work.LOAD if former is None else Work.RELOAD)
        self.model: SpeechModel | None = None
        """The model that callers use, once it is ready."""
        self._load = load
        self._host = host
        self._clock = clock
        self._loop = loop
        self._former = former
        self._keep = keep
        self._scheduler = Scheduler()
        self._wake = threading.Condition(threading.RLock())
        self.commands = CommandQueue[ModelRunner](self._wake)
        self._runner: ModelRunner | None = None
        self._stopping = False
        self._abandoned = False
        self._ended = False
        self._thread = threading.Thread(target=self._run, name="engine", daemon=True)

    # On the event loop -----------------------------------------------------------------------------

    def start(self) -> None:
        self._thread.start()

    @property
    def callers(self) -> list[Caller]:
        return list(self._runner.callers.values()) if self._runner is not None else []

    @property
    def died(self) -> bool:
        """Whether it has ended unintentionally."""
        return not self._thread.is_alive() and not self._ended

    def join(self, within_sec: float) -> bool:
        """Wait for its end. Returns whether it has ended."""
        self._thread.join(within_sec)
        return not self._thread.is_alive()

    def stop(self) -> None:
        """End after the current piece of work."""
        with self._wake:
            self._stopping = True
            self._wake.notify()

    def abandon(self, because: PersonaplexError) -> list[Caller]:
        """Ignore it from now on, and let it end when it can. Its commands fail with ``because``; returns the
        callers it had."""
        self._abandoned = True
        self.stop()
        self.commands.close(because)
        return self.callers

    def hear(self, slot: int, frame: Frame) -> None:
        with self._wake:
            self._scheduler.hear(slot, frame, self._clock())
            self._wake.notify()

    def samples_to_skip(self, chunk_samples: int) -> int | None:
        """See ``TickClock.samples_to_skip``."""
        with self._wake:
            return self._scheduler.clock.samples_to_skip(self._clock(), chunk_samples)

    def makes_way(self, slot: int) -> bool:
        """See ``Scheduler.makes_way``."""
        with self._wake:
            return self._scheduler.makes_way(slot)

    def waiting_frames(self, slot: int) -> tuple[int, int, float]:
        """See ``Scheduler.waiting_frames``."""
        with self._wake:
            return self._scheduler.waiting_frames(slot)

    # On the thread ---------------------------------------------------------------------------------

    def _post(self, function: Callable[..., None], *arguments: object) -> None:
        """Call ``function`` on the event loop, unless this thread has been abandoned by then."""
        with contextlib.suppress(RuntimeError):  # the event loop is gone
            self._loop.call_soon_threadsafe(self._unless_abandoned, function, *arguments)

    def _unless_abandoned(self, function: Callable[..., None], *arguments: object) -> None:
        if not self._abandoned:
            function(*arguments)

    def _run(self) -> None:
        try:
            self.model = self._get_model()
            if self.model is not None:
                with self._wake:
                    self._scheduler.expect(self.model.costs, self.model.slots)
                    if isinstance(self.model, WorksBesides):
                        self._scheduler.works_for = self.model.works_for
                self._runner = ModelRunner(
                    self.model,
                    self._scheduler,
                    self._wake,
                    self.pulse,
                    self._post,
                    self._host.stepped,
                    self._clock,
                )
                self._post(self._host.loaded, self.model.slots)
                self._serve(self._runner)
        except BaseException:  # libraries may raise SystemExit; the supervisor sees that the thread has ended
            log.exception("The thread of the speech model ended.")
        else:
            self._ended = True

    def _get_model(self) -> SpeechModel | None:
        """A model that callers may use, or None after telling the host why there is none."""
        try:
            model = self._keep_model() or self._load_model()
        except PersonaplexError as error:
            log.error("The speech model could not be loaded: %s", error)
            sentence = str(error)
        except BaseException:
            log.exception("The speech model could not be loaded.")
            sentence = "The speech model could not be loaded; the server's log says why."
        else:
            self.pulse.end()
            return model
        self.pulse.end()
        self._ended = True
        self._post(self._host.could_not_load, sentence)
        return None

    def _keep_model(self) -> SpeechModel | None:
        """The model of the previous thread, if it is to be kept and works again."""
        former, self._former = self._former, None
        if former is None:
            return None
        # Until that thread has ended, it may still touch the model.
        model = former.model if self._keep and former.join(LETS_GO_WITHIN_SEC) else None
        former.model = former._runner = None
        if model is None or not recover(model, self._host.trial, self.pulse):
            return None
        return model

    def _load_model(self) -> SpeechModel:
        if self.restarts:
            collect_garbage()
        model = self._load(self._report)
        if self.restarts:
            try_out(model, self._host.trial, self.pulse)
        return model

    def _report(self, message: str, progress: float) -> None:
        log.info("%s (%.0f %%)", message, progress * 100)
        self.pulse.beats += 1
        self._post(self._host.health.report, message, progress)

    def _serve(self, runner: ModelRunner) -> None:
        while not self._stopping:
            self._act(runner, self._next())
        if not self._abandoned:
            runner.leave_all()

    def _next(self) -> Command[ModelRunner] | Action:
        """What to do next; waits while there is nothing to do."""
        with self._wake:
            action = self.commands.take() or self._scheduler.next_action(self._clock())
            if isinstance(action, Wait) and not self._stopping:
                self._wake.wait(action.sec)
            return action

    def _act(self, runner: ModelRunner, action: Command[ModelRunner] | Action) -> None:
        match action:
            case Wait():
                return
            case Command():
                self.pulse.begin(Work.COMMAND)
                action.run(runner)
            case _:
                runner.act(action)
        self.pulse.end()
