"""The routes of a call from a page: its ICE servers, its offer and candidates, and the facts of its call."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Protocol, cast

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import JSONResponse
from pydantic_core import from_json
from starlette.requests import HTTPConnection

from personaplex_ui.calls.allowance import Visitor
from personaplex_ui.calls.settings import CallSettings, VoiceNames, check_settings
from personaplex_ui.calls.snapshot import Phase
from personaplex_ui.channels.browser.api_responses import ANSWERED, CONFIG, FACTS, NO_CALL, OFFER_BODY
from personaplex_ui.channels.browser.connections import Connections
from personaplex_ui.channels.browser.ice_servers import IceServers, RelayUnavailable
from personaplex_ui.channels.browser.offers import OfferRefused, check_offer
from personaplex_ui.channels.browser.peers import Peers
from personaplex_ui.errors import InvalidInput, PersonaplexError
from personaplex_ui.web.api_responses import NEEDS_VISITOR
from personaplex_ui.web.error_answers import refusal
from personaplex_ui.web.instance_path import called_below, instance_path
from personaplex_ui.web.security.session_cookie import new_session, session_key
from personaplex_ui.web.security.visitors import VisitorOf
from personaplex_ui.web.small_body import read_small_body

NO_JSON = "Please send a JSON object, with Content-Type: application/json."
NO_SETTINGS = "The settings must be a JSON object."

SETTINGS = (
    "voice",
    "text_prompt",
    "text_temperature",
    "audio_temperature",
    "text_top_k",
    "audio_top_k",
    "seed",
    "greedy",
    "record",
)
"""The arguments of ``check_settings`` that a page may give. Others are ignored."""


class OfferedVoices(VoiceNames, Protocol):
    @property
    def default(self) -> str:
        """The voice of those who choose none."""
        ...


def build_webrtc_router(
    peers: Peers,
    connections: Connections,
    ice_servers: IceServers,
    read_settings: Callable[[object], CallSettings],
    address_of: Callable[[HTTPConnection], str],
    visitor_of: VisitorOf = lambda _: None,
) -> APIRouter:
    """``read_settings``: see ``settings_reader``. ``address_of``: the client's address for limits, or an
    empty text if no limits apply. ``visitor_of``: whose minutes are used."""
    router = APIRouter()
    offers = _Offers(peers, connections, read_settings, address_of, visitor_of)
    router.add_api_route(
        "/webrtc/offer",
        offers.take,
        methods=["POST"],
        summary="Begin a call over WebRTC",
        response_class=JSONResponse,
        responses=ANSWERED,
        openapi_extra=OFFER_BODY,
    )

    @router.get("/webrtc/config", summary="The ICE servers for a call", responses=CONFIG)
    async def config(request: Request) -> dict[str, Any]:
        try:
            return {"iceServers": [], **await ice_servers.for_page(), **_below(request)}
        except RelayUnavailable as error:
            raise HTTPException(503, str(error)) from error

    @router.get(
        "/webrtc/calls/{webrtc_id}",
        summary="The facts of a call of yours",
        responses=FACTS,
        openapi_extra=NEEDS_VISITOR,
    )
    async def facts(webrtc_id: str, request: Request) -> dict[str, Any]:
        """As over the data channel, with all lines. Once it says that the call has ended, what is kept of it
        can be fetched under its call_id."""
        owner = session_key(request.cookies)
        connection = connections.of(webrtc_id, owner) if owner else None
        if connection is None:
            raise HTTPException(404, NO_CALL)
        if connection.call is not None and connection.call.phase is Phase.ENDED:
            await connections.call_manager.ended(connection.call)
        return connections.facts(connection)

    return router


class _Offers:
    """The route of offers and candidates."""

    def __init__(
        self,
        peers: Peers,
        connections: Connections,
        read_settings: Callable[[object], CallSettings],
        address_of: Callable[[HTTPConnection], str],
        visitor_of: VisitorOf,
    ) -> None:
        self._peers = peers
        self._connections = connections
        self._read_settings = read_settings
        self._address_of = address_of
        self._visitor_of = visitor_of

    async def take(self, request: Request) -> JSONResponse:
        """Takes an offer with the call's settings, and later candidates; docs/PROTOCOLS.md has an example.
        The browser's cookie makes it the owner of the call; without one, it is given one."""
        body = await _read_json(request)
        owner, cookie = session_key(request.cookies), ""
        if not owner:
            owner, cookie = new_session(request)
        visitor = self._visitor_of(request)
        if visitor is not None:
            visitor = replace(visitor, owner=owner)
        try:
            answer = await self._answer(body, owner, self._address_of(request), visitor)
        except PersonaplexError as error:
            return _refusal(error)
        return JSONResponse(answer, headers={"set-cookie": cookie} if cookie else None)

    async def _answer(
        self, body: object, owner: str, address: str, visitor: Visitor | None
    ) -> dict[str, Any]:
        message = cast(dict[str, Any], body) if isinstance(body, dict) else {}
        is_offer = message.get("type") == "offer"
        if is_offer:
            self._peers.admit(address)
        if problem := check_offer(cast(object, body)):
            raise OfferRefused(problem)
        if not is_offer:
            await self._peers.take_candidate(message, owner)
            return {}
        settings = self._read_settings(message.get("settings"))
        with self._connections.call_manager.working():
            await self._connections.check(settings, address, visitor)
            return await self._peers.answer(message, settings, owner, address, visitor)


def _below(request: Request) -> dict[str, str]:
    """Where this process is reached among several, relative to the page; nothing where there are no others,
    or where the page is below that path already."""
    path = instance_path(request)
    return {"instance_path": path} if path and not called_below(request.scope) else {}


def settings_reader(voices: OfferedVoices, default_prompt: str) -> Callable[[object], CallSettings]:
    """Reads the settings of a call from what came as JSON; what is missing or null has its default.

    Raises (when called):
        InvalidInput: the first value that cannot be used.
    """

    def read(value: object) -> CallSettings:
        if not isinstance(value, dict | None):
            raise InvalidInput("settings", NO_SETTINGS)
        given = cast(Mapping[str, object], value or {})
        chosen = {name: given[name] for name in SETTINGS if given.get(name) is not None}
        defaults: dict[str, object] = {"voice": voices.default, "text_prompt": default_prompt}
        return check_settings(voices, **(defaults | chosen))  # pyright: ignore[reportArgumentType]

    return read


async def _read_json(request: Request) -> object:
    """Raises HTTPException: it is not JSON, or not said to be. Nothing else may come: a page of another site
    could send it without asking."""
    text = await read_small_body(request)
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise HTTPException(415, NO_JSON)
    try:
        return from_json(text)
    except ValueError as error:
        raise HTTPException(400, NO_JSON) from error


def _refusal(error: PersonaplexError) -> JSONResponse:
    if isinstance(error, OfferRefused):
        return refusal(error, error.status, error.problem)
    return refusal(error)
