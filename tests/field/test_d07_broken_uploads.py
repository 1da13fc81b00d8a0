"""Uploads that break off, or cannot be read: they leave no file behind, and say so in words."""

import asyncio
import os
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from fastapi import FastAPI
from starlette.types import Message, Scope

from tests.support.page_session import LIBRARIES_WARN, OpenApp, open_app

pytestmark = [LIBRARIES_WARN, pytest.mark.asyncio(loop_scope="module")]

VARIABLES = {"MAX_UPLOAD_MB": "1"}

HEAD = b'--x\r\nContent-Disposition: form-data; name="files"; filename="a.wav"\r\n\r\n'
FORM = "multipart/form-data; boundary=x"


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The system's folder for temporary files."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


BODIES = {
    "cut in the sound": HEAD + b"0123",
    "cut in a header": HEAD + b"0123\r\n--x\r\nContent-Dispo",
    "cut in the second": HEAD + b"0123\r\n" + HEAD + b"4",
    "a header that is none": HEAD + b"0123\r\n--x\r\n\x00\x01: \x02\r\n\r\n",
    "no boundary after a part": HEAD + b"0123\r\n--xy",
    "a part without a name": HEAD + b"0123\r\n--x\r\nContent-Type: a/b\r\n\r\n5\r\n--x--\r\n",
    "junk after the boundary": HEAD + b"0123\r\n--x?!",
    "a name that is a folder": HEAD.replace(b"a.wav", b"..") + b"0123\r\n--x--\r\n",
    "another field": HEAD.replace(b'"files"', b'"other"') + b"0123\r\n--x--\r\n",
    "a text as files": HEAD
    + b'0123\r\n--x\r\nContent-Disposition: form-data; name="files"\r\n\r\n6\r\n--x--\r\n',
    "too large": HEAD + b"0" * 1_000_001 + b"\r\n--x--\r\n",
    "a header too large": HEAD + b"0123\r\n--x\r\nContent-Disposition: " + b"a" * 20_000 + b"\r\n\r\n",
    "nothing": b"",
    "no form": b"RIFF",
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES.keys())
async def test_nothing_is_left(app: OpenApp, temporary: Path, body: bytes):
    answer = await app.http.post("/gradio_api/upload", content=body, headers={"Content-Type": FORM})
    assert answer.status_code < 500
    assert "Traceback" not in answer.text
    assert os.listdir(temporary) == []


@pytest.mark.parametrize(
    "kind",
    [
        "multipart/form-data",
        "multipart/form-data; boundary=",
        "multipart/form-data; boundary=" + "y" * 300,
        "multipart/form-data; boundary=x; charset=rot13",
        "multipart/mixed; boundary=x",
        "audio/wav",
        "",
    ],
)
async def test_nor_by_a_form_of_another_kind(app: OpenApp, temporary: Path, kind: str):
    body = HEAD + b"0123\r\n--x--\r\n"
    answer = await app.http.post("/gradio_api/upload", content=body, headers={"Content-Type": kind})
    assert answer.status_code < 500
    assert os.listdir(temporary) == []


@pytest.mark.parametrize("parts", [[HEAD + b"0123"], [HEAD, b"0123", b"4567"]])
async def test_nor_by_a_client_that_leaves(app: OpenApp, temporary: Path, parts: list[bytes]):
    messages: list[Message] = [{"type": "http.request", "body": part, "more_body": True} for part in parts]
    messages.append({"type": "http.disconnect"})
    await send_upload(vars(app)["_app"], messages)
    assert os.listdir(temporary) == []


async def test_nor_by_one_that_is_cancelled(app: OpenApp, temporary: Path):
    task = asyncio.create_task(
        send_upload(vars(app)["_app"], [{"type": "http.request", "body": HEAD + b"01", "more_body": True}])
    )
    async with asyncio.timeout(10):
        while not os.listdir(temporary):
            await asyncio.sleep(0.01)
    task.cancel()
    await asyncio.wait([task])
    assert os.listdir(temporary) == []


async def test_nor_by_one_that_is_over_the_limit(tmp_path: Path, temporary: Path):
    async def body() -> AsyncIterator[bytes]:
        yield HEAD
        for _ in range(60):
            yield bytes(50_000)

    variables = {"ENGINE": "echo", "UPLOAD_MB_PER_HOUR": "1", "TRUSTED_PROXIES": "127.0.0.1"}
    async with open_app(tmp_path, **variables) as app:
        headers = {"Content-Type": FORM, "X-Forwarded-For": "203.0.113.5"}
        answer = await app.http.post("/gradio_api/upload", content=body(), headers=headers)
    assert (answer.status_code, os.listdir(temporary)) == (429, [])


async def test_a_whole_upload_is_kept(app: OpenApp, temporary: Path):
    body = HEAD + b"0123\r\n" + HEAD.replace(b"a.wav", b"b.wav") + b"45\r\n--x--\r\n"
    headers = {"Content-Type": FORM}
    answer = await app.http.post("/gradio_api/upload?upload_id=u", content=body, headers=headers)
    for path, sound in zip(answer.json(), (b"0123", b"45"), strict=True):
        assert await asyncio.to_thread(Path(path).read_bytes) == sound
    assert os.listdir(temporary) == []


async def send_upload(app: FastAPI, messages: list[Message]) -> None:
    """After the last message the client is silent."""
    scope: Scope = {
        "type": "http",
        "method": "POST",
        "path": "/gradio_api/upload",
        "raw_path": b"/gradio_api/upload",
        "root_path": "",
        "query_string": b"",
        "scheme": "http",
        "http_version": "1.1",
        "headers": [(b"host", b"localhost"), (b"content-type", FORM.encode())],
        "client": ("127.0.0.1", 1),
        "server": ("localhost", 80),
        "state": {},
    }

    async def receive() -> Message:
        if messages:
            return messages.pop(0)
        await asyncio.Event().wait()
        raise AssertionError

    async def send(message: Message) -> None:
        del message

    await app(scope, receive, send)
