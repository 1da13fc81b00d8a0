"""The Moshi websocket's transport: one connection is one call, from the query to the close frame.

Depends on the protocol's messages and Ogg/Opus, not on routes or a model. Nothing is queued here: a client
that does not read makes the sender wait, up to the websocket's time limit, while the call drops its oldest
sound.

Many clients take the first message for the handshake, and understand only kinds 00, 01 and 02, which are all
that NVIDIA's server sends. So nothing precedes 00, not even an error: a client that cannot be served sees the
close frame. Clients that opt in (``tells_state``) are told more.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncGenerator, Callable
from typing import cast

from starlette.websockets import WebSocket

from personaplex_ui.calls.live_call import LiveCall
from personaplex_ui.calls.manager import CallManager
from personaplex_ui.calls.settings import CallSettings
from personaplex_ui.calls.snapshot import End, Phase, Snapshot, Transport
from personaplex_ui.channels.close_codes import (
    CANNOT_BE_USED,
    ENDED,
    FAILED,
    GOING_AWAY,
    NOT_ALLOWED,
    TRY_LATER,
)
from personaplex_ui.channels.moshi.input import Hearing
from personaplex_ui.channels.moshi.opus import OpusOutput
from personaplex_ui.channels.moshi.protocol import (
    SPEAK_QUEUE_FULL,
    Audio,
    Error,
    Event,
    Handshake,
    Metadata,
    Ping,
    Speak,
    Text,
    parse,
)
from personaplex_ui.channels.moshi.websocket import ClientGone, Wire
from personaplex_ui.channels.token_bucket import TokenBucket
from personaplex_ui.errors import CallOver, InvalidInput, PersonaplexError, ProtocolError, SpeakQueueFull
from personaplex_ui.logs.call_context import enter_call

log = logging.getLogger(__name__)

SIGN_OF_LIFE_EVERY_SEC = 2.0
"""Official clients hang up when they hear nothing for 10 s."""

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

CLOSE_CODES = {End.SHUTDOWN: GOING_AWAY, End.FAILED: FAILED, End.REFUSED: TRY_LATER}


class Unwelcome(Exception):
    """The client violates the protocol's limits; the sentence is its goodbye."""


class Chat:
    """One call over one websocket."""

    def __init__(self, wire: Wire, call: LiveCall, tells_state: bool) -> None:
        self._wire = wire
        self._call = call
        self._tells_state = tells_state
        self._handshake_sent = False
        self._close_code: int | None = None
        self._hearing = Hearing(call)
        self._began = time.monotonic()
        self._messages = TokenBucket(BURST_SEC)
        self._faults = 0.0
        self._last_fault_at = 0.0
        self._faults_answered = 0
        self._pieces_sent = 0
        self._notes_sent = 0

    async def run(self) -> None:
        """Returns when the call is over and the client was told or is gone."""
        enter_call(self._call.call_id)
        try:
            async with asyncio.TaskGroup() as group:
                for part in (self._receive, self._hearing.run, self._send):
                    group.create_task(part())
                if self._tells_state:
                    group.create_task(self._tell_progress())
                    group.create_task(self._give_signs_of_life())
        except* CallOver:
            pass  # the reason is sent below
        except* ClientGone as group_of:
            for gone in group_of.exceptions:
                self._call.hang_up(str(gone), gone.end if isinstance(gone, ClientGone) else End.LOST)
        except* Unwelcome as group_of:
            self._close_code = NOT_ALLOWED
            self._call.hang_up(str(group_of.exceptions[0]), End.REFUSED)
        except* Exception:
            log.exception("A Moshi call failed.")
            self._call.hang_up("Something failed on our side. Please call again.", End.FAILED)
        finally:
            self._call.hang_up("The client hung up.")  # when this task was cancelled
        await self._say_goodbye()

    async def _say_goodbye(self) -> None:
        with contextlib.suppress(ClientGone):
            if self._handshake_sent:
                await self._send_text()
            end = self._call.end or End.HUNG_UP
            code = self._close_code or CLOSE_CODES.get(end, ENDED)
            if isinstance(self._call.error, InvalidInput):
                code = CANNOT_BE_USED
            await self._wire.refuse(self._call.reason, code, self._may_tell)

    @property
    def _may_tell(self) -> bool:
        """Whether the client is ready for an error (05)."""
        return self._handshake_sent or self._tells_state

    async def _tell(self, sentence: str) -> None:
        if self._may_tell:
            await self._wire.send(Error(sentence))

    # To the client ---------------------------------------------------------------------------------

    async def _tell_progress(self) -> None:
        told: dict[str, object] = {}
        watched = cast(AsyncGenerator[Snapshot], self._call.watch())
        async with contextlib.aclosing(watched) as snapshots:
            async for snapshot in snapshots:
                if snapshot.phase in (Phase.LIVE, Phase.ENDED):
                    return
                values = _progress(snapshot)
                if values and values != told:
                    await self._wire.send(Metadata(values))
                    told = values

    async def _give_signs_of_life(self) -> None:
        while True:
            await asyncio.sleep(SIGN_OF_LIFE_EVERY_SEC)
            if self._call.phase is Phase.LIVE:
                await self._send_state()
            else:
                await self._wire.send(Ping())

    async def _send(self) -> None:
        await self._until_live()
        waited_sec = time.monotonic() - self._began
        self._messages.excused_sec = waited_sec
        self._hearing.excuse(waited_sec)
        await self._wire.send(Handshake())
        self._handshake_sent = True
        if self._tells_state:
            await self._send_state()
        output = OpusOutput()
        while True:
            frame = await self._call.next_answer()
            await self._send_text()
            if frame is not None:
                await self._wire.send(Audio(output.append(frame)))

    async def _until_live(self) -> None:
        waits = [asyncio.create_task(event.wait()) for event in (self._call.live, self._call.over)]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
        if self._call.over.is_set():
            raise CallOver(self._call.reason)

    async def _send_text(self) -> None:
        pieces = self._call.transcript.pieces
        while self._pieces_sent < len(pieces):
            self._pieces_sent += 1
            await self._wire.send(Text(pieces[self._pieces_sent - 1]))

    async def _send_state(self) -> None:
        snapshot = self._call.snapshot()
        stats = {
            "dropped_heard": snapshot.stats.dropped_heard,
            "dropped_said": snapshot.stats.dropped_said,
            "lag_frames": snapshot.stats.lag_frames,
            "too_fast_sec": round(self._hearing.too_fast_sec, 2),
        }
        values = {"state": "live", "elapsed_sec": round(snapshot.elapsed_sec, 1), "figures": stats}
        await self._wire.send(Metadata(values))
        for note in snapshot.notes[self._notes_sent :]:
            self._notes_sent += 1
            await self._wire.send(Metadata({"note": note}))

    # From the client -------------------------------------------------------------------------------

    async def _receive(self) -> None:
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

    async def _take(self, event: Event) -> None:
        match event:
            case Audio(ogg):
                for error in self._hearing.receive(ogg):
                    await self._complain(error)
            case Speak(text):
                await self._speak(text)
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
        if self._may_tell and self._faults_answered < MOST_FAULTS:
            self._faults_answered += 1
            await self._tell(str(error))

    def _count_fault(self, now: float) -> None:
        forgotten = FAULTS_FORGOTTEN_PER_SEC * (now - self._last_fault_at)
        self._faults, self._last_fault_at = max(0.0, self._faults - forgotten) + 1, now
        if self._faults >= MOST_FAULTS:
            raise Unwelcome(f"{MOST_FAULTS} messages could not be read, so the connection was closed.")


ReadSettings = Callable[[], CallSettings]
"""Builds the call's settings from what the client requested. Raises ``InvalidInput``."""


async def serve_chat(
    websocket: WebSocket,
    call_manager: CallManager,
    read_settings: ReadSettings,
    address: str,
    tells_state: bool = False,
) -> None:
    """Accept one websocket and serve it to the end. Never raises for anything a peer does.

    ``address``: the client's, for the limits of the call manager; empty if none apply. ``tells_state``:
    the client opted in to messages beyond those of NVIDIA's server.
    """
    wire = Wire(websocket)
    with contextlib.suppress(ClientGone):
        await wire.accept()
        try:
            call = call_manager.open(read_settings(), transport=Transport.MOSHI, address=address)
        except InvalidInput as error:
            await wire.refuse(str(error), CANNOT_BE_USED, tells_state)
        except PersonaplexError as error:
            await wire.refuse(str(error), TRY_LATER, tells_state)
        else:
            await Chat(wire, call, tells_state).run()


def _progress(snapshot: Snapshot) -> dict[str, object]:
    """What a client is told before its call is live; empty while there is nothing to tell."""
    if snapshot.phase is Phase.PREPARING:
        return {"state": "preparing", "progress": round(snapshot.preparing_progress, 2)}
    if snapshot.place:
        return {"state": "waiting", "place": snapshot.place, "waiting": snapshot.waiting}
    return {}
