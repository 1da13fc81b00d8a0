"""A file's address that is not an upload of ours is refused before Gradio looks at it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import soundfile

from tests.support.answering_machine import AnsweringMachine, answering_machine
from tests.support.page_session import LIBRARIES_WARN, OpenApp, PageSession

pytestmark = [LIBRARIES_WARN, pytest.mark.asyncio(loop_scope="module")]

META = {"_type": "gradio.FileData"}


@pytest.fixture(scope="module")
def other() -> Iterator[AnsweringMachine]:
    """Somebody else's server."""
    with answering_machine() as server:
        yield server


def files_of_others(host: str, upload: str) -> list[Any]:
    addresses = [
        f"http://{host}/x.wav",
        f"HTTP://{host}/x.wav",
        f" http://{host}/x.wav",
        f"https://{host}/x.wav",
        f"//{host}/x.wav",
        f"\\\\{host}\\x.wav",
        f"ftp://{host}/x.wav",
        "file:///etc/passwd",
        "data:audio/wav;base64,UklGRg==",
        "/etc/passwd",
        "../../etc/passwd",
        f"{upload}/../../../etc/passwd",
        f"http:{host}",
        "/",
        "\0",
    ]
    files: list[Any] = [{"path": address, "meta": META} for address in addresses]
    files += [{"path": address, "url": address, "meta": META, "is_file": True} for address in addresses]
    files += [{"url": address, "meta": META} for address in addresses]
    files += [{"path": upload, "url": address, "meta": META} for address in addresses if address[0] != "\0"]
    files += [{"path": {"path": addresses[0], "meta": META}, "meta": META}]
    files += [{"path": upload, "meta": META, "extra": [{"path": addresses[0], "meta": META}]}]
    files += [[{"path": addresses[0], "meta": META}], addresses[0], 7, [], {"meta": META}]
    return files


def index_of(app: OpenApp, name: str) -> int:
    return next(number for number, function in app.functions.items() if function.name == name)


async def test_they_are_refused_everywhere(app: OpenApp, other: AnsweringMachine, clip: Path):
    page = PageSession(app)
    upload = (await page.upload(clip))["path"]
    converse, own_voice = index_of(app, "converse"), index_of(app, "use")
    for file in files_of_others(other.host, upload):
        answers = [
            await app.http.post("/gradio_api/call/converse", json={"data": [file]}),
            await app.http.post(
                "/gradio_api/queue/join",
                json={"data": [file], "fn_index": converse, "session_hash": "abc"},
            ),
            await app.http.post(
                "/gradio_api/queue/join",
                json={"data": [file, True], "fn_index": own_voice, "session_hash": "abc"},
            ),
            await app.http.post("/gradio_api/run/converse", json={"data": [file]}),
            await app.http.post("/gradio_api/api/converse", json={"data": [file]}),
        ]
        assert [400 <= answer.status_code < 500 for answer in answers] == [True] * 5, file
        assert "uploaded first" in answers[0].json()["detail"]
        told = answers[1].json()["detail"]
        # As Gradio's page and client understand it.
        assert (told[0]["is_valid"], "uploaded first" in told[0]["message"]) == (False, True)
        assert told[0]["parameter_name"] == "audio"
    hidden = {"data": ["", {"a": [{"path": f"{other.url}/", "meta": META}]}]}
    answer = await app.http.post("/gradio_api/call/converse", json=hidden)
    assert answer.status_code == 400
    assert other.paths() == []


async def test_what_the_clients_send_back_is_taken(app: OpenApp, clip: Path):
    page = PageSession(app)
    upload = (await page.upload(clip))["path"]
    quoted = upload.replace(" ", "%20")
    for url in (
        None,
        "",
        f"http://localhost/gradio_api/file={upload}",
        f"https://talk.example.org/voice/gradio_api/file={quoted}",
        f"/gradio_api/file={upload}",
    ):
        file = {"path": upload, "url": url, "orig_name": "a clip.wav", "size": 1, "is_stream": False}
        answer, _ = await page.trigger("converse", file | {"mime_type": "audio/wav", "meta": META})
        assert soundfile.info(answer["path"]).frames
        # An answer is a question to the next one.
        again, _ = await page.trigger("converse", answer)
        assert soundfile.info(again["path"]).frames


async def test_addresses_are_not_passed_on(app: OpenApp, other: AnsweringMachine):
    for address in (f"{other.url}/x", f"http%3A%2F%2F{other.host}%2Fx", f"//{other.host}/x"):
        answer = await app.http.get(f"/gradio_api/file={address}")
        assert (answer.status_code, "location" in answer.headers) == (404, False)
        assert (await app.http.get(f"/gradio_api/proxy={address}")).status_code == 404
        assert (await app.http.get(f"/gradio_api/file/{address}")).status_code == 404
    assert other.paths() == []
