"""The talk button's component with a handler that keeps a diary, and a client as a browser is one."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import gradio as gr
import numpy as np
import numpy.typing as npt
from aioice import ice
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import AudioStreamTrack
from fastrtc import AsyncStreamHandler, WebRTC
from fastrtc.tracks import EmitType

from personaplex_ui.channels.browser.component import build_component
from personaplex_ui.channels.browser.ice_servers import IceServers
from personaplex_ui.compat.aiortc import peers_closing
from tests.support.running import until


class DiaryHandler(AsyncStreamHandler):
    """Hears and says nothing but silence; all copies share one diary of what FastRTC called."""

    def __init__(self, diary: list[str]) -> None:
        super().__init__("mono", 24_000, input_sample_rate=24_000)
        self.diary = diary

    def copy(self) -> "DiaryHandler":
        return DiaryHandler(self.diary)

    async def start_up(self) -> None:
        self.diary.append("start_up")

    async def receive(self, frame: tuple[int, npt.NDArray[np.int16]]) -> None:  # type: ignore[override]
        self.diary.append("receive")

    async def emit(self) -> EmitType:
        await asyncio.sleep(0.02)
        return 24_000, np.zeros((1, 480), dtype=np.int16)

    async def shutdown(self) -> None:  # type: ignore[override]
        self.diary.append("shutdown")


@asynccontextmanager
async def open_component(diary: list[str], max_connections: int = 20) -> AsyncGenerator[Any]:
    """A component whose peers are closed at the end: left open, their sockets would be the next test's."""
    consent = ice.CONSENT_INTERVAL, ice.CONSENT_FAILURES
    with gr.Blocks(analytics_enabled=False):
        component = build_component(IceServers())
        component.stream(
            DiaryHandler(diary), inputs=[component], outputs=[component], concurrency_limit=max_connections
        )
    try:
        yield component
    finally:
        await asyncio.gather(*(peer.close() for peer in list(component.pcs.values())))
        await until(lambda: not (component.pcs or peers_closing))
        ice.CONSENT_INTERVAL, ice.CONSENT_FAILURES = consent


@asynccontextmanager
async def browser_client() -> AsyncGenerator[RTCPeerConnection]:
    """With a microphone and a data channel."""
    client = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    client.addTrack(AudioStreamTrack())
    client.createDataChannel("text")
    yield client
    await client.close()


async def real_offer(client: RTCPeerConnection) -> str:
    await client.setLocalDescription(await client.createOffer())
    return client.localDescription.sdp


async def take_answer(client: RTCPeerConnection, answer: dict[str, str]) -> None:
    await client.setRemoteDescription(RTCSessionDescription(**answer))


def kept(component: WebRTC) -> list[str]:
    """What the component keeps of any connection, by the names of its attributes."""
    names = ("pcs", "handlers", "connections", "data_channels", "connection_timeouts", "additional_outputs")
    return [name for name in names if getattr(component, name)]
