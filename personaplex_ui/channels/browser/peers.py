"""Answers pages' offers with FastRTC, after they are checked and within limits.

A malformed offer is refused and holds nothing; one that does not connect is dropped after 10 s, or earlier
for a newer one. ``compat`` contains the workarounds for FastRTC and aiortc.
"""

import asyncio
import contextlib
import functools
import logging
import time
from typing import Any

from personaplex_ui.calls.allowance import Visitor
from personaplex_ui.calls.settings import CallSettings
from personaplex_ui.channels.browser.answer_track import AnswerTrack
from personaplex_ui.channels.browser.connections import Connection, Connections
from personaplex_ui.channels.browser.ice_servers import IceServers
from personaplex_ui.channels.browser.offers import REFUSALS, OfferLimits, OfferRefused, with_few_candidates
from personaplex_ui.channels.browser.session import PageCall
from personaplex_ui.compat import fastrtc
from personaplex_ui.errors import PersonaplexError

log = logging.getLogger(__name__)

CLOSED_WITHIN_SEC = 1.0


class Peers:
    """The peer connections of all pages. ``max_connections``: at once, including those that wait."""

    def __init__(self, connections: Connections, ice_servers: IceServers, max_connections: int) -> None:
        self._connections = connections
        self._ice_servers = ice_servers
        self.stream = fastrtc.PageStream(PageCall(connections, self._close), max_connections)
        self._limits = OfferLimits(time.monotonic, functools.partial(fastrtc.is_connecting, self.stream))
        fastrtc.limit_connecting(self.stream, self._forget)

    def admit(self, address: str) -> None:
        """Raises OfferRefused: ``address`` has made too many offers."""
        if not self._limits.admit(address):
            raise OfferRefused("too_many_offers")

    async def answer(
        self,
        body: dict[str, Any],
        settings: CallSettings,
        owner: str,
        address: str,
        visitor: Visitor | None = None,
    ) -> dict[str, Any]:
        """The answer to an offer that ``check_offer`` let pass; the call begins when the page has connected.

        Raises:
            OfferRefused: it cannot be used, or there are too many.
            RelayUnavailable: calls need a relay, and there is none.
        """
        webrtc_id: str = body["webrtc_id"]
        configuration = await self._ice_servers.for_server()
        connection = Connection(webrtc_id, settings, owner, address, visitor)
        if webrtc_id in self.stream.pcs or not self._connections.add(connection):
            raise OfferRefused("connection_already_exists")
        try:
            for stranger in self._limits.add(webrtc_id, address):
                await self._close(stranger)
            self.stream.server_rtc_configuration = configuration
            answer = await self._answer(body | {"sdp": with_few_candidates(body["sdp"])}, "unusable_offer")
            self._attach(connection)
            return answer
        except BaseException as error:
            await self._close(webrtc_id)
            self._limits.remove(webrtc_id)
            self._connections.remove(webrtc_id)
            if isinstance(error, PersonaplexError | asyncio.CancelledError):
                raise
            # aiortc may raise anything for malformed input.
            log.info("An offer could not be used: %s", type(error).__name__)
            raise OfferRefused("unusable_offer") from error

    def _attach(self, connection: Connection) -> None:
        """Connect both directions of sound, before the page has the answer and can send packets."""
        webrtc_id = connection.webrtc_id
        handler = fastrtc.handler_of(self.stream, webrtc_id)
        if not isinstance(handler, PageCall):
            raise OfferRefused("pushed_out")
        handler.attach(connection)
        peer = self.stream.pcs[webrtc_id]

        def on_ice_state() -> None:
            if peer.iceConnectionState == "failed":
                handler.lose()

        # FastRTC closes a failed peer as one that has hung up. Its own listener runs a turn later than this.
        peer.on("iceconnectionstatechange", on_ice_state)
        handler.inbound = fastrtc.receive_sound(self.stream, webrtc_id, handler.hear)
        fastrtc.send_track(self.stream, webrtc_id, AnswerTrack(handler.next_sound))

    async def take_candidate(self, body: dict[str, Any], owner: str) -> None:
        """Raises OfferRefused: the connection is not ``owner``'s, or it has sent too many."""
        webrtc_id: str = body["webrtc_id"]
        if self._connections.of(webrtc_id, owner) is None or webrtc_id not in self.stream.pcs:
            raise OfferRefused("unknown_connection")
        if not self._limits.admit_candidate(webrtc_id):
            raise OfferRefused("too_many_candidates")
        if body["candidate"].get("candidate"):  # an empty one says that there are no more
            await self._answer(body, "candidate_refused")

    async def _answer(self, body: dict[str, Any], otherwise: str) -> dict[str, Any]:
        answer = await fastrtc.answer(self.stream, body)
        if code := answer.get("error"):
            raise OfferRefused(code if code in REFUSALS else otherwise)
        return answer

    async def close(self) -> None:
        """Close the connections that are still there, when all calls have ended. Takes a second at most."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CLOSED_WITHIN_SEC):
                await asyncio.gather(*map(self._close, list(self.stream.pcs)), return_exceptions=True)

    async def _close(self, webrtc_id: str) -> None:
        await fastrtc.close_peer(self.stream, webrtc_id)

    def _forget(self, webrtc_id: str) -> None:
        """It has connected or is gone."""
        self._limits.remove(webrtc_id)
        if webrtc_id not in self.stream.pcs:
            self._connections.lose(webrtc_id)
