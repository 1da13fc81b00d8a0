"""The talk button: FastRTC's Gradio component, whose offers are checked and limited before it sees them.

A malformed offer is refused and holds no resources; one that does not connect is dropped after 10 s, or
earlier for a newer one. Received sound goes through our own jitter buffer. Handles the page's messages;
``compat`` contains the workarounds for FastRTC and aiortc.
"""

# Gradio and FastRTC are only partly typed:
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

import functools
import logging
import time
from collections.abc import Callable
from typing import Any

from fastrtc import WebRTC
from gradio.components.base import server

from personaplex_ui.channels.browser.ice_servers import IceServers, RelayUnavailable
from personaplex_ui.channels.browser.offers import OfferLimits, check_offer, with_few_candidates
from personaplex_ui.compat import fastrtc
from personaplex_ui.compat.aiortc import notice_dead_peers_soon, replace_jitter_buffers

log = logging.getLogger(__name__)

# None is "exact": a microphone without that feature would fail without a message.
TRACK_CONSTRAINTS = {
    "echoCancellation": True,
    "noiseSuppression": True,
    "autoGainControl": True,
    "channelCount": 1,
    "sampleRate": {"ideal": 24000},
}


def _unknown_client() -> str:
    return ""


def build_component(ice_servers: IceServers, client_address: Callable[[], str] = _unknown_client) -> WebRTC:
    """The talk button and its wave, inside a ``gr.Blocks``. Pass the handler to its ``stream``.

    ``client_address``: the address by which limits count the current request; empty if unknown.
    """
    notice_dead_peers_soon()
    fastrtc.hide_ended_streams()
    component = WebRTC(
        label="Call",
        show_label=False,
        elem_id="call",
        mode="send-receive",
        modality="audio",
        full_screen=False,
        track_constraints=TRACK_CONSTRAINTS,
        button_labels={"start": "Talk", "stop": "Hang up", "waiting": "Connecting…"},
        # Every page can read both values, so the real ones are given on request (``turn``, ``offer``).
        rtc_configuration=None,
        server_rtc_configuration={"iceServers": []},
    )
    limits = OfferLimits(time.monotonic, functools.partial(fastrtc.is_connecting, component))
    fastrtc.limit_connecting(component, limits.remove)
    component.turn = server(functools.partial(_answer_turn, ice_servers))
    offers = GuardedOffers(component, limits, ice_servers, client_address)
    component.offer = server(functools.partial(offers.answer))
    return component


async def _answer_turn(ice_servers: IceServers, _: object) -> dict[str, Any]:
    try:
        return await ice_servers.for_page()
    except RelayUnavailable as error:
        return {"error": str(error)}


class GuardedOffers:
    """Answers offers and candidates. Input that cannot be used gets a refusal that the page understands."""

    def __init__(
        self,
        component: WebRTC,
        limits: OfferLimits,
        ice_servers: IceServers,
        client_address: Callable[[], str],
    ) -> None:
        self._component = component
        self._limits = limits
        self._ice_servers = ice_servers
        self._client_address = client_address

    async def answer(self, body: Any) -> Any:
        """FastRTC's answer, or the reason for a refusal, as JSON."""
        address = self._client_address()
        if isinstance(body, dict) and body.get("type") == "offer" and not self._limits.admit(address):
            return _refusal("too_many_offers")
        if problem := check_offer(body):
            return _refusal(problem)
        webrtc_id: str = body["webrtc_id"]
        known = webrtc_id in self._component.pcs
        if body["type"] != "offer":
            return await self._take_candidate(body, webrtc_id, known)
        try:
            return await self._take_offer(body, webrtc_id, known, address)
        except RelayUnavailable:
            return _refusal("no_relay")  # turn() has already told the page
        except Exception as error:  # aiortc may raise anything for malformed input
            log.info("An offer could not be used: %s", type(error).__name__)
            if not known:
                await fastrtc.close_peer(self._component, webrtc_id)
            return _refusal("unusable_offer")

    async def _take_candidate(self, body: dict[str, Any], webrtc_id: str, known: bool) -> Any:
        if not known:
            return _refusal("unknown_connection")
        if not self._limits.admit_candidate(webrtc_id):
            return _refusal("too_many_candidates")
        return await self._handle(body, webrtc_id)

    async def _take_offer(self, body: dict[str, Any], webrtc_id: str, known: bool, address: str) -> Any:
        body = body | {"sdp": with_few_candidates(body["sdp"])}
        for stranger in [] if known else self._limits.add(webrtc_id, address):
            await fastrtc.close_peer(self._component, stranger)
        self._component.server_rtc_configuration = await self._ice_servers.for_server()
        answer = await self._handle(body, webrtc_id)
        peer = None if known else self._component.pcs.get(webrtc_id)
        if peer is not None:  # before the client has the answer, so no packet can have arrived
            handler: Any = self._component.handlers.get(webrtc_id)
            handler.inbound = replace_jitter_buffers(peer)
        return answer

    async def _handle(self, body: dict[str, Any], webrtc_id: str) -> Any:
        handle_offer: Any = self._component.handle_offer
        return await handle_offer(body, self._component.set_additional_outputs(webrtc_id))


def _refusal(problem: str) -> dict[str, Any]:
    return {"status": "failed", "meta": {"error": problem}}
