"""Paths that there are not, in the whole app: 404 whatever is sent there."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from httpx import ASGITransport, AsyncClient

from personaplex_ui.app.bootstrap import build_app
from personaplex_ui.config.settings import Settings
from tests.support.page_session import LIBRARIES_WARN

pytestmark = [LIBRARIES_WARN, pytest.mark.asyncio(loop_scope="module")]
LARGE = b"RIFF" * 50_000


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def http(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[AsyncClient]:
    folder = str(tmp_path_factory.mktemp("recordings"))
    app = build_app(Settings.from_mapping({"ENGINE": "echo", "RECORDINGS_DIR": folder}))
    async with AsyncClient(transport=ASGITransport(app), base_url="http://localhost") as http:
        yield http


@pytest.mark.parametrize("path", ["/v1/audio/transcriptions", "/v1/nothing", "/a/b/c", "/gradio_api/nothing"])
@pytest.mark.parametrize("size", [0, len(LARGE)])
async def test_an_unknown_path_is_404_whatever_the_body(http: AsyncClient, path: str, size: int):
    answer = await http.post(path, files={"file": ("a.wav", LARGE[:size])})
    assert answer.status_code == 404
    assert answer.json()["detail"]


async def test_clients_of_openais_api_are_told_where_to_go(http: AsyncClient):
    for path in ("/v1/audio/transcriptions", "/v1/chat/completions"):
        told = (await http.post(path, content=LARGE)).json()["detail"]
        assert "/api/v1/transcribe" in told
        assert "docs/API.md" in told


@pytest.mark.parametrize("path", ["/gradio_api/run/predict", "/webrtc/offer", "/twilio/inbound", "/capacity"])
async def test_a_known_path_keeps_its_limit(http: AsyncClient, path: str):
    assert (await http.post(path, content=LARGE)).status_code == 413


async def test_the_model_can_be_asked_for_by_its_name(http: AsyncClient):
    (listed,) = (await http.get("/v1/models")).json()["data"]
    assert (await http.get(f"/v1/models/{listed['id']}")).json() == listed
    other = await http.get("/v1/models/gpt-4o/x")
    assert other.status_code == 404
    assert listed["id"] in other.json()["detail"]
