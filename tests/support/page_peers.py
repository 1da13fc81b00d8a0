"""The server's half of pages' calls without an app around it, and a client as a browser is one."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from aioice import ice
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import AudioStreamTrack

from personaplex_ui.calls.manager import CallManager
from personaplex_ui.calls.settings import CallSettings
from personaplex_ui.calls.wait_estimate import WaitEstimate
from personaplex_ui.channels.browser.connections import Connections
from personaplex_ui.channels.browser.ice_servers import IceServers
from personaplex_ui.channels.browser.offers import OfferRefused, check_offer
from personaplex_ui.channels.browser.peers import Peers
from personaplex_ui.compat.aiortc import peers_closing
from personaplex_ui.engine.speech_model import Persona
from tests.support.running import until

SETTINGS = CallSettings(Persona("NATF2", "Be kind."), record=False)
OWNER = "an owner"


class PagePeers:
    """``peers`` and ``connections``, and offers to them as the route makes them."""

    def __init__(self, call_manager: CallManager, max_connections: int) -> None:
        self.connections = Connections(call_manager, WaitEstimate(call_manager))
        self.peers = Peers(self.connections, IceServers(), max_connections)

    @property
    def stream(self) -> Any:
        return self.peers.stream

    async def offer(
        self, body: dict[str, Any], settings: CallSettings = SETTINGS, owner: str = OWNER
    ) -> dict[str, Any]:
        """The answer, or ``{"error": code}``."""
        if problem := check_offer(body):
            return {"error": problem}
        try:
            if body["type"] != "offer":
                await self.peers.take_candidate(body, owner)
                return {}
            return await self.peers.answer(body, settings, owner, "")
        except OfferRefused as error:
            return {"error": error.problem}

    def kept(self) -> list[str]:
        """What FastRTC keeps of any connection, by the names of its attributes."""
        names = (
            "pcs",
            "handlers",
            "connections",
            "data_channels",
            "connection_timeouts",
            "additional_outputs",
        )
        return [name for name in names if getattr(self.stream, name)]


@asynccontextmanager
async def open_peers(call_manager: CallManager, max_connections: int = 20) -> AsyncGenerator[PagePeers]:
    """Its peers are closed at the end: left open, their sockets would be the next test's."""
    consent = ice.CONSENT_INTERVAL, ice.CONSENT_FAILURES
    peers = PagePeers(call_manager, max_connections)
    try:
        yield peers
    finally:
        await asyncio.gather(*(peer.close() for peer in list(peers.stream.pcs.values())))
        await until(lambda: not (peers.stream.pcs or peers_closing))
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
