"""Runs a speech model for its seats: preparations, joins, steps, and the faults of each.

On the engine's thread alone. It knows no queue of commands and no state of the engine.
"""

import logging
from collections.abc import Callable, Mapping
from threading import Condition

from personaplex_ui.audio.frames import Frame
from personaplex_ui.engine.scheduler import Scheduler
from personaplex_ui.engine.slot import Slot
from personaplex_ui.engine.speech_model import Answer, Persona, Preparation, SpeechModel
from personaplex_ui.engine.watch import Pulse, Work
from personaplex_ui.errors import EngineFailure, PersonaplexError

log = logging.getLogger(__name__)

FAILED = "The speech model failed on our side. Please call again; the log has the details."

Post = Callable[[Callable[[], None]], None]


class ModelRunner:
    """``wake`` is the lock of ``scheduler``. ``post``: run on the event loop."""

    def __init__(self, scheduler: Scheduler, wake: Condition, pulse: Pulse, post: Post) -> None:
        self.seats: dict[int, Slot] = {}
        self._scheduler = scheduler
        self._wake = wake
        self._pulse = pulse
        self._post = post
        self._preparations: dict[int, Preparation] = {}

    def step(self, model: SpeechModel, heard: Mapping[int, Frame]) -> None:
        """Where the model fails for several callers at once, each is stepped alone: one may be at fault."""
        self._pulse.begin(Work.STEP)
        try:
            answers = model.step(heard)
        except Exception:
            calls = ", ".join(self.seats[slot].call for slot in heard if slot in self.seats)
            log.exception("The speech model failed in a step for the calls %s.", calls)
            self._pulse.failed(step=True)
            if len(heard) == 1:
                self._fail([self.seats[slot] for slot in heard if slot in self.seats])
                return
            for slot, frame in heard.items():
                self.step(model, {slot: frame})
        else:
            self._pulse.succeeded()
            self._hand_out(answers)

    def _hand_out(self, answers: Mapping[int, Answer]) -> None:
        due = [(self.seats[slot].deliver, answer) for slot, answer in answers.items() if slot in self.seats]

        def deliver_all() -> None:
            for deliver, answer in due:
                deliver(answer)

        self._post(deliver_all)

    def begin(self, model: SpeechModel, seat: Slot, persona: Persona) -> None:
        """Begin to prepare ``persona`` for ``seat``."""
        self.seats[seat.slot] = seat
        try:
            self._preparations[seat.slot] = model.prepare(persona)
        except PersonaplexError as error:
            self._post(lambda error=error: seat.fail(error))
        except Exception:
            self._could_not_prepare(seat)
        else:
            with self._wake:
                self._scheduler.prepare(seat.slot)

    def prepare(self, model: SpeechModel, slot: int) -> None:
        """Do the next chunk; after the last one the caller joins."""
        self._pulse.begin(Work.PREPARE)
        seat = self.seats[slot]
        try:
            progress = next(self._preparations[slot])
        except StopIteration as done:
            self._preparations.pop(slot)
            self._join(model, seat, done.value)
        except PersonaplexError as error:
            self._end_preparation(slot)
            self._post(lambda error=error: seat.fail(error))
        except Exception:
            self._could_not_prepare(seat)
        else:
            self._post(lambda: seat.on_progress(progress))

    def _join(self, model: SpeechModel, seat: Slot, prepared: object) -> None:
        try:
            model.join(seat.slot, prepared, seat.sampling)
        except Exception:
            self._could_not_prepare(seat)
            return
        with self._wake:
            self._scheduler.prepared(seat.slot)
            self._scheduler.join(seat.slot, seat.paced)
        self._post(seat.has_joined)

    def _could_not_prepare(self, seat: Slot) -> None:
        log.exception("The speech model could not take the caller.", extra={"call": seat.call})
        self._pulse.failed(step=False)
        self._end_preparation(seat.slot)
        self._fail([seat])

    def _end_preparation(self, slot: int) -> None:
        self._preparations.pop(slot, None)
        with self._wake:
            self._scheduler.prepared(slot)

    def _fail(self, seats: list[Slot]) -> None:
        for seat in seats:
            self._post(lambda seat=seat: seat.fail(EngineFailure(FAILED)))

    def free(self, model: SpeechModel, seat: Slot) -> None:
        """Take ``seat`` out of everything. A second time changes nothing."""
        if self.seats.get(seat.slot) is not seat:
            return
        with self._wake:
            self._scheduler.leave(seat.slot)
        del self.seats[seat.slot]
        preparation = self._preparations.pop(seat.slot, None)
        if preparation is not None:
            preparation.close()
        model.leave(seat.slot)
