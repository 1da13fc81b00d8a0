"""The assistant's sound to the telephone: in pieces of 20 ms when they are due, each frame with its mark.

Handles the websocket's sending side; ``playout`` decides when, and what the caller has heard.
"""

import asyncio
import time

from fastapi import WebSocket, WebSocketDisconnect

from personaplex_ui.audio.frames import Frame
from personaplex_ui.audio.levels import QUIET_DBFS, rms_dbfs
from personaplex_ui.calls.live_call import LiveCall
from personaplex_ui.calls.snapshot import End
from personaplex_ui.channels.twilio.media_stream.playout import Cadence, PhonePlayout
from personaplex_ui.channels.twilio.media_stream.protocol import clear_message, mark_message, media_message
from personaplex_ui.channels.twilio.media_stream.sound import PhoneSound
from personaplex_ui.errors import CallOver

SEND_WITHIN_SEC = 5.0

HUNG_UP = "The caller hung up."
NOT_READ = "The connection was lost: the telephone's side stopped accepting sound."


class SoundSender:
    """What is sent to one stream. ``sound`` and ``playout``: the call's, which its receiving side shares."""

    def __init__(
        self, websocket: WebSocket, stream_sid: str, call: LiveCall, sound: PhoneSound, playout: PhonePlayout
    ) -> None:
        self._websocket = websocket
        self._stream_sid = stream_sid
        self._call = call
        self._sound = sound
        self._playout = playout

    async def run(self) -> None:
        """Send everything the caller should hear; returns when the call is over."""
        try:
            cadence = Cadence()
            while True:
                frame = await self._call.next_answer(heard=False)
                assert frame is not None
                chunks = self._sound.send(frame)
                spare = cadence.spare_chunks(time.monotonic(), self._call.answer_waited_sec)
                if spare and rms_dbfs(frame) < QUIET_DBFS:
                    chunks = chunks[spare:]
                for chunk in chunks:
                    await asyncio.sleep(cadence.wait_sec(time.monotonic()))
                    await self._send_text(media_message(self._stream_sid, chunk))
                    cadence.sent(time.monotonic())
                await self._end_frame(frame)
        except CallOver:
            pass

    async def _end_frame(self, frame: Frame) -> None:
        now = time.monotonic()
        await self._send_text(mark_message(self._stream_sid, self._playout.sent(frame, now)))
        for heard in self._playout.heard(now):
            self._call.heard(heard)
        if self._playout.must_clear(self._call.caller_levels.now):
            self._playout.cleared()
            await self._send_text(clear_message(self._stream_sid))

    async def _send_text(self, message: str) -> None:
        """Raises CallOver if the telephone's side is gone or has stopped reading."""
        try:
            async with asyncio.timeout(SEND_WITHIN_SEC):
                await self._websocket.send_text(message)
        except TimeoutError:
            self._call.hang_up(NOT_READ, End.LOST)
            raise CallOver(NOT_READ) from None
        except (WebSocketDisconnect, RuntimeError):  # RuntimeError: already closed
            self._call.hang_up(HUNG_UP, End.HUNG_UP)
            raise CallOver(HUNG_UP) from None
