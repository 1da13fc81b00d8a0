"""Twilio's media stream as a transport: one websocket is one call, in real time.

Handles the websocket and how a stream begins and ends. ``protocol`` parses the messages, and ``playout``
tracks what was heard. ``Admit``, given by the caller, decides whether a stream may begin a call, and with
which persona.
"""

import asyncio
import contextlib
import logging
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from fastapi import WebSocket, WebSocketDisconnect

from personaplex_ui.audio.frames import Frame
from personaplex_ui.audio.levels import QUIET_DBFS, rms_dbfs
from personaplex_ui.calls.live_call import LiveCall
from personaplex_ui.calls.manager import CallManager
from personaplex_ui.calls.settings import CallSettings
from personaplex_ui.calls.snapshot import End, Phase, Transport
from personaplex_ui.channels.close_codes import (
    ENDED,
    FAILED,
    GOING_AWAY,
    NOT_ADMITTED,
    NOT_ALLOWED,
    TRY_LATER,
    close_reason,
    closed_on_purpose,
)
from personaplex_ui.channels.token_bucket import TokenBucket
from personaplex_ui.channels.twilio import protocol as twilio
from personaplex_ui.channels.twilio.playout import Cadence, PhonePlayout
from personaplex_ui.channels.twilio.sound import PhoneSound, seconds_of
from personaplex_ui.channels.twilio.spoken_sentences import BUSY, LOST
from personaplex_ui.errors import CallOver, PersonaplexError, ProtocolError
from personaplex_ui.logs.call_context import enter_call

log = logging.getLogger(__name__)

START_WITHIN_SEC = 10.0
MOST_BEFORE_START = 100
"""Twilio sends one message before ``start``."""

MOST_NEWCOMERS = 100
MOST_NEWCOMERS_OF_ONE = 10
MOST_FAULTS = 100
SLOT_WITHIN_SEC = 10.0
SEND_WITHIN_SEC = 5.0
CLOSE_WITHIN_SEC = 1.0
CHARACTERS_PER_SEC = 64_000
"""Four times the rate of a live stream's messages. They are counted before they are parsed."""


HUNG_UP = "The caller hung up."
NOT_READ = "The connection was lost: the telephone's side stopped accepting sound."
TOO_FAST = "More was sent than a live call holds. Send sound at real time."
TOO_MANY_FAULTS = "Too many messages of this stream could not be read."
OUR_FAULT = "Something failed on our side. Please call again."


def tell_nobody(call: LiveCall) -> None:
    pass


@dataclass(frozen=True, slots=True)
class PhoneGrant:
    """What an admitted stream gets. ``owner``: the key with which the recording can be fetched, if any.
    ``on_call`` is called with the call once it is open."""

    settings: CallSettings
    transport: Transport
    owner: str = ""
    on_call: Callable[[LiveCall], None] = tell_nobody


Admit = Callable[[twilio.Start], PhoneGrant]
"""Returns a stream's grant, or raises PersonaplexError if the token or the parameters are wrong."""


class Lobby:
    """Counts the connections of one app that have not begun a call; each may wait for only 10 s. One known
    address may have only a few of them, so that nobody can shut out all telephones."""

    def __init__(self, most: int = MOST_NEWCOMERS) -> None:
        self._most = most
        self._from: Counter[str] = Counter()

    @property
    def newcomers(self) -> int:
        return self._from.total()

    def enter(self, address: str) -> bool:
        """Whether there is room for one more; if so, call ``leave`` later."""
        if self.newcomers >= self._most or (address and self._from[address] >= MOST_NEWCOMERS_OF_ONE):
            return False
        self._from[address] += 1
        return True

    def leave(self, address: str) -> None:
        self._from[address] -= 1
        if not self._from[address]:
            del self._from[address]


async def serve_stream(
    websocket: WebSocket, call_manager: CallManager, admit: Admit, lobby: Lobby, address: str = ""
) -> None:
    """Accept one websocket and serve its call until it is over. Never raises errors caused by a peer.

    ``lobby``: shared by all streams of an app. ``address``: the peer's address, if known.
    """
    stream = TwilioStream(websocket, call_manager, admit)
    code, reason = FAILED, OUR_FAULT
    try:
        await websocket.accept()
        code, reason = await stream.serve(lobby, address)
    except WebSocketDisconnect:
        pass
    except asyncio.CancelledError:
        stream.hang_up("The server ended the call.", End.SHUTDOWN)
        raise
    except Exception:
        log.exception("A phone stream failed.")
    finally:
        stream.hang_up(OUR_FAULT, End.FAILED)
    # RuntimeError: already closed.
    with contextlib.suppress(WebSocketDisconnect, RuntimeError, TimeoutError):
        async with asyncio.timeout(CLOSE_WITHIN_SEC):
            await websocket.close(code, close_reason(reason))


class TwilioStream:
    """One accepted websocket."""

    def __init__(self, websocket: WebSocket, call_manager: CallManager, admit: Admit) -> None:
        self._websocket = websocket
        self._call_manager = call_manager
        self._admit = admit
        self._call: LiveCall | None = None
        self._stream_sid = ""
        self._sound = PhoneSound()
        self._playout = PhonePlayout()
        self._messages = TokenBucket()
        self._heard = TokenBucket()
        self._faults = 0
        self._faults_told: set[str] = set()

    async def serve(self, lobby: Lobby, address: str) -> tuple[int, str]:
        """Serve the whole stream; returns the code and the reason to close with."""
        if not lobby.enter(address):
            return TRY_LATER, "Too many connections have not begun a call yet. Try again in a minute."
        try:
            async with asyncio.timeout(START_WITHIN_SEC):
                start = await self._wait_for_start()
        except TimeoutError:
            return NOT_ALLOWED, "No start message came within 10 seconds."
        except twilio.UnusableStart as error:
            log.warning("A phone stream was refused: %s", error)
            return NOT_ADMITTED, str(error)
        except ProtocolError as error:
            return NOT_ALLOWED, str(error)
        finally:
            lobby.leave(address)
        if start is None:
            return ENDED, HUNG_UP
        try:
            call = self._open(start)
        except PersonaplexError as error:
            log.warning("A phone stream was refused: %s", error)
            return NOT_ADMITTED, str(error)
        await self._converse(call)
        return (GOING_AWAY if call.end is End.SHUTDOWN else ENDED), call.reason

    def hang_up(self, reason: str, end: End) -> None:
        """End the call, if one is in progress."""
        if self._call is not None:
            self._call.hang_up(reason, end)

    def _open(self, start: twilio.Start) -> LiveCall:
        grant = self._admit(start)
        call = self._call = self._call_manager.open(grant.settings, grant.owner, transport=grant.transport)
        enter_call(call.call_id)
        self._stream_sid = start.stream_sid
        grant.on_call(call)
        return call

    async def _converse(self, call: LiveCall) -> None:
        waiting = asyncio.get_running_loop().call_later(SLOT_WITHIN_SEC, _give_up_waiting, call)
        async with asyncio.TaskGroup() as group:
            receiving = group.create_task(self._receive(call))
            try:
                await self._send(call)
            finally:
                receiving.cancel()
                waiting.cancel()

    # From the telephone ------------------------------------------------------------------------------

    async def _wait_for_start(self) -> twilio.Start | None:
        """None if the stream ends before it has begun. Raises ProtocolError if it will never begin."""
        for _ in range(MOST_BEFORE_START):
            match await self._next_event():
                case twilio.Start() as start:
                    return start
                case twilio.Stop():
                    return None
                case _:
                    pass  # nothing can be played, heard or marked yet
        raise ProtocolError(f"No start message was among the first {MOST_BEFORE_START}.")

    async def _receive(self, call: LiveCall) -> None:
        try:
            while not isinstance(event := await self._next_event(), twilio.Stop):
                self._take(event, call)
            call.hang_up(HUNG_UP)
        except ProtocolError as error:
            call.hang_up(str(error), End.REFUSED)

    def _take(self, event: twilio.Event | None, call: LiveCall) -> None:
        match event:
            case twilio.Media(twilio.INBOUND, payload) if payload:
                if self._heard.allow(time.monotonic(), seconds_of(payload)):
                    call.hear(self._sound.receive(payload))
                elif self._heard.too_fast:
                    raise ProtocolError(TOO_FAST)
            case twilio.Mark(name):
                for frame in self._playout.marked(name):
                    call.heard(frame)
            case twilio.Dtmf():
                log.info("The caller pressed a key.")
            case _:
                pass  # a second start; the other track; what a newer Twilio may add

    async def _next_event(self) -> twilio.Event | None:
        """The next message's event, or None if it has none. A lost peer counts as a stop.

        Raises:
            ProtocolError: the peer sends too much, or too many malformed messages.
            UnusableStart: it came before a call began, so there will be none.
        """
        message = await self._websocket.receive()
        if message["type"] == "websocket.disconnect":
            if not closed_on_purpose(message):
                self.hang_up(LOST, End.LOST)
            return twilio.Stop()
        text = message.get("text")
        content: str | bytes = message.get("bytes") or b"" if text is None else text
        if not self._messages.allow(time.monotonic(), len(content) / CHARACTERS_PER_SEC):
            if self._messages.too_fast:
                raise ProtocolError(TOO_FAST)
            return None
        if text is None:
            return None  # binary: Twilio has no such message
        try:
            return twilio.parse(text)
        except ProtocolError as error:
            if isinstance(error, twilio.UnusableStart) and self._call is None:
                raise
            self._note_fault(error)
            return None

    def _note_fault(self, error: ProtocolError) -> None:
        """Log it the first time. Raises ProtocolError when too many faults have come."""
        sentence = str(error)
        if sentence not in self._faults_told:
            self._faults_told.add(sentence)
            log.warning("A message of a phone stream was ignored: %s", sentence)
        self._faults += not isinstance(error, twilio.Negligible)
        if self._faults > MOST_FAULTS:
            raise ProtocolError(TOO_MANY_FAULTS)

    # To the telephone --------------------------------------------------------------------------------

    async def _send(self, call: LiveCall) -> None:
        """Send everything the caller should hear; returns when the call is over."""
        try:
            cadence = Cadence()
            while True:
                frame = await call.next_answer(heard=False)
                assert frame is not None
                chunks = self._sound.send(frame)
                spare = cadence.spare_chunks(time.monotonic(), call.answer_waited_sec)
                if spare and rms_dbfs(frame) < QUIET_DBFS:
                    chunks = chunks[spare:]
                for chunk in chunks:
                    await asyncio.sleep(cadence.wait_sec(time.monotonic()))
                    await self._send_text(twilio.media_message(self._stream_sid, chunk))
                    cadence.sent(time.monotonic())
                await self._end_frame(call, frame)
        except CallOver:
            pass

    async def _end_frame(self, call: LiveCall, frame: Frame) -> None:
        now = time.monotonic()
        await self._send_text(twilio.mark_message(self._stream_sid, self._playout.sent(frame, now)))
        for heard in self._playout.heard(now):
            call.heard(heard)
        if self._playout.must_clear(call.caller_levels.now):
            self._playout.cleared()
            await self._send_text(twilio.clear_message(self._stream_sid))

    async def _send_text(self, message: str) -> None:
        """Raises CallOver if the telephone's side is gone or has stopped reading."""
        try:
            async with asyncio.timeout(SEND_WITHIN_SEC):
                await self._websocket.send_text(message)
        except TimeoutError:
            self.hang_up(NOT_READ, End.LOST)
            raise CallOver(NOT_READ) from None
        except (WebSocketDisconnect, RuntimeError):  # RuntimeError: already closed
            self.hang_up(HUNG_UP, End.HUNG_UP)
            raise CallOver(HUNG_UP) from None


def _give_up_waiting(call: LiveCall) -> None:
    """The webhook says so when no slot is free, but another caller may have taken the slot since."""
    if call.phase is Phase.WAITING:
        call.hang_up(BUSY, End.REFUSED)
