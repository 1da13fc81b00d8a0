"""The allowlist of Gradio's routes: those that its page and clients use. All others do not exist.

Gradio mounts much more than this app needs: an editor, screen recordings, links to saved states, statistics,
a proxy, streams. It also reads query parameters that this app does not use; they are removed.
"""

import re
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlencode

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from personaplex_ui.web.methods import method_not_allowed

NOT_FOUND = "There is nothing at this address. The page is at /, and the API is described at /docs."


@dataclass(frozen=True, slots=True)
class GradioRoute:
    """``path`` must match as a whole. ``query``: the names of the parameters passed to Gradio."""

    method: str
    path: str
    query: tuple[str, ...] = ()


API_PREFIX = "/gradio_api"
OF_SESSION, OF_EVENT = f"{API_PREFIX}/queue/data", f"{API_PREFIX}/call/"
UPLOAD, FILE = f"{API_PREFIX}/upload", f"{API_PREFIX}/file="

NAME = "[^/]+"
GRADIO_ROUTES = (
    # The page and its files. The page reads the rest of its URL itself.
    GradioRoute("GET", "/"),
    GradioRoute("GET", r"/(assets|static)/.+|/theme\.css|/favicon\.ico|/robots\.txt|/manifest\.json"),
    GradioRoute("GET", "/config/?"),
    GradioRoute("GET", "/gradio_api/info/?", ("all_endpoints", "serialize")),
    GradioRoute("GET", "/gradio_api/app_id/?"),
    GradioRoute("POST", "/login/?"),
    GradioRoute("GET", "/logout"),
    # Actions of the page and of clients.
    GradioRoute("GET", f"/gradio_api/heartbeat/{NAME}"),
    GradioRoute("POST", "/gradio_api/queue/join"),
    GradioRoute("GET", "/gradio_api/queue/data", ("session_hash",)),
    GradioRoute("POST", f"/gradio_api/call/{NAME}/?"),
    GradioRoute("GET", f"/gradio_api/call/{NAME}/{NAME}"),
    GradioRoute("POST", "/gradio_api/cancel"),
    GradioRoute("POST", "/gradio_api/reset/?"),
    # An upload's id is not passed on, because Gradio would keep its progress until somebody asks for it.
    GradioRoute("POST", "/gradio_api/upload"),
    GradioRoute("GET", "/gradio_api/file=.+"),
)

STREAMS = f"/gradio_api/(queue/data|heartbeat/{NAME}|call/{NAME}/{NAME})|/logout"
"""Paths whose HEAD must not run their GET, because that does not end by itself or changes something."""


class GradioRoutes:
    """An ASGI middleware around Gradio's app."""

    def __init__(self, app: ASGIApp, routes: tuple[GradioRoute, ...] = GRADIO_ROUTES) -> None:
        self._app = app
        self._routes = routes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        path = scope["path"]
        routes = [route for route in self._routes if re.fullmatch(route.path, path)]
        if scope["type"] == "websocket":  # Gradio's only websocket is for streams
            await send({"type": "websocket.close", "code": 1008, "reason": ""})
        elif not routes:
            await JSONResponse({"detail": NOT_FOUND}, 404)(scope, receive, send)
        elif any(route.method == scope["method"] for route in routes):
            names = {name for route in routes for name in route.query}
            await self._app({**scope, "query_string": _only(names, scope["query_string"])}, receive, send)
        else:
            allowed = {route.method for route in routes}
            has_head = re.fullmatch(STREAMS, path) is None
            await method_not_allowed(allowed, has_head)(scope, receive, send)


def _only(names: set[str], query: bytes) -> bytes:
    """The first value of each of ``names`` in ``query``."""
    values = parse_qsl(query.decode("latin-1"), keep_blank_values=True)
    return urlencode({name: value for name, value in reversed(values) if name in names}).encode()
