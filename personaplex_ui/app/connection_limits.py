"""Decides which TCP connections may stay open, and for how long, before and after the app handles them.

Plain bookkeeping without sockets: it is told the time and what happens on connections, and drops those that
must go. The cost of a request itself is limited elsewhere (``web/security/request_limits``, ``uploads``).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

SILENT_OF_ONE_PEER = 256
"""Connections that have sent no request yet. A proxy counts as one peer; the oldest connection makes room."""

STALLED_SEC = 60.0
STALLED_BYTES = 60_000
"""A client that reads less than this within that time, while there is something to send, is dropped."""


class Stage(Enum):
    """Where a connection is. If there are too many, the oldest in the first stage listed makes room.

    ``SILENT``: waiting for a request, or amid one. ``KEPT``: answered, and kept open for the next request.
    ``SURPLUS``: answered, but the request's body is still arriving. ``CLOSING``: closed on our side, with
    data left to send. ``BUSY``: the app is handling it.
    """

    SILENT = 1
    KEPT = 2
    SURPLUS = 3
    CLOSING = 4
    BUSY = 5


WITHIN_SEC = {Stage.SILENT: 10.0, Stage.KEPT: 30.0, Stage.SURPLUS: 5.0, Stage.CLOSING: 30.0}
"""How long a connection may be in a stage; the app decides how long ``BUSY`` lasts."""


@dataclass(eq=False, slots=True)
class Connection:
    """``drop``: close it at once. ``is_closing``: whether our side has closed it. ``unsent``: bytes not yet
    sent to the network."""

    peer: str
    drop: Callable[[], None]
    is_closing: Callable[[], bool]
    unsent: Callable[[], int]
    stage: Stage = Stage.SILENT
    since: float = 0.0
    stalled_since: float | None = None
    unsent_then: int = 0


class ConnectionLimits:
    """``most``: connections at once. ``clock``: seconds."""

    def __init__(self, most: int, clock: Callable[[], float], of_one_peer: int = SILENT_OF_ONE_PEER) -> None:
        self._most = most
        self._clock = clock
        self._of_one_peer = min(of_one_peer, max(1, most // 2))
        self._stages: dict[Stage, dict[Connection, None]] = {stage: {} for stage in Stage}
        self._silent_of: dict[str, dict[Connection, None]] = {}
        """By peer. Both are ordered oldest first, so a flood of connections needs no searching."""

    def __len__(self) -> int:
        return sum(map(len, self._stages.values()))

    @property
    def stages(self) -> list[Stage]:
        return [stage for stage, connections in self._stages.items() for _ in connections]

    def add(self, connection: Connection) -> None:
        """Add a connection. If there are too many, of this peer or in all, drop the oldest silent one."""
        silent = self._silent_of.get(connection.peer)
        if silent and len(silent) >= self._of_one_peer:
            self._drop(next(iter(silent)))
        if len(self) >= self._most:
            oldest = next(next(iter(connections)) for connections in self._stages.values() if connections)
            if oldest.stage is not Stage.BUSY:
                self._drop(oldest)
        self._enter(connection, Stage.SILENT)
        if len(self) > self._most:
            self._drop(connection)

    def move(self, connection: Connection, stage: Stage) -> None:
        """Move it to ``stage``. Does nothing if it is there already or was dropped."""
        if connection.stage is not stage and connection in self._stages[connection.stage]:
            self.remove(connection)
            self._enter(connection, stage)

    def _enter(self, connection: Connection, stage: Stage) -> None:
        connection.stage, connection.since = stage, self._clock()
        self._stages[stage][connection] = None
        if stage is Stage.SILENT:
            self._silent_of.setdefault(connection.peer, {})[connection] = None

    def stall(self, connection: Connection) -> None:
        """Too much is waiting for the network, until ``flow``."""
        connection.stalled_since, connection.unsent_then = self._clock(), connection.unsent()

    def flow(self, connection: Connection) -> None:
        connection.stalled_since = None

    def remove(self, connection: Connection) -> None:
        """Forget a closed connection."""
        self._stages[connection.stage].pop(connection, None)
        silent = self._silent_of.get(connection.peer, {})
        silent.pop(connection, None)
        if not silent:
            self._silent_of.pop(connection.peer, None)

    def drop_overdue(self) -> None:
        """Drop what has been in its stage for too long. Call it about once a second."""
        now = self._clock()
        for connection in [c for connections in self._stages.values() for c in connections]:
            if connection.stage is Stage.BUSY and connection.is_closing():
                self.move(connection, Stage.CLOSING)
            if connection.stalled_since is not None:  # how fast it reads decides
                if connection.stalled_since + STALLED_SEC > now:
                    continue
                if connection.unsent() <= connection.unsent_then - STALLED_BYTES:
                    self.stall(connection)
                else:
                    self._drop(connection)
            elif connection.since + WITHIN_SEC.get(connection.stage, math.inf) <= now:
                self._drop(connection)

    def _drop(self, connection: Connection) -> None:
        self.remove(connection)
        connection.drop()
