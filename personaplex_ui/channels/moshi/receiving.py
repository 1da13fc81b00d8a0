"""What a Moshi client sends: its messages are limited, counted and carried out, its faults answered.

Depends on the wire, the protocol's messages and the call, not on what is sent to the client.
"""

import time

from personaplex_ui.calls.live_call import LiveCall
from personaplex_ui.channels.moshi.input import Hearing
from personaplex_ui.channels.moshi.page_channel import PageChannel
from personaplex_ui.channels.moshi.protocol import (
    SPEAK_QUEUE_FULL,
    Audio,
    Error,
    Event,
    Metadata,
    Speak,
    parse,
)
from personaplex_ui.channels.moshi.query import Extensions
from personaplex_ui.channels.moshi.websocket import Wire
from personaplex_ui.channels.token_bucket import TokenBucket
from personaplex_ui.errors import PersonaplexError, ProtocolError, SpeakQueueFull

MOST_FAULTS = 50
"""This many unreadable messages in a burst end the connection; up to this many are answered."""
FAULTS_FORGOTTEN_PER_SEC = 5.0
"""Allows for occasional unknown messages, such as keep-alives of a client's own."""
REAL_TIME_BYTES = 65_536
"""This many bytes of messages count as a second of sound, more than Opus ever needs."""
LEAST_MESSAGE_SEC = 0.001
BURST_SEC = 5.0
"""Sound that may come at once. A page of two seconds holds up to 64 KB, and may arrive late, with the next
one."""


class Unwelcome(Exception):
    """The client violates the protocol's limits; the sentence is its goodbye."""


class Receiver:
    """``page``: of a client that is a page, to which its metadata go. ``hearing``: where its sound goes."""

    def __init__(
        self, wire: Wire, call: LiveCall, extensions: Extensions, page: PageChannel | None, hearing: Hearing
    ) -> None:
        self._wire = wire
        self._call = call
        self._extensions = extensions
        self._page = page
        self._hearing = hearing
        self._began = time.monotonic()
        self._messages = TokenBucket(BURST_SEC)
        self._faults = 0.0
        self._last_fault_at = 0.0
        self._faults_answered = 0

    async def run(self) -> None:
        """Raises Unwelcome or ClientGone in the end."""
        while True:
            message = await self._wire.receive()
            sec = max(len(message) / REAL_TIME_BYTES, LEAST_MESSAGE_SEC)
            if self._messages.allow(time.monotonic(), sec):
                try:
                    await self._take(parse(message))
                except ProtocolError as error:
                    await self._complain(error)
                    self._count_fault(time.monotonic())
            if self._messages.too_fast or self._hearing.too_fast:
                raise Unwelcome("Far more was sent than live sound needs, so the connection was closed.")

    def excuse_wait(self) -> None:
        """The call is live. Some clients then send everything said since they came."""
        waited_sec = time.monotonic() - self._began
        self._messages.excused_sec = waited_sec
        self._hearing.excuse(waited_sec)

    @property
    def may_tell(self) -> bool:
        """Whether the client is ready for an error (05)."""
        return self._wire.handshake_sent or self._extensions.tells_more

    async def _take(self, event: Event) -> None:
        match event:
            case Audio(sound):
                for error in self._hearing.receive(sound):
                    await self._complain(error)
            case Speak(text):
                await self._speak(text)
            case Metadata(values) if self._page is not None:
                await self._page.take(values)
            case _:
                pass  # as every Moshi server does: the other kinds mean nothing here

    async def _speak(self, text: str) -> None:
        if not self._call.live.is_set():
            await self._tell("Nothing can be spoken yet. Wait for the handshake (00).")
            return
        try:
            await self._call.speak(text)
        except SpeakQueueFull:
            await self._tell(SPEAK_QUEUE_FULL)
        except PersonaplexError as error:
            await self._tell(str(error))

    async def _complain(self, error: ProtocolError) -> None:
        if self.may_tell and self._faults_answered < MOST_FAULTS:
            self._faults_answered += 1
            await self._tell(str(error))

    async def _tell(self, sentence: str) -> None:
        if self.may_tell:
            await self._wire.send(Error(sentence))

    def _count_fault(self, now: float) -> None:
        forgotten = FAULTS_FORGOTTEN_PER_SEC * (now - self._last_fault_at)
        self._faults, self._last_fault_at = max(0.0, self._faults - forgotten) + 1, now
        if self._faults >= MOST_FAULTS:
            raise Unwelcome(f"{MOST_FAULTS} messages could not be read, so the connection was closed.")
