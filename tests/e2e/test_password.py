"""A server with a password, as browsers, programs and strangers find it over the network."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import soundfile
from gradio_client import Client, handle_file
from gradio_client.exceptions import AuthenticationError
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from tests.support.app_process import AppProcess, running_app

PASSWORD = "open-sesame-4711"
API_KEY = "a-key-for-machines-4711"
BEARER = {"Authorization": f"Bearer {API_KEY}"}
UPLOAD_MB_PER_HOUR = 2

pytestmark = pytest.mark.timeout(120)


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AppProcess]:
    variables = {
        "APP_PASSWORD": PASSWORD,
        "API_KEY": API_KEY,
        "UPLOAD_MB_PER_HOUR": str(UPLOAD_MB_PER_HOUR),
        "LOG_LEVEL": "debug",
    }
    with running_app(tmp_path_factory.mktemp("app"), **variables) as app:
        yield app
    # After all that was tried: what the log may not tell, at its most talkative.
    log = app.log
    assert PASSWORD not in log
    assert API_KEY not in log
    assert "personaplex_pass=" not in log
    assert "secret-role" not in log


def close_of(app: AppProcess, path: str, **headers: str) -> tuple[int, str]:
    """Code and reason with which a websocket is closed after it was accepted."""
    url = app.url.replace("http", "ws") + path
    with (
        connect(
            url, additional_headers={name.replace("_", "-"): value for name, value in headers.items()}
        ) as socket,
        pytest.raises(ConnectionClosed) as closed,
    ):
        socket.recv(timeout=20)
    assert closed.value.rcvd is not None
    return closed.value.rcvd.code, closed.value.rcvd.reason


def refusal_of(app: AppProcess, path: str, **headers: str) -> tuple[int, str]:
    """Status and words of a handshake that fails."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    with pytest.raises(InvalidStatus) as refused:
        connect(app.url.replace("http", "ws") + path, additional_headers=named)
    return refused.value.response.status_code, refused.value.response.body.decode()


def test_strangers_see_that_it_lives_and_no_more(app: AppProcess):
    assert httpx.get(f"{app.url}/health").json() == {"status": "healthy"}
    for path in ("/voices", "/docs", "/config", "/metrics", "/gradio_api/info", "/gradio_api/heartbeat/x"):
        answer = httpx.get(app.url + path)
        assert answer.status_code == 401
        assert "password" in answer.json()["detail"]
    assert httpx.post(f"{app.url}/gradio_api/upload", files={"files": b"x"}).status_code == 401
    with pytest.raises(AuthenticationError):
        Client(app.url, verbose=False)


@pytest.mark.parametrize(
    "options", [{"auth": ("anybody", PASSWORD)}, {"headers": BEARER}], ids=["password", "key"]
)
def test_programs_have_a_clip_answered(app: AppProcess, clip: Path, tmp_path: Path, options: dict[str, Any]):
    client = Client(app.url, verbose=False, download_files=str(tmp_path), **options)
    answer: Any = client.predict(audio=handle_file(clip), api_name="/converse")
    assert soundfile.info(answer[0]).duration == pytest.approx(1.0, abs=0.1)
    client.close()


def test_websockets_say_why_they_close(app: AppProcess):
    code, reason = close_of(app, "/api/chat?text_prompt=secret-role", Origin=app.url)
    assert (code, "password" in reason) == (4001, True)
    assert close_of(app, "/gradio_api/stream/x?password=wrong", Origin=app.url)[0] == 4001
    status, sentence = refusal_of(app, "/api/chat?text_prompt=secret-role")
    assert (status, "password" in sentence) == (401, True)
    assert refusal_of(app, "/gradio_api/stream/x?password=wrong")[0] == 401
    assert close_of(app, f"/api/chat?password={PASSWORD}", Origin="https://evil.example")[0] == 4003
    url = app.url.replace("http", "ws")
    with connect(f"{url}/api/chat?text_prompt=secret-role&password={PASSWORD}", origin=app.url):  # type: ignore[arg-type]
        pass
    with connect(f"{url}/api/chat", additional_headers={"X-App-Password": PASSWORD}):
        pass


def test_uploads_of_one_address_end(app: AppProcess):
    url = f"{app.url}/gradio_api/upload"
    sender = {"X-Forwarded-For": "203.0.113.78", **BEARER}
    megabyte = {"files": ("x.wav", bytes(1_000_000))}
    assert httpx.post(url, files=megabyte, headers=sender).status_code == 200
    refused = httpx.post(url, files=megabyte, headers=sender)
    assert (refused.status_code, "within an hour" in refused.text) == (429, True)
    large = httpx.post(f"{app.url}/gradio_api/queue/join", content=bytes(2**21), headers=sender)
    assert large.status_code == 413

    def in_chunks() -> Iterator[bytes]:
        for _ in range(40):
            yield bytes(100_000)
            time.sleep(0.001)

    json = {**sender, "Content-Type": "application/json"}
    refused = httpx.post(f"{app.url}/gradio_api/queue/join", content=in_chunks(), headers=json)
    assert refused.status_code in (413, 429)
