"""Tells Agones what the process beside it has: a pod is Allocated while it has calls, else Ready.

Asks the app's ``/capacity`` every two seconds and tells Agones' SDK server, both on this pod's own address.
Agones takes no Allocated pod away, so no call ends for a fleet's sake; the counter ``lines`` (count: taken,
capacity: all) is what the autoscaler goes by. Needs nothing but Python: it runs in the app's image, as a
container of its own.
"""

import http.client
import json
import os
import signal
import sys
import threading
import time
from dataclasses import dataclass
from typing import Any

ASK_EVERY_SEC = 2.0
ANSWER_WITHIN_SEC = 1.5
COUNTER = "lines"

READY, ALLOCATED, ENDED = "ready", "allocate", "shutdown"
"""The states of a game server, by the SDK's paths that ask for them."""


@dataclass(frozen=True)
class Capacity:
    """What ``/capacity`` tells."""

    lines: int
    taken: int
    busy: bool
    accepting: bool
    draining: bool


@dataclass(frozen=True)
class Told:
    """What Agones was told last. ``state``: empty before the process was ready for the first time."""

    state: str = ""
    lines: int = -1
    taken: int = -1


def read_capacity(body: bytes) -> Capacity:
    """Raises ValueError or KeyError: it is no answer of ``/capacity``."""
    told: dict[str, Any] = json.loads(body)
    lines, free = int(told["lines"]), int(told["lines_free"])
    calls, waiting = int(told["live_calls"]), int(told["waiting"])
    accepting, draining = bool(told["accepting"]), bool(told["draining"])
    # A process that takes no calls says that no line is free, whatever its calls take.
    taken = min(lines, max(calls, lines - free if accepting else 0))
    return Capacity(lines, taken, calls > 0 or waiting > 0 or taken > 0, accepting, draining)


def state_of(now: Capacity, before: str) -> str:
    """The state that Agones has to be told, or ``before`` where it stays."""
    if now.draining:
        # Whoever drained it wants it gone, but not its calls. One that never was ready has none.
        return ALLOCATED if now.busy else ENDED
    if now.busy:
        return ALLOCATED
    if now.accepting:
        return READY
    return before  # it loads its weights, or mends itself


def requests_for(now: Capacity, told: Told) -> tuple[list[tuple[str, str, dict[str, str]]], Told]:
    """What to send (method, path, body), and what Agones knows then."""
    requests: list[tuple[str, str, dict[str, str]]] = []
    state = state_of(now, told.state)
    if now.lines and (now.lines, now.taken) != (told.lines, told.taken):
        # Both at once: a count above the capacity is refused.
        body = {"count": str(now.taken), "capacity": str(now.lines)}
        requests.append(("PATCH", f"/v1beta1/counters/{COUNTER}", body))
    if state != told.state:
        requests.append(("POST", f"/{state}", {}))
    return requests, Told(state, now.lines, now.taken)


class Reporter:
    """Between the app at ``app_port`` and Agones at ``sdk_port``, both of this pod."""

    def __init__(self, app_port: int, sdk_port: int) -> None:
        self._app_port = app_port
        self._sdk_port = sdk_port
        self._told = Told()
        self.app_answers = False

    def report(self) -> None:
        """One round. What fails is told in the next one: nothing counts as told before Agones took it."""
        self.app_answers = False
        try:
            _, body = self._ask(self._app_port, "GET", "/capacity")
            now = read_capacity(body)
            self.app_answers = True
        except (OSError, http.client.HTTPException, ValueError, KeyError, TypeError) as error:
            # Not a sign of life, either: Agones replaces a pod from which none comes.
            print(f"The app does not answer: {error!r}", file=sys.stderr, flush=True)
            return
        try:
            self._tell("POST", "/health", {})
            requests, then = requests_for(now, self._told)
            for method, path, content in requests:
                self._tell(method, path, content)
                print(f"{method} {path} {content or ''}".strip(), flush=True)
            self._told = then
        except (OSError, http.client.HTTPException) as error:
            print(f"Agones does not answer, or refuses: {error!r}", file=sys.stderr, flush=True)

    def _tell(self, method: str, path: str, content: dict[str, str]) -> None:
        status, body = self._ask(self._sdk_port, method, path, json.dumps(content))
        if status != 200:
            raise http.client.HTTPException(f"{method} {path}: {status} {body[:200]!r}")

    def _ask(self, port: int, method: str, path: str, content: str | None = None) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=ANSWER_WITHIN_SEC)
        try:
            headers = {"Content-Type": "application/json"} if content is not None else {}
            connection.request(method, path, content, headers)
            answer = connection.getresponse()
            return answer.status, answer.read(65_536)
        finally:
            connection.close()


def main() -> None:
    """Until SIGTERM and the end of the app, for whose last calls Agones wants signs of life, too."""
    app_port = int(os.environ.get("PORT") or 7860)
    reporter = Reporter(app_port, int(os.environ.get("AGONES_SDK_HTTP_PORT") or 9358))
    ending = threading.Event()

    def end(number: int, frame: object) -> None:
        ending.set()

    signal.signal(signal.SIGTERM, end)
    while True:
        reporter.report()
        if ending.is_set() and not reporter.app_answers:
            return
        time.sleep(ASK_EVERY_SEC)


if __name__ == "__main__":
    main()
