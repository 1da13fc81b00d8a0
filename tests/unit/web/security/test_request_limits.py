"""Requests in progress: how many, of whom, and with what a head."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator

import pytest
from httpx import ASGITransport, AsyncClient, Response
from starlette.types import Receive, Scope, Send

from personaplex_ui.web.security import request_limits
from personaplex_ui.web.security.proxy_headers import ProxyHeaders
from personaplex_ui.web.security.request_limits import (
    MAX_HEADERS,
    OF_ONE_ADDRESS,
    UPLOADS_OF_ONE_ADDRESS,
    RequestLimits,
)
from personaplex_ui.web.security.uploads import UPLOADS
from tests.support.protected_app import open_websocket
from tests.support.running import until

ADDRESS, OTHER = "203.0.113.5", "203.0.113.6"
UNKNOWN = "127.0.0.1"


class Slow:
    """An app whose answers wait until ``going``."""

    def __init__(self, most: int = 1_000) -> None:
        self.going = asyncio.Event()
        self.begun = 0
        self.app = ProxyHeaders(RequestLimits(self._answer, most), None, [])

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await send({"type": "websocket.accept"})
            return
        if scope["path"] != "/health":
            self.begun += 1
            await self.going.wait()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def get(self, path: str = "/", address: str = ADDRESS, headers: int = 0) -> Response:
        async with AsyncClient(
            transport=ASGITransport(self.app, client=(address, 1)), base_url="http://x"
        ) as http:
            return await http.get(path, headers={f"x-{number}": "a" for number in range(headers)})

    @contextlib.asynccontextmanager
    async def holding(
        self, requests: int, path: str = "/", address: str = ADDRESS
    ) -> AsyncGenerator[list[asyncio.Task[Response]]]:
        tasks = [asyncio.create_task(self.get(path, address)) for _ in range(requests)]
        begun = self.begun
        await until(lambda: self.begun == begun + requests)
        yield tasks
        self.going.set()
        assert {(await task).status_code for task in tasks} == {200}


async def test_one_address_may_have_so_many_requests_in_progress_and_others_are_not_touched():
    slow = Slow()
    async with slow.holding(OF_ONE_ADDRESS):
        refused = await slow.get()
        assert (refused.status_code, refused.headers["retry-after"]) == (429, "5")
        assert "network" in refused.text
        assert (await slow.get("/health")).status_code == 200
        async with slow.holding(1, address=OTHER):
            pass
    assert (await slow.get()).status_code == 200


async def test_who_has_no_address_of_their_own_is_not_limited_as_one():
    slow = Slow()
    async with slow.holding(OF_ONE_ADDRESS + 10, address=UNKNOWN):
        pass


async def test_health_is_answered_however_many_requests_there_are():
    slow = Slow(most=20)
    async with slow.holding(20, address=UNKNOWN):
        assert (await slow.get(address=OTHER)).status_code == 503
        assert (await slow.get("/health", OTHER)).status_code == 200
        (answer, _) = await open_websocket(slow.app, "/api/chat")
        assert (answer["type"], answer["status"]) == ("websocket.http.response.start", 503)
    assert (await open_websocket(slow.app, "/api/chat"))[0]["type"] == "websocket.accept"


@pytest.mark.parametrize("address", [ADDRESS, UNKNOWN])
async def test_uploads_at_once_are_limited_apart(address: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(request_limits, "UPLOADS_AT_ONCE", UPLOADS_OF_ONE_ADDRESS)
    slow = Slow()
    async with slow.holding(UPLOADS_OF_ONE_ADDRESS, UPLOADS[0], address):
        assert (await slow.get(UPLOADS[0], address)).status_code in (429, 503)
        async with slow.holding(1, address=address):
            pass
    assert (await slow.get(UPLOADS[0], address)).status_code == 200


async def test_a_head_holds_so_many_headers():
    slow = Slow()
    slow.going.set()
    assert (await slow.get(headers=MAX_HEADERS - 10)).status_code == 200
    assert (await slow.get(headers=MAX_HEADERS + 1)).status_code == 431
