"""The routes of the Moshi websocket, and the response to a plain GET."""

from collections.abc import Callable
from urllib.parse import quote

from fastapi import APIRouter, WebSocket
from fastapi.responses import PlainTextResponse
from starlette.requests import HTTPConnection, Request

from personaplex_ui.calls.manager import CallManager
from personaplex_ui.calls.settings import CallSettings, check_settings
from personaplex_ui.channels.moshi.protocol import asks_for_state, parse_query
from personaplex_ui.channels.moshi.session import serve_chat
from personaplex_ui.voices.library import VoiceLibrary
from personaplex_ui.web.security.proxy_headers import public_url

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
) -> APIRouter:
    """``default_prompt``: the role of clients that give none (an empty one is no role). ``address_of``: the
    client's address for limits, or an empty text if no limits apply."""
    router = APIRouter()

    async def chat(websocket: WebSocket) -> None:
        query = websocket.query_params

        def read_settings() -> CallSettings:
            given = {"voice": voices.default, "text_prompt": default_prompt, **parse_query(query)}
            # No recording: a websocket client has no page to download it from.
            return check_settings(voices, record=False, **given)  # pyright: ignore[reportArgumentType]

        await serve_chat(websocket, call_manager, read_settings, address_of(websocket), asks_for_state(query))

    async def explain(request: Request) -> PlainTextResponse:
        """Answers 426 with three lines about the protocol; ``docs/PROTOCOLS.md`` has the details."""
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


def _websocket_url(request: Request) -> str:
    """At this server's public address if known, else at the address the browser used."""
    base = public_url(request) or f"{request.url.scheme}://{request.url.netloc}"
    return base.replace("http", "ws", 1) + request.url.path
