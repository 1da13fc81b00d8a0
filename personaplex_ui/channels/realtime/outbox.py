"""What is to be sent to one client, in order, bounded; and how fast it may send itself."""

import asyncio
import math
import time
from collections import deque
from collections.abc import Callable

from personaplex_ui.calls.snapshot import End
from personaplex_ui.channels.peer_websocket import ClientGone, PeerWebsocket
from personaplex_ui.channels.realtime.client_events import is_sound
from personaplex_ui.channels.token_bucket import TokenBucket

MOST_UNSENT = 500
"""Messages that wait before a client is read no further; at four times as many it is given up."""

MOST_UNSENT_CHARACTERS = 2_000_000

REAL_TIME_CHARACTERS = 65_536
"""This many characters of messages count as a second of sound: PCM in base64."""
LEAST_MESSAGE_SEC = 0.005
BURST_SEC = 90.0
"""A file of a minute, and some messages, may come at once."""

TOLD_AGAIN_SEC = 10.0
"""A client is told that messages are left out if none was for so long."""

MOST_FAULTS = 50
"""So many faults in a burst end the connection."""
FAULTS_FORGOTTEN_PER_SEC = 5.0


class Outbox:
    """``put`` from anywhere on the event loop; ``run`` alongside the connection."""

    def __init__(self, wire: PeerWebsocket) -> None:
        self._wire = wire
        self._messages: deque[str] = deque()
        self._characters = 0
        self._grew = asyncio.Event()
        self._shrank = asyncio.Event()

    def put(self, message: str) -> None:
        if len(self._messages) < 4 * MOST_UNSENT:
            self._messages.append(message)
            self._characters += len(message)
        self._grew.set()

    async def wait_for_room(self) -> None:
        while len(self._messages) > MOST_UNSENT or self._characters > MOST_UNSENT_CHARACTERS:
            self._shrank.clear()
            await self._shrank.wait()

    async def run(self) -> None:
        """Raises ClientGone in the end."""
        while True:
            await self.flush()
            self._grew.clear()
            await self._grew.wait()

    async def flush(self) -> None:
        """Send all there is.

        Raises:
            ClientGone: the client takes nothing more.
        """
        while self._messages:
            if len(self._messages) >= 4 * MOST_UNSENT:
                self._wire.gone = True
                raise ClientGone("The client reads too slowly.", End.LOST)
            message = self._messages.popleft()
            self._characters -= len(message)
            self._shrank.set()
            await self._wire.send_text(message)


class Intake:
    """Meters what one client sends: sound by itself, so that a flood of it leaves out no other event."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._sound = TokenBucket(BURST_SEC)
        self._others = TokenBucket(BURST_SEC)
        self.begins_to_leave_out = False
        """Whether the message that was left out last is the first in a while, of which the client is told."""
        self._left_out_at = -math.inf
        self._faults = 0.0
        self._last_fault_at = 0.0

    def admit(self, message: bytes | str) -> bool:
        """Whether ``message`` may be read; else it is left out."""
        bucket = self._sound if is_sound(message) else self._others
        sec, now = max(len(message) / REAL_TIME_CHARACTERS, LEAST_MESSAGE_SEC), self._clock()
        admitted = bucket.allow(now, sec)
        if not admitted:
            self.begins_to_leave_out = now - self._left_out_at > TOLD_AGAIN_SEC
            self._left_out_at = now
        return admitted

    def count_fault(self) -> None:
        now = self._clock()
        forgotten = FAULTS_FORGOTTEN_PER_SEC * (now - self._last_fault_at)
        self._faults, self._last_fault_at = max(0.0, self._faults - forgotten) + 1, now

    @property
    def trouble(self) -> str:
        """Why the connection is to be closed; empty while it is not."""
        if self._sound.too_fast or self._others.too_fast:
            return "Far more was sent than live sound needs, so the connection was closed."
        if self._faults >= MOST_FAULTS:
            return f"{MOST_FAULTS} messages were at fault, so the connection was closed."
        return ""
