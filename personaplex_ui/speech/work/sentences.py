"""An answer that is fetched sentence by sentence, by whichever worker is free."""

import threading
from collections.abc import Callable, Iterator
from typing import cast


class SharedSentences:
    """An iterator that is used in one worker at a time, and closed in any thread. ``start``: begins it."""

    def __init__(self, start: Callable[[], Iterator[str]]) -> None:
        self._start = start
        self._iterator: Iterator[str] | None = None
        self._in_use = threading.Lock()
        self._is_closed = False

    def next(self) -> str | None:
        """None after the last one. Raises SpeechPartFailed."""
        try:
            with self._in_use:
                if self._iterator is None and not self._is_closed:
                    self._iterator = self._start()
                if self._iterator is None or self._is_closed:
                    return None
                return next(self._iterator, None)
        finally:
            if self._is_closed:
                self.close()

    def close(self) -> None:
        """End the answer, also while a worker waits for a sentence of it, if the iterator lets itself be
        closed meanwhile; a generator is closed by the worker that is in it. Idempotent."""
        self._is_closed = True
        if not self._in_use.acquire(blocking=False):
            _close(self._iterator)
            return
        try:
            _close(self._iterator)
            self._iterator = None
        finally:
            self._in_use.release()


def _close(iterator: Iterator[str] | None) -> None:
    close = cast(Callable[[], None] | None, getattr(iterator, "close", None))
    if close is not None and not getattr(iterator, "gi_running", False):
        close()
