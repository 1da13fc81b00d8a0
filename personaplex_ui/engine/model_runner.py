"""Runs a loaded speech model for its callers: does what the scheduler decides, and handles failures.

Runs on the engine's thread only. Depends on neither the command queue nor the engine's state.
"""

import contextlib
import logging
from collections.abc import Callable, Mapping
from concurrent.futures import Future, InvalidStateError
from dataclasses import dataclass, field
from threading import Condition

from personaplex_ui.audio.frames import Frame
from personaplex_ui.engine.scheduler import Prepare, Scheduler, Step
from personaplex_ui.engine.speech_model import Answer, Persona, Preparation, Sampling, SpeechModel
from personaplex_ui.engine.supervisor import Pulse, Work
from personaplex_ui.errors import EngineFailure, PersonaplexError
from personaplex_ui.logs.call_context import current_call

log = logging.getLogger(__name__)

Deliver = Callable[[Answer | PersonaplexError], None]

FAILED = "The speech model failed on our side. Please call again; the log has the details."


@dataclass(eq=False, slots=True)
class Caller:
    """A caller who has a slot. ``deliver`` and ``on_progress`` are called on the event loop; the log names
    ``call``."""

    slot: int
    sampling: Sampling
    paced: bool
    deliver: Deliver
    on_progress: Callable[[float], None]
    call: str = field(default_factory=current_call.get)
    joined: "Future[None]" = field(default_factory=Future[None])

    def fail(self, error: PersonaplexError) -> None:
        """Pass the error to the task waiting for ``joined``, or to the call. On the event loop."""
        try:
            self.joined.set_exception(error)
        except InvalidStateError:
            if not self.joined.cancelled():
                self.deliver(error)


class ModelRunner:
    """``wake`` is the lock of ``scheduler``. ``post``: call a function with arguments on the event loop.
    ``stepped``: called there after each step, with the seconds it took and how many callers it was for."""

    def __init__(
        self,
        model: SpeechModel,
        scheduler: Scheduler,
        wake: Condition,
        pulse: Pulse,
        post: Callable[..., None],
        stepped: Callable[[float, int], None],
        clock: Callable[[], float],
    ) -> None:
        self.model = model
        self.callers: dict[int, Caller] = {}
        self._scheduler = scheduler
        self._wake = wake
        self._pulse = pulse
        self._post = post
        self._stepped = stepped
        self._clock = clock
        self._preparations: dict[int, Preparation] = {}
        self._prepared: list[Caller] = []
        """Callers whose persona the last chunk has made ready."""

    def act(self, action: Step | Prepare) -> None:
        """Do what the scheduler decided, tell it how long that took, and let callers join who are ready."""
        started = self._clock()
        match action:
            case Step(heard, riding):
                self._step(heard, riding)
                self._post(self._stepped, self._clock() - started, len(heard))
            case Prepare(slot):
                self._prepare(slot)
        now = self._clock()
        with self._wake:
            self._scheduler.spent(action, now - started, now)
        for caller in self._prepared:
            self._pulse.begin(Work.PREPARE)
            self._join(caller, self._preparations[caller.slot])
        self._prepared.clear()

    def _step(self, heard: Mapping[int, Frame], riding: int | None = None) -> None:
        """``riding``: the slot whose preparation gets a chunk in the same pass."""
        self._pulse.begin(Work.STEP)
        callers = {slot: self.callers[slot] for slot in heard if slot in self.callers}
        try:
            answers = self.model.step(heard, self._preparations[riding] if riding is not None else None)
        except Exception:
            names = ", ".join(caller.call for caller in callers.values())
            log.exception("The speech model failed in a step for the calls %s.", names)
            self._pulse.failed(step=True)
            self._try_each_alone(heard, riding)
        else:
            self._pulse.succeeded()
            self._post(
                _deliver_all, [(callers[slot], answer) for slot, answer in answers.items() if slot in callers]
            )
            if riding is not None:
                self._advanced(riding)

    def _try_each_alone(self, heard: Mapping[int, Frame], riding: int | None) -> None:
        """One of those in a step that failed may be at fault, or the chunk that rode in it."""
        if len(heard) == 1 and riding is None:
            for slot in heard.keys() & self.callers.keys():
                self._post(self.callers[slot].fail, EngineFailure(FAILED))
            return
        for slot, frame in heard.items():
            self._step({slot: frame})
        if riding is not None:
            self._prepare(riding)

    def begin(self, caller: Caller, persona: Persona) -> None:
        """Begin to prepare ``persona`` for ``caller``.

        Raises:
            InvalidInput: the persona cannot be prepared.
            EngineFailure: the model raised.
        """
        self.callers[caller.slot] = caller
        try:
            preparation = self.model.prepare(persona)
        except PersonaplexError:
            raise
        except Exception as error:
            raise self._failure(caller) from error
        if preparation.done:
            self._join(caller, preparation)
            return
        self._preparations[caller.slot] = preparation
        with self._wake:
            self._scheduler.prepare(caller.slot, preparation)

    def _prepare(self, slot: int) -> None:
        """Do the next chunk by itself."""
        self._pulse.begin(Work.PREPARE)
        caller = self.callers[slot]
        try:
            self._preparations[slot].advance()
        except PersonaplexError as error:
            self._end_preparation(slot)
            self._post(caller.fail, error)
        except Exception:
            self._end_preparation(slot)
            self._post(caller.fail, self._failure(caller))
        else:
            self._advanced(slot)

    def _advanced(self, slot: int) -> None:
        """A chunk has been done. After the last one the caller can join."""
        caller, preparation = self.callers[slot], self._preparations[slot]
        self._post(caller.on_progress, preparation.progress)
        if preparation.done:
            self._prepared.append(caller)

    def _join(self, caller: Caller, preparation: Preparation) -> None:
        self._end_preparation(caller.slot)
        try:
            self.model.join(caller.slot, preparation.persona(), caller.sampling)
        except Exception:
            self._post(caller.fail, self._failure(caller))
            return
        with self._wake:
            self._scheduler.join(caller.slot, caller.paced)
        with contextlib.suppress(InvalidStateError):  # nobody is waiting any more
            caller.joined.set_result(None)

    def _failure(self, caller: Caller) -> EngineFailure:
        log.exception("The speech model could not take the caller.", extra={"call": caller.call})
        self._pulse.failed(step=False)
        return EngineFailure(FAILED)

    def _end_preparation(self, slot: int) -> None:
        preparation = self._preparations.pop(slot, None)
        if preparation is not None:
            preparation.close()
        with self._wake:
            self._scheduler.prepared(slot)

    def leave(self, caller: Caller) -> None:
        """Remove ``caller`` everywhere. Idempotent."""
        if self.callers.get(caller.slot) is not caller:
            return
        with self._wake:
            self._scheduler.leave(caller.slot)
        del self.callers[caller.slot]
        preparation = self._preparations.pop(caller.slot, None)
        if preparation is not None:
            preparation.close()
        self.model.leave(caller.slot)

    def leave_all(self) -> None:
        for caller in list(self.callers.values()):
            self.leave(caller)


def _deliver_all(answered: list[tuple[Caller, Answer]]) -> None:
    for caller, answer in answered:
        caller.deliver(answer)
