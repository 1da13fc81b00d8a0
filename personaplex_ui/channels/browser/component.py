"""FastRTC's Gradio component with its server-side faults mended, each where it hurts.

- An offer that is malformed answers 500 and keeps its place for ever; here it is refused and forgotten.
- A client that never answers keeps its place for 30 s; here for 10.
- A closed tab is noticed after 30 s; here after 6 (ICE consent checks, RFC 7675).
- Its internal functions are listed for API clients; here they are not.
- What a client sends goes through aiortc's jitter buffer; here through our own.
"""

# Gradio and FastRTC are typed in part only:
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

import asyncio
import contextlib
import functools
import logging
import time
from collections.abc import Callable
from typing import Any, cast

import gradio as gr
from aioice import ice
from aiortc import RTCPeerConnection
from aiortc.sdp import SessionDescription
from fastrtc import WebRTC
from gradio.components.base import server

from personaplex_ui.channels.browser.ice_servers import IceServers, RelayUnavailable
from personaplex_ui.channels.browser.offer_limits import (
    MAX_CANDIDATE_CHARACTERS,
    OfferLimits,
    rough_problem,
    with_few_candidates,
)
from personaplex_ui.compat.aiortc_audio import replace_jitter_buffers

log = logging.getLogger(__name__)

CONNECTED_WITHIN_SEC = 10.0
GATHERED_WITHIN_SEC = 10.0
CONSENT_INTERVAL_SEC = 2
CONSENT_FAILURES = 3
MAX_ID_CHARACTERS = 64

# No "exact" among them: a microphone that lacks one would fail without a word.
TRACK_CONSTRAINTS = {
    "echoCancellation": True,
    "noiseSuppression": True,
    "autoGainControl": True,
    "channelCount": 1,
    "sampleRate": {"ideal": 24000},
}


def _nobody() -> str:
    return ""


def build_component(
    max_connections: int, ice_servers: IceServers, client_address: Callable[[], str] = _nobody
) -> WebRTC:
    """The talk button and its wave, inside a ``gr.Blocks``. Give it its handler with ``attach``.

    ``client_address``: whom the present request is from, as limits count; empty for unknown ones.
    """
    ice.CONSENT_INTERVAL = CONSENT_INTERVAL_SEC
    ice.CONSENT_FAILURES = CONSENT_FAILURES
    logging.getLogger("aiortc.rtcrtpsender").addFilter(_is_no_ended_stream)
    component = WebRTC(
        label="Call",
        show_label=False,
        elem_id="call",
        mode="send-receive",
        modality="audio",
        full_screen=False,
        track_constraints=TRACK_CONSTRAINTS,
        button_labels={"start": "Talk", "stop": "Hang up", "waiting": "Connecting…"},
        # Every page can read both values, so the real ones are given when a call asks (``turn``, ``offer``).
        rtc_configuration=None,
        server_rtc_configuration={"iceServers": []},
    )
    component.concurrency_limit = max_connections
    _guard_offers(component, ice_servers, client_address)
    return component


def _is_no_ended_stream(record: logging.LogRecord) -> bool:
    # FastRTC ends a track by giving aiortc nothing instead of a frame, which aiortc logs as an exception.
    return "'NoneType' object has no attribute 'pts'" not in record.getMessage()


def attach(component: WebRTC, handler: Any, inputs: list[Any], max_connections: int) -> None:
    component.stream(
        handler, inputs=[component, *inputs], outputs=[component], concurrency_limit=max_connections
    )


def hide_internal_functions(blocks: gr.Blocks) -> None:
    """Keep FastRTC's own functions out of ``view_api``; they go on working for the page."""
    for function in blocks.fns.values():
        called: Any = function.fn
        name = getattr(called, "__qualname__", "")
        if name.startswith(("WebRTCConnectionMixin.", "WebRTC.")):
            function.api_name = False


def check_offer(body: object) -> str:
    """Why this message of a browser cannot be taken, or an empty string. ``body`` is any JSON."""
    if not isinstance(body, dict):
        return "malformed_message"
    body = cast(dict[str, object], body)
    webrtc_id = body.get("webrtc_id")
    if not isinstance(webrtc_id, str) or not 0 < len(webrtc_id) <= MAX_ID_CHARACTERS:
        return "malformed_webrtc_id"
    if body.get("type") == "ice-candidate":
        return _check_candidate(body.get("candidate"))
    sdp = body.get("sdp")
    if body.get("type") != "offer" or not isinstance(sdp, str):
        return "malformed_offer"
    if problem := rough_problem(sdp):
        return problem
    try:
        media = SessionDescription.parse(sdp).media
    except Exception:
        # aiortc's parser raises whatever its string handling raises (ValueError, IndexError, AssertionError).
        return "malformed_sdp"
    sends_audio = any(m.kind == "audio" and m.direction in ("sendrecv", "sendonly") for m in media)
    if not sends_audio or not any(m.kind == "application" for m in media):
        return "offer_without_microphone"
    # Without these no connection can come about, yet aiortc would answer and wait for it.
    secured = all(m.dtls and m.dtls.fingerprints for m in media)
    known = all(m.ice and m.ice.usernameFragment and m.ice.password for m in media)
    return "" if secured and known else "offer_without_keys"


def _check_candidate(candidate: object) -> str:
    if not isinstance(candidate, dict):
        return "malformed_candidate"
    line = cast(dict[str, object], candidate).get("candidate") or ""
    if not isinstance(line, str) or len(line) > MAX_CANDIDATE_CHARACTERS:
        return "malformed_candidate"
    return ""


def _is_connecting(component: WebRTC, webrtc_id: str) -> bool:
    """Whether the other side has answered our checks, or the connection is gone."""
    pc = component.pcs.get(webrtc_id)
    return pc is None or pc.iceConnectionState not in ("new", "checking")


def _guard_offers(component: WebRTC, ice_servers: IceServers, client_address: Callable[[], str]) -> None:
    handle_offer: Any = component.handle_offer
    connection_timeout = component.connection_timeout
    limits = OfferLimits(time.monotonic, functools.partial(_is_connecting, component))

    async def offer(body: Any) -> Any:
        address = client_address()
        if isinstance(body, dict) and body.get("type") == "offer" and not limits.admit(address):
            return _refusal("too_many_offers")
        problem = check_offer(body)
        if problem:
            return _refusal(problem)
        webrtc_id: str = body["webrtc_id"]
        known = webrtc_id in component.pcs
        if body["type"] != "offer" and not (known and limits.admit_candidate(webrtc_id)):
            return _refusal("unknown_connection" if not known else "too_many_candidates")
        try:
            if body["type"] == "offer":
                body = body | {"sdp": with_few_candidates(body["sdp"])}
                for stranger in [] if known else limits.add(webrtc_id, address):
                    await close_peer(component, stranger)
                component.server_rtc_configuration = await ice_servers.for_server()
            answer = await handle_offer(body, component.set_additional_outputs(webrtc_id))
            if not known and body["type"] == "offer":
                _take_sound_ourselves(component, webrtc_id)
            return answer
        except RelayUnavailable:
            return _refusal("no_relay")  # its page has been given the words by turn()
        except Exception as error:  # whatever aiortc makes of what a stranger sent
            log.info("An offer could not be used: %s", type(error).__name__)
            if not known:
                await close_peer(component, webrtc_id)
            return _refusal("unusable_offer")

    async def shorter_timeout(pc: RTCPeerConnection, webrtc_id: str, time_limit: float) -> None:
        try:
            await connection_timeout(pc, webrtc_id, min(time_limit, CONNECTED_WITHIN_SEC))
        finally:
            limits.remove(webrtc_id)

    async def turn(_: Any) -> dict[str, Any]:
        try:
            return await ice_servers.for_page()
        except RelayUnavailable as error:
            return {"error": str(error)}

    component.offer = server(offer)
    component.turn = server(turn)
    component.connection_timeout = shorter_timeout


def _take_sound_ourselves(component: WebRTC, webrtc_id: str) -> None:
    """Before the client has the answer: nothing can have come from it yet."""
    peer = component.pcs.get(webrtc_id)
    if peer is not None:
        handler: Any = component.handlers.get(webrtc_id)
        handler.inbound = replace_jitter_buffers(peer)


def _refusal(problem: str) -> dict[str, Any]:
    return {"status": "failed", "meta": {"error": problem}}


peers_closing: set[asyncio.Task[None]] = set()
"""Those that are waited for before they can be closed."""


async def _close_once_gathered(pc: RTCPeerConnection) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(GATHERED_WITHIN_SEC):
            while pc.iceGatheringState == "gathering":  # noqa: ASYNC110  its events are FastRTC's
                await asyncio.sleep(0.02)
    await pc.close()


async def close_peer(component: WebRTC, webrtc_id: str) -> None:
    """Close the peer connection and forget it; one that is gone already does not matter."""
    pc = component.pcs.pop(webrtc_id, None)
    if pc is not None and pc.iceGatheringState == "gathering":
        # Its own offer is being answered: closed now, it would open sockets afterwards and never close them.
        task = asyncio.create_task(_close_once_gathered(pc))
        peers_closing.add(task)
        task.add_done_callback(peers_closing.discard)
    elif pc is not None:
        await pc.close()
    tracks: Any = component.clean_up(webrtc_id)
    for track in tracks:
        track.stop()
