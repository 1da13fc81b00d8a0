"""Which methods an address answers: HEAD wherever GET is answered, and 405 with ``Allow`` for all others.

Without the latter they would reach the page, which is mounted at "/" and says that there is nothing.
"""

import re
from typing import Any

from fastapi import APIRouter
from fastapi.routing import APIRoute
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send


def answer_all_methods(router: APIRouter) -> None:
    """Add to each address of ``router`` what is missing. Call it once, after all its routes."""
    methods: dict[str, set[str]] = {}
    for route in router.routes:
        if isinstance(route, APIRoute):
            methods.setdefault(route.path, set()).update(route.methods or ())
    gets = {r.path: r.app for r in router.routes if isinstance(r, APIRoute) and "GET" in (r.methods or ())}
    for path, allowed in methods.items():
        others: Any = OtherMethods(allowed, gets.get(path))
        router.add_route(path, others, include_in_schema=False)  # not a function, so it gets all methods


class MethodNotAllowed:
    """An ASGI app that answers 405. ``allowed``: the methods of the address; HEAD comes with GET, unless
    ``streams`` (see ``HeadRequests``)."""

    def __init__(self, allowed: set[str], streams: bool = False) -> None:
        allowed = allowed | {"HEAD"} if "GET" in allowed and not streams else allowed
        self._allowed = ", ".join(sorted(allowed))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        sentence = f"Please send this as {self._allowed}."
        await JSONResponse({"detail": sentence}, 405, {"Allow": self._allowed})(scope, receive, send)


class OtherMethods(MethodNotAllowed):
    """As its base, but HEAD is answered as ``get`` is."""

    def __init__(self, allowed: set[str], get: ASGIApp | None) -> None:
        super().__init__(allowed)
        self._head = HeadRequests(get) if get else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._head is not None and scope["method"] == "HEAD":
            await self._head(scope, receive, send)
        else:
            await super().__call__(scope, receive, send)


class HeadRequests:
    """An ASGI middleware that answers HEAD as GET, without the body. ``streams``: paths whose GET does not
    end by itself; their HEAD is passed on as it is."""

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
