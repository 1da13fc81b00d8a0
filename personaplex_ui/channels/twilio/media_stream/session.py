"""Twilio's media stream as a transport: one websocket is one call, in real time.

Handles how a stream begins and ends, and what each event does. ``Admit``, given by the caller, decides
whether a stream may begin a call, and with which persona.
"""

import asyncio
import contextlib
import logging
import time

from fastapi import WebSocket, WebSocketDisconnect

from personaplex_ui.calls.live_call import LiveCall
from personaplex_ui.calls.manager import CallManager
from personaplex_ui.calls.snapshot import End, Phase
from personaplex_ui.channels.close_codes import (
    ENDED,
    FAILED,
    GOING_AWAY,
    NOT_ADMITTED,
    NOT_ALLOWED,
    TRY_LATER,
    close_reason,
)
from personaplex_ui.channels.token_bucket import TokenBucket
from personaplex_ui.channels.twilio.media_stream import protocol as twilio
from personaplex_ui.channels.twilio.media_stream.admission import Admit, Lobby, PhoneGrant
from personaplex_ui.channels.twilio.media_stream.playout import PhonePlayout
from personaplex_ui.channels.twilio.media_stream.receiving import TOO_FAST, EventReader
from personaplex_ui.channels.twilio.media_stream.sending import HUNG_UP, SoundSender
from personaplex_ui.channels.twilio.media_stream.sound import PhoneSound, seconds_of
from personaplex_ui.channels.twilio.spoken_sentences import BUSY, LOST
from personaplex_ui.errors import PersonaplexError, ProtocolError
from personaplex_ui.logs.call_context import enter_call

log = logging.getLogger(__name__)

START_WITHIN_SEC = 10.0
MOST_BEFORE_START = 100
"""Twilio sends one message before ``start``."""

SLOT_WITHIN_SEC = 10.0
CLOSE_WITHIN_SEC = 1.0

OUR_FAULT = "Something failed on our side. Please call again."


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
        self._events = EventReader(websocket)
        self._sound = PhoneSound()
        self._playout = PhonePlayout()
        self._heard = TokenBucket()

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
            grant = self._admit(start)
            call = self._open(grant)
        except PersonaplexError as error:
            log.warning("A phone stream was refused: %s", error)
            return NOT_ADMITTED, str(error)
        await self._converse(call, grant, start.stream_sid)
        return (GOING_AWAY if call.end is End.SHUTDOWN else ENDED), call.reason

    def hang_up(self, reason: str, end: End) -> None:
        """End the call, if one is in progress."""
        if self._call is not None:
            self._call.hang_up(reason, end)

    def _open(self, grant: PhoneGrant) -> LiveCall:
        call = self._call = self._call_manager.open(
            grant.settings, grant.owner, transport=grant.transport, cues=grant.cues, answered=True
        )
        enter_call(call.call_id)
        grant.on_call(call)
        return call

    async def _converse(self, call: LiveCall, grant: PhoneGrant, stream_sid: str) -> None:
        sender = SoundSender(self._websocket, stream_sid, call, self._sound, self._playout)
        waiting = asyncio.get_running_loop().call_later(SLOT_WITHIN_SEC, _give_up_waiting, call)
        async with asyncio.TaskGroup() as group:
            receiving = group.create_task(self._receive(call, grant))
            try:
                await sender.run()
            finally:
                receiving.cancel()
                waiting.cancel()

    async def _wait_for_start(self) -> twilio.Start | None:
        """None if the stream ends before it has begun. Raises ProtocolError if it will never begin."""
        for _ in range(MOST_BEFORE_START):
            match await self._events.next_event():
                case twilio.Start() as start:
                    return start
                case twilio.Stop():
                    return None
                case _:
                    pass  # nothing can be played, heard or marked yet
        raise ProtocolError(f"No start message was among the first {MOST_BEFORE_START}.")

    async def _receive(self, call: LiveCall, grant: PhoneGrant) -> None:
        try:
            while not isinstance(event := await self._events.next_event(), twilio.Stop):
                self._take(event, call, grant)
            if self._events.lost:
                call.hang_up(LOST, End.LOST)
            else:
                call.hang_up(HUNG_UP)
        except ProtocolError as error:
            call.hang_up(str(error), End.REFUSED)

    def _take(self, event: twilio.Event | None, call: LiveCall, grant: PhoneGrant) -> None:
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
                grant.on_key(call, event)
            case _:
                pass  # a second start; the other track; what a newer Twilio may add


def _give_up_waiting(call: LiveCall) -> None:
    """The webhook says so when no slot is free, but another caller may have taken the slot since."""
    if call.phase is Phase.WAITING:
        call.hang_up(BUSY, End.REFUSED)
