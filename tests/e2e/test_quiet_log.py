"""The log of the app as a process, after requests that cannot be used: nothing of what they held."""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.support.app_process import AppProcess, running_app

ROLE = "MY-SECRET-ROLE call +15557654321 key-abcdef123456"
SECRETS = ("SECRET", "5557654321", "abcdef123456")
REST = ["NATF2", ROLE, 0.7, 0.8, 25, 250, None, False]

TOO_FEW = [None, "NATF2", ROLE]
NO_FILE = ["MY-SECRET-STRING", *REST]
NO_META = [{"path": "MY-SECRET-PATH"}, *REST]

pytestmark = pytest.mark.timeout(120)


@pytest.fixture(scope="module", params=["json", "text"])
def app(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[AppProcess]:
    folder = tmp_path_factory.mktemp("app")
    with running_app(folder, LOG_FORMAT=request.param, LOG_LEVEL="debug") as app:
        yield app
    # After all that was sent.
    lines = app.log.splitlines()
    assert not any(secret in app.log for secret in SECRETS)
    if request.param == "json":
        assert all(json.loads(line)["message"] for line in lines)
    else:
        assert not any(line.startswith("Traceback") for line in lines)


@pytest.mark.parametrize("data", [TOO_FEW, NO_FILE, NO_META], ids=["too few", "no file", "no meta"])
def test_an_event_that_is_refused(app: AppProcess, data: list[Any]) -> None:
    with httpx.Client(base_url=f"{app.url}/gradio_api", timeout=30) as client:
        begun = client.post("/call/converse", json={"data": data})
        assert begun.status_code == (200 if data is TOO_FEW else 400)
        if event := begun.json().get("event_id"):
            assert client.get(f"/call/converse/{event}").text.startswith("event: error")
        assert client.post("/run/converse", json={"data": data}).status_code == 404


def test_a_request_that_is_none(app: AppProcess) -> None:
    with httpx.Client(base_url=f"{app.url}/gradio_api") as client:
        for path, kind, body in (
            ("/queue/join", "text/MY-SECRET", "MY-SECRET"),
            ("/call/converse", "application/json", '{"data": "MY-SECRET"}'),
        ):
            assert client.post(path, headers={"Content-Type": kind}, content=body).is_client_error
