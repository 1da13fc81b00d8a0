"""FastRTC 0.0.34: workarounds for its component and its handlers.

Each workaround says what is wrong; tests/unit/compat/test_fastrtc.py fails once it is fixed. Private names
and internals of FastRTC are used only here.
"""

# Gradio and FastRTC are only partly typed:
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

import contextlib
import logging
import re
from collections.abc import Callable, Generator
from typing import Any

import gradio as gr
from aiortc import RTCPeerConnection
from aiortc.exceptions import InvalidStateError
from av import AudioFrame, AudioResampler
from fastrtc import AsyncStreamHandler, WebRTC
from fastrtc.utils import create_message

from personaplex_ui.compat.aiortc import close_once_gathered

CONNECTED_WITHIN_SEC = 10.0


def hide_internal_functions(blocks: gr.Blocks) -> None:
    """Keep FastRTC's own functions out of ``view_api``, which would list each of its events."""
    for function in blocks.fns.values():
        called: Any = function.fn
        if getattr(called, "__qualname__", "").startswith(("WebRTCConnectionMixin.", "WebRTC.")):
            function.api_name = False


def limit_connecting(component: WebRTC, over: Callable[[str], None]) -> None:
    """Close peers that have not connected after 10 s, and call ``over`` with the WebRTC id once a peer has
    connected or been closed.

    Until then a peer occupies one of the component's slots. FastRTC waits 30 s, since
    https://github.com/gradio-app/fastrtc/pull/90.
    """
    connection_timeout = component.connection_timeout

    async def shorter_timeout(pc: RTCPeerConnection, webrtc_id: str, time_limit: float) -> None:
        try:
            await connection_timeout(pc, webrtc_id, min(time_limit, CONNECTED_WITHIN_SEC))
        finally:
            over(webrtc_id)

    component.connection_timeout = shorter_timeout


def is_connecting(component: WebRTC, webrtc_id: str) -> bool:
    """True once the other side has answered our checks or the connection is gone."""
    pc = component.pcs.get(webrtc_id)
    return pc is None or pc.iceConnectionState not in ("new", "checking")


async def close_peer(component: WebRTC, webrtc_id: str) -> None:
    """Close the peer connection and forget it, if it still exists.

    FastRTC keeps the slot of a peer whose offer raised: https://github.com/gradio-app/fastrtc/issues/53.
    """
    pc = component.pcs.pop(webrtc_id, None)
    if pc is not None:
        await close_once_gathered(pc)
    tracks: Any = component.clean_up(webrtc_id)
    for track in tracks:
        track.stop()


def turn_failure_status(error: Exception) -> int | None:
    """The HTTP status of the TURN service's answer, which FastRTC reports only in the message."""
    found = re.match(r"Failed to get TURN credentials: (\d{3})\b", str(error))
    return int(found[1]) if found else None


def hide_ended_streams() -> None:
    """FastRTC ends a track by passing None instead of a frame, which aiortc logs as an exception."""
    logging.getLogger("aiortc.rtcrtpsender").addFilter(_is_not_an_ended_stream)


def _is_not_an_ended_stream(record: logging.LogRecord) -> bool:
    return "'NoneType' object has no attribute 'pts'" not in record.getMessage()


class MendedStreamHandler(AsyncStreamHandler):
    """A handler for mono sound with the same rate in both directions."""

    def __init__(self, rate_hz: int) -> None:
        super().__init__("mono", output_sample_rate=rate_hz, input_sample_rate=rate_hz)
        self._packet_resampler: AudioResampler | None = None
        self._resampled_kind = ("", "", 0)

    def resample(self, frame: AudioFrame) -> Generator[AudioFrame, None, None]:
        """Keeps the packets' 20 ms; FastRTC's resampler waits for 40 ms and fails when the codec changes."""
        kind = (frame.format.name, frame.layout.name, frame.sample_rate)
        if self._packet_resampler is None or kind != self._resampled_kind:
            self._packet_resampler = AudioResampler(format="s16", layout="mono", rate=self.input_sample_rate)
            self._resampled_kind = kind
        yield from self._packet_resampler.resample(frame)

    @property
    def arguments(self) -> tuple[str, list[object]]:
        """The WebRTC id and the values of the page's inputs, once ``wait_for_args`` is over."""
        _, webrtc_id, *inputs = self.latest_args
        return str(webrtc_id), inputs

    def send(self, kind: str) -> None:
        """Send the page a message without data; FastRTC raises if the page was closed meanwhile."""
        if self.channel is not None:
            with contextlib.suppress(InvalidStateError):
                self.channel.send(create_message(kind, []))  # type: ignore[arg-type]

    def stop_track(self) -> str | None:
        """Stop FastRTC's requests for sound, which never end if the connection failed.

        Returns:
            The WebRTC id of the track, or None if there is none yet.
        """
        clear_queue: Any = self._clear_queue
        track = getattr(clear_queue, "__self__", None)
        if track is None:
            return None
        track.stop()
        return str(track.context.webrtc_id)
