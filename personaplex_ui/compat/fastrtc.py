"""FastRTC 0.0.34 answers pages' offers and keeps their connections; what is mended of it.

FastRTC turns each sound into floats, into stereo, into aiortc's 48 kHz and through two threads, and reads the
caller's through a relay and two tasks: half of what a call costs. So its handler only keeps the connection:
sound comes from the jitter buffer at once (``receive_sound``), and goes out as Opus packets from a track of
our own (``send_track``, aiortc's ``replaceTrack``). Besides, FastRTC answers every message on the data
channel with one of its own, without limit; its listener is removed (``on_message``).

Each workaround says what is wrong; tests/unit/compat/test_fastrtc.py fails once it is fixed. Private names
and internals of FastRTC are used only here.
"""

# Gradio and FastRTC are only partly typed:
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

import contextlib
import json
import re
from collections.abc import Callable, Sequence
from typing import Any

from aiortc import RTCConfiguration, RTCPeerConnection
from aiortc.exceptions import InvalidStateError
from aiortc.mediastreams import MediaStreamTrack
from fastapi.responses import JSONResponse
from fastrtc import AsyncStreamHandler
from fastrtc.webrtc_connection_mixin import WebRTCConnectionMixin

from personaplex_ui.audio.frames import Samples
from personaplex_ui.compat.aiortc import (
    close_once_gathered,
    give_up_sending_quietly,
    notice_dead_peers_soon,
)
from personaplex_ui.compat.inbound_audio import InboundAudio, replace_jitter_buffers

CONNECTED_WITHIN_SEC = 10.0


class ConnectionHandler(AsyncStreamHandler):
    """FastRTC's handler without sound. It copies a prototype for each connection."""

    def __init__(self, rate_hz: int) -> None:
        super().__init__("mono", output_sample_rate=rate_hz, input_sample_rate=rate_hz)

    async def receive(self, frame: object) -> None:
        """Never called, see the module."""

    async def emit(self) -> None:
        """Never called either."""

    def on_message(self, take: Callable[[object], None]) -> None:
        """Have the page's messages, instead of FastRTC. Once there is a channel."""
        channel: Any = self.channel
        channel.remove_all_listeners("message")
        channel.on("message", take)

    @property
    def unread_bytes(self) -> int:
        """What was sent to the page and has not arrived there."""
        channel: Any = self.channel
        return 0 if channel is None else channel.bufferedAmount

    def send(self, message: dict[str, Any]) -> None:
        """Send the page ``message`` as JSON; dropped if it has closed the channel."""
        channel: Any = self.channel
        if channel is not None:
            with contextlib.suppress(InvalidStateError):
                channel.send(json.dumps(message, ensure_ascii=False))


class PageStream(WebRTCConnectionMixin):
    """FastRTC's server half: what its ``Stream`` and its Gradio component have in common. ``Stream`` would
    also build a Gradio page that nobody opens. ``max_connections``: at once."""

    def __init__(self, prototype: ConnectionHandler, max_connections: int) -> None:
        super().__init__()
        notice_dead_peers_soon()
        give_up_sending_quietly()
        self.event_handler = prototype
        self.concurrency_limit = max_connections
        self.mode = "send-receive"
        self.modality = "audio"
        self.time_limit = None
        self.allow_extra_tracks = False
        self.rtc_configuration = None
        self.server_rtc_configuration = RTCConfiguration(iceServers=[])  # else aiortc asks Google's


async def answer(stream: PageStream, body: dict[str, Any]) -> dict[str, Any]:
    """FastRTC's answer to an offer or a candidate; ``{"error": code}`` where it refuses."""
    answered = await stream.handle_offer(body, stream.set_additional_outputs(body["webrtc_id"]))
    if not isinstance(answered, JSONResponse):
        return answered
    told: dict[str, Any] = json.loads(bytes(answered.body))
    return {"error": told["meta"]["error"]} if told.get("status") != "success" else {}


def handler_of(stream: PageStream, webrtc_id: str) -> object | None:
    """The copy of the prototype that serves a connection, while it exists."""
    return stream.handlers.get(webrtc_id)


def receive_sound(
    stream: PageStream, webrtc_id: str, hear: Callable[[Samples], None]
) -> Sequence[InboundAudio]:
    """Have the caller's sound given to ``hear``. Call it before the answer is sent."""
    return replace_jitter_buffers(stream.pcs[webrtc_id], hear)


def send_track(stream: PageStream, webrtc_id: str, track: MediaStreamTrack) -> None:
    """Send ``track`` instead of FastRTC's. Call it before the answer is sent."""
    for sender in stream.pcs[webrtc_id].getSenders():
        sender.replaceTrack(track)


def limit_connecting(stream: PageStream, over: Callable[[str], None]) -> None:
    """Close peers that have not connected after 10 s, and call ``over`` with the WebRTC id once a peer has
    connected or been closed.

    Until then a peer occupies one of the stream's slots. FastRTC waits 30 s, since
    https://github.com/gradio-app/fastrtc/pull/90.
    """
    connection_timeout = stream.connection_timeout

    async def shorter_timeout(pc: RTCPeerConnection, webrtc_id: str, time_limit: float) -> None:
        try:
            await connection_timeout(pc, webrtc_id, min(time_limit, CONNECTED_WITHIN_SEC))
        finally:
            over(webrtc_id)

    stream.connection_timeout = shorter_timeout


def is_connecting(stream: PageStream, webrtc_id: str) -> bool:
    """True once the other side has answered our checks or the connection is gone."""
    pc = stream.pcs.get(webrtc_id)
    return pc is None or pc.iceConnectionState not in ("new", "checking")


async def close_peer(stream: PageStream, webrtc_id: str) -> None:
    """Close the peer connection and forget it, if it still exists.

    FastRTC keeps the slot of a peer whose offer raised: https://github.com/gradio-app/fastrtc/issues/53.
    """
    pc = stream.pcs.pop(webrtc_id, None)
    if pc is not None:
        await close_once_gathered(pc)
    tracks: Any = stream.clean_up(webrtc_id)
    for track in tracks:
        track.stop()


def turn_failure_status(error: Exception) -> int | None:
    """The HTTP status of the TURN service's answer, which FastRTC reports only in the message."""
    found = re.match(r"Failed to get TURN credentials: (\d{3})\b", str(error))
    return int(found[1]) if found else None
