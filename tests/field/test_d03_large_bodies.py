"""Bodies that are no upload: bounded in size, in values and in time, whatever they hold."""

from collections.abc import AsyncIterator

import pytest
from fastapi import FastAPI, Request
from httpx import ASGITransport, AsyncClient, Response

from personaplex_ui.web.security import uploads as upload_limit
from personaplex_ui.web.security.uploads import MAX_OTHER_BYTES, MOST_VALUES, UPLOADS, UploadLimit
from tests.support.clock import Clock

ROLE = ",😀" * 1_000
LEGITIMATE = {"data": [ROLE, *range(20)], "fn_index": 1, "session_hash": "abc"}


class Reader:
    """An app that reads all of a body, behind the limit. ``arrived``: bytes that reached it."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.arrived = 0
        app = FastAPI()

        @app.post("/{path:path}")
        async def read(request: Request) -> int:  # pyright: ignore[reportUnusedFunction]
            async for part in request.stream():
                self.arrived += len(part)
            return self.arrived

        self._app = UploadLimit(app, 0, self.clock)

    async def post(self, path: str, content: bytes | AsyncIterator[bytes]) -> Response:
        async with AsyncClient(transport=ASGITransport(self._app), base_url="http://x") as http:
            return await http.post(path, content=content)

    async def trickle(self, parts: int, size: int, every_sec: float) -> AsyncIterator[bytes]:
        for _ in range(parts):
            self.clock.now += every_sec
            yield bytes(size)


PATHS = ["/gradio_api/queue/join", "/webrtc/offer", "/login", "/twilio/outbound", "/none"]


@pytest.mark.parametrize("path", PATHS)
async def test_a_large_body_never_arrives(path: str):
    reader = Reader()
    for _ in range(60):
        assert (await reader.post(path, bytes(1_000_000))).status_code == 413
    assert reader.arrived == 0


@pytest.mark.parametrize("chunk", [1_000, 65_536, 2_000_000])
async def test_a_large_body_whose_size_is_not_told_is_broken_off(chunk: int):
    reader = Reader()
    answer = await reader.post(PATHS[0], reader.trickle(2_000_000 // chunk, chunk, 0.0))
    assert answer.status_code == 413
    assert reader.arrived <= MAX_OTHER_BYTES


@pytest.mark.parametrize(
    "body",
    [b'{"data":[' + b"[]," * 40_000 + b"[]]}", b"[" * 60_000, b'{"a":' * 10_000, b"1," * 60_000],
    ids=["lists", "deep lists", "deep objects", "numbers"],
)
async def test_many_values_in_a_small_body_are_refused_before_anybody_parses_them(body: bytes):
    reader = Reader()
    assert len(body) < MAX_OTHER_BYTES
    answer = await reader.post(PATHS[0], body)
    assert (answer.status_code, reader.arrived) == (413, 0)


async def test_what_the_page_and_clients_send_passes():
    reader = Reader()
    async with AsyncClient(transport=ASGITransport(reader._app), base_url="http://x") as http:  # pyright: ignore[reportPrivateUsage]
        assert (await http.post(PATHS[0], json=LEGITIMATE)).status_code == 200
    assert (await reader.post(PATHS[0], b"[" + b"1," * (MOST_VALUES - 10) + b"1]")).status_code == 200


async def test_a_byte_a_second_is_too_slow_for_a_body():
    reader = Reader()
    answer = await reader.post(PATHS[0], reader.trickle(200, 1, 1.0))
    assert answer.status_code == 408
    assert reader.arrived <= upload_limit.OTHER_WITHIN_SEC + 1


async def test_an_upload_over_a_slow_link_arrives_and_one_of_a_byte_a_second_does_not(
    monkeypatch: pytest.MonkeyPatch,
):
    reader = Reader()
    assert (await reader.post(UPLOADS[0], reader.trickle(2_000, 32_768, 4.0))).status_code == 200
    assert reader.arrived == 2_000 * 32_768
    reader = Reader()
    assert (await reader.post(UPLOADS[0], reader.trickle(2_000, 1, 1.0))).status_code == 408
