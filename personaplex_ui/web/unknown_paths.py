"""What is sent to an unknown path gets 404, however large it is, with advice for OpenAI's clients."""

from collections.abc import Iterable
from typing import Any

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.routing import BaseRoute, Match, Mount
from starlette.types import ASGIApp, Receive, Scope, Send

from personaplex_ui.web.gradio.routes import NOT_FOUND
from personaplex_ui.web.security.uploads import send_lingering

TRANSCRIBE = (
    "This server has no such path of OpenAI's API. Send recordings to /api/v1/transcribe; see docs/API.md."
)
CONVERSE = (
    "This server has no such path of OpenAI's API: it talks at /v1/realtime, answers recordings at "
    "/api/v1/conversation and writes them down at /api/v1/transcribe. See docs/API.md."
)
ADVICE = {
    "/v1/audio/transcriptions": TRANSCRIBE,
    "/v1/audio/translations": TRANSCRIBE,
    "/v1/chat/completions": CONVERSE,
    "/v1/responses": CONVERSE,
    "/v1/audio/speech": CONVERSE,
}


class UnknownPaths:
    """ASGI middleware outside the one that limits uploads, which would refuse a large body first."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            advice = ADVICE.get(scope["path"].rstrip("/"))
            if advice or (_has_body(scope) and not _is_known(scope, scope["app"].routes)):
                refusal = JSONResponse({"detail": advice or NOT_FOUND}, 404)
                await send_lingering(refusal, receive, send)
                return
        await self._app(scope, receive, send)


def _has_body(scope: Scope) -> bool:
    headers = Headers(scope=scope)
    return "transfer-encoding" in headers or headers.get("content-length", "0") != "0"


def _is_known(scope: Scope, routes: Iterable[BaseRoute]) -> bool:
    """Whether a route has this path, by any method."""
    for route in routes:
        match, inner = route.matches(scope)
        if match is Match.NONE:
            continue
        below: Any = getattr(route, "app", None)
        if not isinstance(route, Mount) or not hasattr(below, "routes"):
            return True
        if _is_known({**scope, **inner}, below.routes):
            return True
    return False
