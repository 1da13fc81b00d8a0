"""A stream's messages as events, as many as a live call needs, with the faults of each counted.

Depends on the websocket and the protocol, not on a call.
"""

import logging
import time

from fastapi import WebSocket

from personaplex_ui.channels.close_codes import closed_on_purpose
from personaplex_ui.channels.token_bucket import TokenBucket
from personaplex_ui.channels.twilio.media_stream import protocol
from personaplex_ui.errors import ProtocolError

log = logging.getLogger(__name__)

MOST_FAULTS = 100
CHARACTERS_PER_SEC = 64_000
"""Four times the rate of a live stream's messages. They are counted before they are parsed."""

TOO_FAST = "More was sent than a live call holds. Send sound at real time."
TOO_MANY_FAULTS = "Too many messages of this stream could not be read."


class EventReader:
    """``lost``: the connection broke, so the stop was not the peer's wish."""

    def __init__(self, websocket: WebSocket) -> None:
        self.lost = False
        self._websocket = websocket
        self._has_started = False
        self._messages = TokenBucket()
        self._faults = 0
        self._faults_told: set[str] = set()

    async def next_event(self) -> protocol.Event | None:
        """The next message's event, or None if it has none. A lost peer counts as a stop.

        Raises:
            ProtocolError: the peer sends too much, or too many malformed messages.
            UnusableStart: it came before any other start, so no call will begin.
        """
        message = await self._websocket.receive()
        if message["type"] == "websocket.disconnect":
            self.lost = not closed_on_purpose(message)
            return protocol.Stop()
        text = message.get("text")
        content: str | bytes = message.get("bytes") or b"" if text is None else text
        if not self._messages.allow(time.monotonic(), len(content) / CHARACTERS_PER_SEC):
            if self._messages.too_fast:
                raise ProtocolError(TOO_FAST)
            return None
        if text is None:
            return None  # binary: Twilio has no such message
        try:
            event = protocol.parse(text)
        except ProtocolError as error:
            if isinstance(error, protocol.UnusableStart) and not self._has_started:
                raise
            self._note_fault(error)
            return None
        self._has_started |= isinstance(event, protocol.Start)
        return event

    def _note_fault(self, error: ProtocolError) -> None:
        """Log it the first time. Raises ProtocolError when too many faults have come."""
        sentence = str(error)
        if sentence not in self._faults_told:
            self._faults_told.add(sentence)
            log.warning("A message of a phone stream was ignored: %s", sentence)
        self._faults += not isinstance(error, protocol.Negligible)
        if self._faults > MOST_FAULTS:
            raise ProtocolError(TOO_MANY_FAULTS)
