"""Blocking work for callers, waiting for a thread: bounded, fair between callers, and cancelled at any time.

Knows owners by number and neither threads nor what the work is.
"""

import itertools
import logging
import threading
from collections import OrderedDict, deque
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from personaplex_ui.speech.parts import SpeechPartFailed

log = logging.getLogger(__name__)

T = TypeVar("T")

MOST_PER_OWNER = 16
"""Jobs that may wait for one caller. A caller has at most a few; more would be a fault."""

BROKE = "A part of the conversation failed unexpectedly. The server's log has the details."
CANCELLED = "This is no longer needed."


class Job(Generic[T]):
    """One piece of work. ``heavy``: it computes here, and does not wait for a server; ``urgent``: somebody
    waits in silence for it."""

    def __init__(self, owner: int, work: Callable[[], T], heavy: bool, urgent: bool) -> None:
        self.owner = owner
        self.heavy = heavy
        self.urgent = urgent
        self.cancelled = False
        self._work: Callable[[], T] | None = work
        self._value: T | None = None
        self._failure: SpeechPartFailed | None = None
        self._done = threading.Event()
        self._listening = threading.Lock()
        self._listeners: list[Callable[[], None]] = []

    @property
    def done(self) -> bool:
        return self._done.is_set()

    @property
    def under_way(self) -> bool:
        """Whether it waits or runs, and somebody still wants to know how it ends."""
        return not (self.done or self.cancelled)

    def result(self) -> T:
        """What a job that is ``done`` has found.

        Raises:
            SpeechPartFailed: it could not be done.
        """
        assert self.done
        if self._failure is not None:
            raise self._failure
        return self._value  # pyright: ignore[reportReturnType]  there is one without a failure

    def cancel(self) -> None:
        """Do not begin it. If it runs already, its result is for nobody. Idempotent."""
        self.cancelled = True
        self._tell_listeners()

    def when_settled(self, listener: Callable[[], None]) -> None:
        """Call ``listener`` once the job is done or cancelled, in the thread where that happens, or now if it
        has happened. It must neither raise nor block."""
        with self._listening:
            if self.under_way:
                self._listeners.append(listener)
                return
        listener()

    def run(self) -> None:
        """Do it, in the calling thread. Never raises: libraries may raise SystemExit."""
        work, self._work = self._work, None
        assert work is not None
        try:
            self._value = work()
        except SpeechPartFailed as failure:
            self._failure = failure
        except BaseException:
            log.exception("A part of the conversation failed.")
            self._failure = SpeechPartFailed(BROKE)
        self._end()

    def refuse(self, failure: SpeechPartFailed) -> None:
        """Let it fail without doing it."""
        self._work = None
        self._failure = failure
        self._end()

    def _end(self) -> None:
        self._done.set()
        self._tell_listeners()

    def _tell_listeners(self) -> None:
        with self._listening:
            listeners, self._listeners = self._listeners, []
        for listener in listeners:
            listener()


def done_already(owner: int, value: T) -> Job[T]:
    """A job whose result is known."""
    job = Job(owner, lambda: value, False, True)
    job.run()
    return job


class JobQueue:
    """Hands out one job of each owner in turn, urgent ones first. At most ``heavy_at_once`` heavy jobs run
    together, one fewer of those that nobody waits for. Thread-safe."""

    def __init__(self, heavy_at_once: int) -> None:
        self._heavy_at_once = heavy_at_once
        self._heavy_running = 0
        self._waiting: OrderedDict[int, deque[Job[Any]]] = OrderedDict()
        self._changed = threading.Condition()
        self._closed = False
        self._owners = itertools.count()

    def new_owner(self) -> int:
        """A number for somebody who wants work done."""
        return next(self._owners)

    def submit(self, owner: int, work: Callable[[], T], *, heavy: bool = True, urgent: bool = True) -> Job[T]:
        """Have ``work`` done for ``owner``. A job that finds the queue full or closed has failed at once."""
        job = Job(owner, work, heavy, urgent)
        with self._changed:
            jobs = self._waiting.setdefault(owner, deque())
            for gone in [waiting for waiting in jobs if waiting.cancelled]:
                jobs.remove(gone)
            if self._closed or len(jobs) >= MOST_PER_OWNER:
                job.refuse(SpeechPartFailed(BROKE))
            else:
                jobs.append(job)
                self._changed.notify()
        return job

    def take(self, wait: bool = True) -> Job[Any] | None:
        """The next job to run; None when the queue is closed, or (without ``wait``) if there is none. Tell
        ``finished`` when it has been run."""
        with self._changed:
            while True:
                job = None if self._closed else self._next()
                if job is not None:
                    self._heavy_running += job.heavy
                    return job
                if self._closed or not wait:
                    return None
                self._changed.wait()

    def finished(self, job: Job[Any]) -> None:
        """``job``, which was taken, has been run."""
        with self._changed:
            self._heavy_running -= job.heavy
            self._changed.notify()

    def close(self) -> None:
        """Begin nothing more, and let those go who wait for jobs. Idempotent."""
        with self._changed:
            self._closed = True
            for jobs in self._waiting.values():
                for job in jobs:
                    job.refuse(SpeechPartFailed(CANCELLED))
            self._waiting.clear()
            self._changed.notify_all()

    def _next(self) -> Job[Any] | None:
        for jobs in self._waiting.values():
            for gone in [job for job in jobs if job.cancelled]:
                jobs.remove(gone)
        for urgent in (True, False):
            for owner, jobs in self._waiting.items():
                for job in jobs:
                    if job.urgent == urgent and self._may_run(job):
                        jobs.remove(job)
                        self._waiting.move_to_end(owner)
                        return job
        self._waiting = OrderedDict((owner, jobs) for owner, jobs in self._waiting.items() if jobs)
        return None

    def _may_run(self, job: Job[Any]) -> bool:
        if not job.heavy:
            return True
        # One place stays free for somebody who waits in silence.
        places = self._heavy_at_once if job.urgent else max(1, self._heavy_at_once - 1)
        return self._heavy_running < places
