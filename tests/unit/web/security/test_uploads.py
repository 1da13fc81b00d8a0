"""How much may be sent to us: by the hour, and at once."""

import asyncio
import math
from collections.abc import AsyncIterator
from typing import Any

import pytest
from fastapi import FastAPI, Request
from httpx import ASGITransport, AsyncClient, Response
from starlette.formparsers import MultiPartException
from starlette.types import Message, Scope

from personaplex_ui.web.security import uploads as upload_limit
from personaplex_ui.web.security.proxy_headers import ProxyHeaders
from personaplex_ui.web.security.uploads import (
    MAX_OTHER_BYTES,
    MB,
    WINDOW_SEC,
    UploadLimit,
)
from tests.support.clock import Clock

UPLOAD = "/gradio_api/upload"
OTHER = "/gradio_api/queue/join"
CALLER = "203.0.113.5"
START_SEC = 6000.0  # a whole number of minutes: it counts by them


class Server:
    """Reads bodies and says how long they were, behind a limit of 2 MB an hour."""

    def __init__(self, mb_per_hour: int = 2) -> None:
        self.clock = Clock(START_SEC)
        self.read: list[int] = []
        app = FastAPI()

        @app.post("/{path:path}")
        async def take(request: Request) -> int:  # pyright: ignore[reportUnusedFunction]
            self.read.append(0)
            async for chunk in request.stream():
                self.read[-1] += len(chunk)
            return self.read[-1]

        self.app = ProxyHeaders(UploadLimit(app, mb_per_hour, self.clock), None, ["127.0.0.1"])

    async def post(self, path: str, body: bytes | AsyncIterator[bytes], address: str = CALLER) -> Response:
        transport = ASGITransport(self.app, client=(address, 1))
        async with AsyncClient(transport=transport, base_url="http://localhost") as client:
            return await client.post(path, content=body)


@pytest.fixture
def server() -> Server:
    return Server()


async def in_chunks(size: int, chunk: int = 50_000) -> AsyncIterator[bytes]:
    for at in range(0, size, chunk):
        yield bytes(min(chunk, size - at))


async def test_uploads_of_an_address_add_up(server: Server):
    for _ in range(2):
        assert (await server.post(UPLOAD, bytes(900_000))).json() == 900_000
    refused = await server.post(UPLOAD, bytes(900_000))
    assert refused.status_code == 429
    assert refused.text == (
        "Your network may upload at most 2 MB within an hour. "
        "Please try again in 60 minutes, or with a smaller file."
    )
    assert refused.headers["retry-after"] == "3600"
    assert server.read == [900_000, 900_000]
    assert (await server.post(UPLOAD, bytes(900_000), "203.0.113.6")).status_code == 200
    assert (await server.post(UPLOAD, bytes(100_000))).status_code == 200
    server.clock.now += WINDOW_SEC
    assert (await server.post(UPLOAD, bytes(900_000))).status_code == 200


async def test_what_does_not_say_how_long_it_is_is_cut(server: Server):
    assert (await server.post(UPLOAD, in_chunks(1_500_000))).json() == 1_500_000
    refused = await server.post(UPLOAD, in_chunks(1_500_000))
    assert refused.status_code == 429
    assert server.read[1] <= 500_000


async def test_a_body_that_lies_about_its_length_is_counted_as_it_comes(server: Server):
    async def lie() -> list[Message]:
        scope: Scope = {
            "type": "http",
            "method": "POST",
            "path": UPLOAD,
            "query_string": b"",
            "scheme": "http",
            "headers": [(b"content-length", b"10")],
            "client": (CALLER, 1),
        }
        sent: list[Message] = []

        async def receive() -> Message:
            return {"type": "http.request", "body": bytes(MB), "more_body": len(server.read) < 9 and not sent}

        async def send(message: Message) -> None:
            sent.append(message)

        await server.app(scope, receive, send)
        return sent

    assert (await lie())[0]["status"] == 429


@pytest.mark.parametrize(("address", "mb_per_hour"), [("127.0.0.1", 2), ("::1", 2), (CALLER, 0)])
async def test_those_without_an_address_have_no_limit_and_zero_is_none(address: str, mb_per_hour: int):
    server = Server(mb_per_hour)
    for _ in range(4):
        assert (await server.post(UPLOAD, bytes(900_000), address)).status_code == 200


async def test_small_requests_do_not_count(server: Server):
    for _ in range(40):
        assert (await server.post(OTHER, bytes(60_000))).status_code == 200
    assert (await server.post(UPLOAD, bytes(1_900_000))).status_code == 200


async def test_large_requests_count_as_uploads_do(server: Server):
    for _ in range(7):
        assert (await server.post(OTHER, bytes(130_000))).status_code == 200
        assert (await server.post(OTHER, in_chunks(130_000))).status_code == 200
    assert (await server.post(OTHER, bytes(130_000))).status_code == 200
    assert (await server.post(OTHER, bytes(131_000))).status_code == 429
    assert (await server.post(OTHER, in_chunks(131_000))).status_code == 429
    assert (await server.post(OTHER, bytes(60_000))).status_code == 200
    assert (await server.post(UPLOAD, bytes(200_000))).status_code == 429


async def test_a_client_that_goes_on_sending_nothing_is_left(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(upload_limit, "LINGER_SEC", 0.01)
    server = Server()

    async def stall() -> AsyncIterator[bytes]:
        yield bytes(MAX_OTHER_BYTES + 1)
        await asyncio.sleep(30)

    assert (await server.post(OTHER, stall())).status_code == 413


async def test_other_faults_are_not_hidden():
    async def app(*_: object) -> None:
        raise ZeroDivisionError

    async def never(*_: object) -> Any:
        raise AssertionError

    request: Scope = {"type": "http", "path": UPLOAD, "headers": [], "query_string": b""}
    for scope in (request, {"type": "websocket"}):
        with pytest.raises(ZeroDivisionError):
            await UploadLimit(app, 1)(scope, never, never)


async def test_an_upload_that_ends_early_is_told_as_gradios_parser_wants_it():
    """It removes what it has written so far for that exception alone."""
    seen: list[type[BaseException]] = []

    async def app(scope: Scope, receive: Any, send: Any) -> None:
        try:
            while (await receive()).get("more_body"):
                pass
        except Exception as error:
            seen.append(type(error))
            raise

    parts: list[Message] = [
        {"type": "http.request", "body": b"x", "more_body": True},
        {"type": "http.disconnect"},
    ]

    async def receive() -> Message:
        return parts.pop(0)

    async def send(message: Message) -> None:
        pass

    scope: Scope = {"type": "http", "path": UPLOAD, "headers": [], "query_string": b""}
    with pytest.raises(MultiPartException):
        await UploadLimit(app, 1)(scope, receive, send)
    assert seen == [MultiPartException]


async def test_the_name_of_an_upload_cannot_be_long(server: Server):
    answer = await server.post(f"{UPLOAD}?upload_id={'x' * 300}", b"a")
    assert answer.status_code == 413
    assert server.read == []


async def test_tiny_uploads_count_with_a_least_size(server: Server):
    most = math.ceil(2 * MB / (64 * 1024))
    answers = [await server.post(UPLOAD, b"tiny") for _ in range(most + 1)]
    assert [answer.status_code for answer in answers] == [200] * most + [429]


async def test_a_body_that_stops_coming_has_ended(server: Server, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(upload_limit, "NEXT_PART_WITHIN_SEC", 0.05)

    async def body() -> AsyncIterator[bytes]:
        yield b"half"
        await asyncio.sleep(30)

    async with asyncio.timeout(10):
        assert (await server.post(OTHER, body())).status_code == 408
    assert server.read == [4]
