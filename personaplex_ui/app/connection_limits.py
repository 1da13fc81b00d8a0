"""Which TCP connections may stay, and for how long, before and after the app has to do with them.

Plain bookkeeping without sockets: the time and what happens on connections come in, and it drops those that
must go. What a request itself may cost is limited elsewhere (``web/security/request_limits``, ``uploads``).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

SILENT_OF_ONE_PEER = 256
"""Connections without a request yet. A proxy is one peer for all its clients; the oldest makes room."""

STALLED_SEC = 60.0
STALLED_BYTES = 60_000
"""A client that takes less than this within that time, while there is something to send, is dropped."""


class Stage(Enum):
    """Where a connection is. If there are too many, the oldest of the first stage here makes room.

    ``SILENT``: a request is awaited, or has begun. ``KEPT``: answered, and kept open for the next request.
    ``SURPLUS``: answered, but its body still comes. ``CLOSING``: closed on our side, with something left to
    send. ``BUSY``: the app has to do with it.
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
    """``drop``: end it at once. ``is_closing``: whether our side has closed it. ``unsent``: bytes that the
    network has not taken yet."""

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
        """By peer. In both, the oldest comes first, so that a flood of connections causes no searches."""

    def __len__(self) -> int:
        return sum(map(len, self._stages.values()))

    @property
    def stages(self) -> list[Stage]:
        return [stage for stage, connections in self._stages.items() for _ in connections]

    def add(self, connection: Connection) -> None:
        """A new one. Drops the oldest silent one where there are too many: of this peer, or in all."""
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
        """It is in ``stage`` now. Repeated, or after it was dropped, this changes nothing."""
        if connection.stage is not stage and connection in self._stages[connection.stage]:
            self.remove(connection)
            self._enter(connection, stage)

    def _enter(self, connection: Connection, stage: Stage) -> None:
        connection.stage, connection.since = stage, self._clock()
        self._stages[stage][connection] = None
        if stage is Stage.SILENT:
            self._silent_of.setdefault(connection.peer, {})[connection] = None

    def stall(self, connection: Connection) -> None:
        """More waits for the network than should, until ``flow``."""
        connection.stalled_since, connection.unsent_then = self._clock(), connection.unsent()

    def flow(self, connection: Connection) -> None:
        connection.stalled_since = None

    def remove(self, connection: Connection) -> None:
        """It is gone."""
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
            if connection.stalled_since is not None:  # what it takes decides
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
