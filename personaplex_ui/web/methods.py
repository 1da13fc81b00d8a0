"""The methods of each path: HEAD wherever GET is allowed, and 405 with ``Allow`` for all others."""

import re

from starlette.responses import JSONResponse
from starlette.routing import Match, Mount
from starlette.types import ASGIApp, Message, Receive, Scope, Send

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")


def method_not_allowed(allowed: set[str], has_head: bool = True) -> JSONResponse:
    """``has_head``: HEAD comes with GET (see ``HeadRequests``)."""
    named = sorted(allowed | {"HEAD"} if "GET" in allowed and has_head else allowed)
    detail = f"Please send this as {' or '.join(named)}."
    return JSONResponse({"detail": detail}, 405, {"Allow": ", ".join(named)})


class AllowedMethods:
    """The innermost ASGI middleware of an app with a page mounted at "/". Without it, methods that our own
    routes lack would reach the page, which would answer 404."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        allowed = _allowed(scope) if scope["type"] == "http" else set[str]()
        answer = method_not_allowed(allowed) if allowed and scope["method"] not in allowed else self._app
        await answer(scope, receive, send)


def _allowed(scope: Scope) -> set[str]:
    """The methods of our own routes at this path; empty if there is no such route."""
    routes = [route for route in scope["app"].routes if not isinstance(route, Mount)]
    if not any(route.matches(dict(scope))[0] is not Match.NONE for route in routes):
        return set()
    asked = [(method, {**scope, "method": method}) for method in METHODS]
    return {method for method, one in asked if any(route.matches(one)[0] is Match.FULL for route in routes)}


class HeadRequests:
    """An ASGI middleware that answers HEAD like GET, without the body. ``streams``: paths whose GET does not
    end by itself; their HEAD is passed on unchanged."""

    def __init__(self, app: ASGIApp, streams: str = "") -> None:
        self._app = app
        self._streams = re.compile(streams)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "HEAD" or self._streams.fullmatch(scope["path"]):
            await self._app(scope, receive, send)
            return

        async def without_body(message: Message) -> None:
            if message["type"] == "http.response.body":
                message = {**message, "body": b""}
            await send(message)

        await self._app({**scope, "method": "GET"}, receive, without_body)
