"""Which TCP connections may stay, and for how long, before and after the app has to do with them.

Plain bookkeeping: told the time and what happens on a connection, it says which ones to drop. It knows no
socket. What a request itself may cost is limited elsewhere (``web/request_limits``, ``web/upload_limit``).
"""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto

SILENT_OF_ONE_PEER = 256
"""Connections without a request yet. A proxy is one peer for all its clients; the oldest makes room."""

STALLED_SEC = 60.0
STALLED_BYTES = 60_000
"""A client that takes less than this within that time, while there is something to send, is dropped."""


class Stage(Enum):
    """Where a connection is. ``SILENT``: a request is awaited, or has begun. ``KEPT``: answered, and kept
    open for the next request. ``SURPLUS``: answered, but its body still comes. ``CLOSING``: closed on our
    side, with something left to send."""

    SILENT = auto()
    BUSY = auto()
    KEPT = auto()
    SURPLUS = auto()
    CLOSING = auto()


WITHIN_SEC = {Stage.SILENT: 10.0, Stage.KEPT: 30.0, Stage.SURPLUS: 5.0, Stage.CLOSING: 30.0}
"""How long a connection may be in a stage; the app decides how long ``BUSY`` lasts."""

MAKE_ROOM = (Stage.SILENT, Stage.KEPT, Stage.SURPLUS, Stage.CLOSING)
"""Whose oldest connection is dropped first when there are too many."""


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
    stalled_since: float = 0.0
    unsent_then: int = 0


class ConnectionLimits:
    """``most``: connections at once. ``clock``: seconds."""

    def __init__(self, most: int, clock: Callable[[], float], of_one_peer: int = SILENT_OF_ONE_PEER) -> None:
        self._most = most
        self._clock = clock
        self._of_one_peer = min(of_one_peer, max(1, most // 2))
        self._stages: dict[Stage, OrderedDict[Connection, None]] = {stage: OrderedDict() for stage in Stage}
        self._silent_of: dict[str, OrderedDict[Connection, None]] = {}
        self._stalled: OrderedDict[Connection, None] = OrderedDict()

    def __len__(self) -> int:
        return sum(map(len, self._stages.values()))

    def add(self, connection: Connection) -> None:
        """A new one. Drops the oldest silent one where there are too many: of this peer, or in all."""
        silent = self._silent_of.get(connection.peer)
        if silent and len(silent) >= self._of_one_peer:
            self._drop(next(iter(silent)))
        if len(self) >= self._most and (oldest := self._least_worth()) is not None:
            self._drop(oldest)
        self._enter(connection, Stage.SILENT)
        if len(self) > self._most:
            self._drop(connection)

    def move(self, connection: Connection, stage: Stage) -> None:
        """It is in ``stage`` now. Told again, or after it was dropped, this changes nothing."""
        if connection.stage is not stage and connection in self._stages[connection.stage]:
            self._leave(connection)
            self._enter(connection, stage)

    def stall(self, connection: Connection) -> None:
        """More waits for the network than should, until ``flow``."""
        if connection in self._stages[connection.stage]:
            connection.stalled_since, connection.unsent_then = self._clock(), connection.unsent()
            self._stalled[connection] = None
            self._stalled.move_to_end(connection)

    def flow(self, connection: Connection) -> None:
        self._stalled.pop(connection, None)

    def remove(self, connection: Connection) -> None:
        """It is gone."""
        self._leave(connection)
        self.flow(connection)

    def drop_overdue(self) -> None:
        """Drop what has been in its stage for too long. Call it about once a second."""
        now = self._clock()
        for connection in [c for c in self._stages[Stage.BUSY] if c.is_closing()]:
            self.move(connection, Stage.CLOSING)
        for stage, within_sec in WITHIN_SEC.items():
            for connection in list(self._stages[stage]):
                if connection.since + within_sec > now:
                    break
                if connection not in self._stalled:  # else what it takes decides
                    self._drop(connection)
        for connection in list(self._stalled):
            if connection.stalled_since + STALLED_SEC > now:
                break
            if connection.unsent() <= connection.unsent_then - STALLED_BYTES:
                self.stall(connection)  # anew
            else:
                self._drop(connection)

    def _least_worth(self) -> Connection | None:
        return next((next(iter(self._stages[stage])) for stage in MAKE_ROOM if self._stages[stage]), None)

    def _drop(self, connection: Connection) -> None:
        self.remove(connection)
        connection.drop()

    def _enter(self, connection: Connection, stage: Stage) -> None:
        connection.stage, connection.since = stage, self._clock()
        self._stages[stage][connection] = None
        if stage is Stage.SILENT:
            self._silent_of.setdefault(connection.peer, OrderedDict())[connection] = None

    def _leave(self, connection: Connection) -> None:
        self._stages[connection.stage].pop(connection, None)
        silent = self._silent_of.get(connection.peer)
        if silent is not None:
            silent.pop(connection, None)
            if not silent:
                del self._silent_of[connection.peer]
