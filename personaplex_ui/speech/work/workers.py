"""The threads that do the blocking work with the parts of a conversation, off the engine's tick."""

import atexit
import contextlib
import os
import sys
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import TypeVar

from personaplex_ui.speech.work.jobs import JobQueue

T = TypeVar("T")

LESS_URGENT_BY = 5
"""How much "nicer" (nice(1)) than the engine's thread they are: a tick that comes due while all cores work
for callers goes first."""

END_WITHIN_SEC = 3.0
"""How long the process waits for them when it ends. A thread that comes back from a library's own code to an
interpreter that has gone ends the process with a signal."""


class Workers:
    """``threads`` daemon threads that run the jobs of ``queue`` until it is closed."""

    def __init__(self, queue: JobQueue, threads: int) -> None:
        self._threads = [
            threading.Thread(target=_work, args=(queue,), name=f"speech-{number}", daemon=True)
            for number in range(threads)
        ]
        for thread in self._threads:
            thread.start()
        atexit.register(_end, queue, self._threads)

    def join(self, within_sec: float) -> bool:
        """Wait for their end after the queue was closed. Returns whether all have ended."""
        return _join(self._threads, within_sec)


def _join(threads: Sequence[threading.Thread], within_sec: float) -> bool:
    until = time.monotonic() + within_sec
    for thread in threads:
        thread.join(max(0.0, until - time.monotonic()))
    return not any(thread.is_alive() for thread in threads)


def _end(queue: JobQueue, threads: Sequence[threading.Thread]) -> None:
    queue.close()
    _join(threads, END_WITHIN_SEC)


def less_urgently(work: Callable[[], T]) -> T:
    """Do ``work`` in a thread like those of the workers, and wait for it. Threads that a library starts
    meanwhile inherit its priority, and compute for the workers later. Raises what ``work`` raises."""
    return begin_less_urgently(work).result()


def begin_less_urgently(work: Callable[[], T]) -> Future[T]:
    """See ``less_urgently``, but do not wait. It cannot be cancelled, and does not keep the process alive."""
    done: Future[T] = Future()
    done.set_running_or_notify_cancel()

    def run() -> None:
        _become_less_urgent()
        try:
            done.set_result(work())
        except BaseException as error:
            done.set_exception(error)

    threading.Thread(target=run, name="speech-load", daemon=True).start()
    return done


def _become_less_urgent() -> None:
    """On Linux the priority is the thread's own. Other systems give the whole process one."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError):
            thread = threading.get_native_id()
            if os.getpriority(os.PRIO_PROCESS, thread) < LESS_URGENT_BY:
                os.setpriority(os.PRIO_PROCESS, thread, LESS_URGENT_BY)


def _work(queue: JobQueue) -> None:
    _become_less_urgent()
    while (job := queue.take()) is not None:
        try:
            job.run()
        finally:
            queue.finished(job)
        job = None  # a finished result may be large, and the next job may be long in coming
