"""Who may have work done: the limits of calls, the places, and the counts of ``/metrics``."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from fastapi import Request
from prometheus_client import CollectorRegistry, Counter, Gauge

from personaplex_ui.calls.allowance import Visitor
from personaplex_ui.calls.manager import CallManager
from personaplex_ui.channels.rest.places import Place, Places
from personaplex_ui.errors import EngineUnavailable, PersonaplexError
from personaplex_ui.web.metrics import PREFIX

ENDPOINTS = ("transcribe", "chat", "conversation", "stream")
ANSWERED, REFUSED, FAILED, CANCELLED = OUTCOMES = ("answered", "refused", "failed", "cancelled")

T = TypeVar("T")


class ClientGone(Exception):
    """Nobody waits for the answer."""


class Admission:
    """One for all endpoints. ``registry``: where the requests are counted."""

    def __init__(self, calls: CallManager, places: Places, registry: CollectorRegistry) -> None:
        self.calls = calls
        self.places = places
        about = "Requests to /api/v1, by endpoint and outcome."
        self._requests = Counter(f"{PREFIX}api_requests", about, ["endpoint", "outcome"], registry=registry)
        for endpoint in ENDPOINTS:
            for outcome in OUTCOMES:
                self._requests.labels(endpoint, outcome)  # create the series at zero
        numbers: dict[str, Callable[[], float]] = {
            "working": lambda: places.working,
            "waiting": lambda: places.waiting,
        }
        for state, number in numbers.items():
            about = f"Requests to /api/v1 that are {state}."
            Gauge(f"{PREFIX}api_requests_{state}", about, registry=registry).set_function(number)

    def admit(self, endpoint: str, address: str, visitor: Visitor | None) -> "Admitted":
        """Count a request from ``address``, on account of ``visitor``; ``close`` what is returned.

        Raises:
            TooManyCalls: ``address`` has reached a limit, or ``visitor`` has no minutes left.
            EngineUnavailable: the server is shutting down.
        """
        try:
            if self.calls.closed_because:
                raise EngineUnavailable(self.calls.closed_because)
            self.calls.allowance.check(visitor)
            self.calls.limits.admit(address)
        except PersonaplexError:
            self._requests.labels(endpoint, REFUSED).inc()
            raise
        return Admitted(self, endpoint, address, visitor)

    def count(self, endpoint: str, outcome: str) -> None:
        self._requests.labels(endpoint, outcome).inc()


class Admitted:
    """One request that was admitted. ``outcome``: set by whoever answers it. ``spent_sec``: of the visitor's
    minutes."""

    def __init__(self, admission: Admission, endpoint: str, address: str, visitor: Visitor | None) -> None:
        self.outcome = CANCELLED
        self.spent_sec = 0.0
        self._admission = admission
        self._endpoint = endpoint
        self._address = address
        self._visitor = visitor
        self._place: Place | None = None
        self._is_closed = False
        admission.calls.at_work += 1

    def enter(self, sound_sec: float = 0.0) -> Place:
        """Ask for a place, to have ``sound_sec`` of sound worked on.

        Raises:
            NoFreeSlot: too many wait.
            MinutesUsedUp: the sound is longer than what the visitor has left.
        """
        if sound_sec:
            self._admission.calls.allowance.check(self._visitor, sound_sec)
        self._place = self._admission.places.enter()
        return self._place

    async def close(self) -> None:
        """The request is over. Idempotent."""
        if self._is_closed:
            return
        self._is_closed = True
        self._admission.calls.at_work -= 1
        if self._place is not None:
            self._place.leave()
        self._admission.calls.limits.release(self._address)
        self._admission.count(self._endpoint, self.outcome)
        allowance, visitor = self._admission.calls.allowance, self._visitor
        if visitor is not None and allowance.day_sec and self.spent_sec:
            allowance.spend(visitor, self.spent_sec)
            await asyncio.to_thread(allowance.save, allowance.used_by(visitor))


async def unless_gone(request: Request, work: Coroutine[Any, Any, T]) -> T:
    """The result of ``work``, which is cancelled when the client goes. The body must have been read.

    Raises:
        ClientGone: it went.
    """
    task, gone = asyncio.ensure_future(work), asyncio.ensure_future(_gone(request))
    try:
        await asyncio.wait([task, gone], return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise ClientGone
        return task.result()
    finally:
        task.cancel()
        gone.cancel()
        await asyncio.gather(task, return_exceptions=True)  # it books what it has used


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
