"""The routes of the Moshi websocket, whose calls they are, and the response to a plain GET."""

from collections.abc import Callable
from dataclasses import replace
from urllib.parse import quote

from fastapi import APIRouter, WebSocket
from fastapi.responses import PlainTextResponse
from starlette.requests import HTTPConnection, Request

from personaplex_ui.calls.manager import CallManager
from personaplex_ui.calls.settings import CallSettings, check_settings
from personaplex_ui.calls.snapshot import Transport
from personaplex_ui.channels.moshi.page_channel import WaitEstimator
from personaplex_ui.channels.moshi.query import Extensions, parse_extensions, parse_query
from personaplex_ui.channels.moshi.session import Caller, serve_chat
from personaplex_ui.voices.library import VoiceLibrary
from personaplex_ui.web.security.origin_check import OriginCheck
from personaplex_ui.web.security.proxy_headers import public_url
from personaplex_ui.web.security.session_cookie import session_key
from personaplex_ui.web.security.visitors import VisitorOf

PATHS = ("/api/chat", "/ws/chat", "/api")
"""The path of Kyutai's and NVIDIA's servers, and two of older servers."""

EXPLANATION = """\
For Moshi and PersonaPlex clients: a websocket with binary messages, the first byte the kind.
00 handshake (send sound from then on), 01 Ogg/Opus, 02 text, 05 error, 07 speak this; 04 state with &state=1.
Connect to {url}?voice_prompt={voice}.pt&text_prompt=You%20are%20a%20wise%20teacher.
"""


def build_moshi_router(
    call_manager: CallManager,
    voices: VoiceLibrary,
    default_prompt: str,
    address_of: Callable[[HTTPConnection], str],
    server_url: str | None = None,
    wait_sec: WaitEstimator = lambda _: None,
    visitor_of: VisitorOf = lambda _: None,
) -> APIRouter:
    """``default_prompt``: the role of clients that give none (an empty one is no role). ``address_of``: the
    client's address for limits, or an empty text if no limits apply. ``server_url``: our page's address, if
    known. ``wait_sec``: what the page is told of its wait. ``visitor_of``: whose minutes are used."""
    router = APIRouter()
    our_page = OriginCheck(server_url, ())

    async def chat(websocket: WebSocket) -> None:
        query = websocket.query_params
        extensions = parse_extensions(query)
        caller = _caller(websocket, extensions, our_page, address_of(websocket))
        caller = replace(caller, visitor=visitor_of(websocket))

        def read_settings() -> CallSettings:
            given = {"voice": voices.default, "text_prompt": default_prompt, **parse_query(query)}
            # Other clients than the page could not fetch their recording.
            record = extensions.record and bool(caller.owner)
            return check_settings(voices, record=record, **given)  # pyright: ignore[reportArgumentType]

        await serve_chat(websocket, call_manager, read_settings, caller, extensions, wait_sec)

    async def explain(request: Request) -> PlainTextResponse:
        """Answers 426 with a few lines about the protocol; ``docs/PROTOCOLS.md`` has the details."""
        text = EXPLANATION.format(url=_websocket_url(request), voice=quote(voices.default, safe=""))
        headers = {"Upgrade": "websocket", "Connection": "Upgrade"}
        return PlainTextResponse(text, status_code=426, headers=headers)

    for path in PATHS:
        router.add_api_websocket_route(path, chat)
        router.add_api_route(
            path,
            explain,
            methods=["GET"],
            status_code=426,
            response_class=PlainTextResponse,
            include_in_schema=False,  # OpenAPI does not describe websockets
            name=f"explain {path}",
        )
    return router


def _caller(websocket: HTTPConnection, extensions: Extensions, our_page: OriginCheck, address: str) -> Caller:
    """Only our own page, which asks for facts, calls for its visitor.

    A page of an allowed other origin may call, too, but not in the name of the cookie that comes along.
    """
    if not (extensions.tells_facts and "origin" in websocket.headers and our_page.include(websocket)):
        return Caller(address)
    return Caller(address, session_key(websocket.cookies), Transport.BROWSER_WEBSOCKET)


def _websocket_url(request: Request) -> str:
    """At this server's public address if known, else at the address the browser used."""
    base = public_url(request) or f"{request.url.scheme}://{request.url.netloc}"
    return base.replace("http", "ws", 1) + request.url.path
