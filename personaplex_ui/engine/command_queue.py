"""Commands for a thread: functions that it runs in order, each with a future for its result."""

import contextlib
import logging
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, InvalidStateError
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from personaplex_ui.errors import PersonaplexError

log = logging.getLogger(__name__)

Target = TypeVar("Target")
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Command(Generic[Target]):
    function: Callable[[Target], Any]
    future: "Future[Any]"

    def run(self, target: Target) -> None:
        """Run it, whether or not anybody still waits for the result."""
        with contextlib.suppress(
            InvalidStateError
        ):  # the queue was closed meanwhile, or the future cancelled
            try:
                result = self.function(target)
            except Exception as error:
                if not isinstance(error, PersonaplexError):
                    log.exception("A command to the speech model failed.")
                self.future.set_exception(error)
            else:
                self.future.set_result(result)


class CommandQueue(Generic[Target]):
    """``wake``: the lock of the queue, notified for each command. Commands are called with a ``Target``."""

    def __init__(self, wake: threading.Condition) -> None:
        self._wake = wake
        self._waiting: deque[Command[Target]] = deque()
        self._in_hand: Command[Target] | None = None
        self._closed_because: PersonaplexError | None = None

    def __len__(self) -> int:
        return len(self._waiting)

    def submit(self, function: Callable[[Target], Result]) -> "Future[Result]":
        """Have the thread run ``function``. The future raises what it raises, or why the queue is closed."""
        future: Future[Result] = Future()
        with self._wake:
            if self._closed_because is not None:
                future.set_exception(self._closed_because)
            else:
                self._waiting.append(Command(function, future))
                self._wake.notify()
        return future

    def take(self) -> Command[Target] | None:
        """The next command, if one waits, to be run before the next ``take``. On the thread."""
        with self._wake:
            self._in_hand = self._waiting.popleft() if self._waiting else None
            return self._in_hand

    def close(self, because: PersonaplexError) -> None:
        """Take no more commands; fail those waiting and the one running, which may never end. Idempotent."""
        with self._wake:
            if self._closed_because is not None:
                return
            self._closed_because = because
            left_over = [*self._waiting, *([self._in_hand] if self._in_hand is not None else [])]
            self._waiting.clear()
        for command in left_over:
            with contextlib.suppress(InvalidStateError):
                command.future.set_exception(because)
