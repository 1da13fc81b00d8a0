"""A small app that needs a password, what clients show to it, and every route of an app."""

import base64
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any
from urllib.parse import quote_plus

from fastapi import FastAPI, Request, WebSocket
from httpx import ASGITransport, AsyncClient, Response
from starlette.routing import BaseRoute, Mount, Route, WebSocketRoute
from starlette.types import ASGIApp, Message, Scope

from personaplex_ui.web.security.auth import AuthMiddleware, is_machine, is_stranger
from personaplex_ui.web.security.credentials import COOKIE, Credentials
from personaplex_ui.web.security.origin_check import OriginCheck
from personaplex_ui.web.security.proxy_headers import ProxyHeaders
from tests.support.clock import Clock

PASSWORD = "Sésame öffne dich & more"
API_KEY = "a-key-for-machines"
CALLER = "203.0.113.5"
IN_QUERY = f"password={quote_plus(PASSWORD)}"


def all_routes(routes: Sequence[BaseRoute], before: str = "") -> Iterator[tuple[str, str]]:
    """Method and path of every route, in mounted apps too; parameters are given a value."""
    for route in routes:
        match route:
            case Mount(path=path):
                yield from all_routes(route.routes, before + path)
                yield "GET", f"{before}{path}/x"
            case Route(path=path, methods=methods):
                for method in methods or ():
                    yield method, before + re.sub(r"{[^}]*}", "x", path)
            case WebSocketRoute(path=path):
                yield "WEBSOCKET", before + re.sub(r"{[^}]*}", "x", path)
            case _:
                # FastAPI keeps a router that was included as one entry; nothing else is expected here.
                included: Any = route
                prefix = before + included.include_context.prefix
                yield from all_routes(included.original_router.routes, prefix)


async def open_websocket(
    app: ASGIApp,
    path: str,
    headers: dict[str, str] | None = None,
    query: str = "",
    address: str = CALLER,
) -> list[Message]:
    """All that the app sends to a client that connects, says nothing and leaves."""
    scope: Scope = {
        "type": "websocket",
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": query.encode(),
        "scheme": "ws",
        "headers": [
            (name.lower().encode(), value.encode())
            for name, value in {"Host": "localhost", **(headers or {})}.items()
        ],
        "client": (address, 1),
        "server": ("localhost", 80),
        "subprotocols": [],
        "state": {},
        "extensions": {"websocket.http.response": {}},
    }
    sent: list[Message] = []
    received: list[Message] = [{"type": "websocket.connect"}]

    async def receive() -> Message:
        return received.pop() if received else {"type": "websocket.disconnect", "code": 1001}

    async def send(message: Message) -> None:
        sent.append(message)

    await app(scope, receive, send)
    return sent


class ProtectedApp:
    """A small app behind the middleware. ``seen``: the scopes that came through."""

    def __init__(
        self,
        password: str | None = PASSWORD,
        api_key: str | None = API_KEY,
        server_url: str | None = None,
        allowed_origins: Iterable[str] = (),
    ) -> None:
        self.clock = Clock()
        self.seen: list[Scope] = []
        credentials = Credentials(password, api_key, self.clock)
        origins = OriginCheck(server_url, allowed_origins)
        auth = AuthMiddleware(self._small_app(), credentials, origins)
        self.app = ProxyHeaders(auth, server_url, ["127.0.0.1"])

    def client(
        self, address: str = CALLER, base_url: str = "http://localhost", **options: Any
    ) -> AsyncClient:
        transport = ASGITransport(self.app, client=(address, 1))
        return AsyncClient(transport=transport, base_url=base_url, **options)

    def _small_app(self) -> FastAPI:
        app = FastAPI()

        @app.get("/health")
        async def health(request: Request) -> dict[str, Any]:  # pyright: ignore[reportUnusedFunction]
            return {"status": "healthy"} if is_stranger(request) else {"device": "a GPU"}

        @app.get("/machine")
        async def machine(request: Request) -> bool:  # pyright: ignore[reportUnusedFunction]
            return is_machine(request)

        @app.websocket("/{path:path}")
        async def talk(websocket: WebSocket, path: str) -> None:  # pyright: ignore[reportUnusedFunction]
            self.seen.append(websocket.scope)
            await websocket.accept()
            await websocket.close(1000, "Welcome.")

        @app.api_route("/{path:path}", methods=["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"])
        async def anything(request: Request, path: str) -> str:  # pyright: ignore[reportUnusedFunction]
            self.seen.append(request.scope)
            return f"in: {request.url.query}"

        return app


async def ask(protected: ProtectedApp, path: str = "/page", method: str = "GET", **options: Any) -> Response:
    async with protected.client() as client:
        return await client.request(method, path, **options)


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


def basic(user: str, password: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


async def log_in(protected: ProtectedApp, password: str = PASSWORD, **headers: str) -> Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return await ask(protected, "/login", "POST", data={"username": "x", "password": password}, headers=named)


async def cookie(protected: ProtectedApp) -> dict[str, str]:
    value = (await log_in(protected)).cookies[COOKIE]
    return {"Cookie": f"other=1; {COOKIE}={value}"}


async def close_of(
    protected: ProtectedApp, path: str = "/api/chat", query: str = "", **headers: str
) -> tuple[int, str]:
    """Code and reason, after an accept."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    accepted, closed = await open_websocket(protected.app, path, named, query)
    assert accepted["type"] == "websocket.accept"
    assert len(closed["reason"].encode()) <= 123
    return closed["code"], closed["reason"]


async def refusal_of(
    protected: ProtectedApp, path: str = "/api/chat", query: str = "", **headers: str
) -> tuple[int, str, dict[str, str]]:
    """Status, sentence and headers of a handshake that fails; none with an ``Origin``, as programs do it."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    start, body = await open_websocket(protected.app, path, named, query)
    assert start["type"] == "websocket.http.response.start"
    assert not body.get("more_body")
    told = {name.decode(): value.decode() for name, value in start["headers"]}
    return start["status"], json.loads(body["body"])["detail"], told
