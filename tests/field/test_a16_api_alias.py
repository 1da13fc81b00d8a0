"""``/api``, the address that an older guide gives, leads to the same as ``/api/chat``."""

import asyncio
from collections.abc import Iterator

import httpx
import pytest

from tests.support.app_process import ECHO, AppProcess, running_app
from tests.support.clients.moshi import chat
from tests.support.sounds import tone

pytestmark = pytest.mark.timeout(120)


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AppProcess]:
    with running_app(tmp_path_factory.mktemp("app"), MAX_CALLS="1", **ECHO) as app:
        yield app


@pytest.mark.parametrize("path", ["/api", "/api/chat", "/ws/chat"])
async def test_a_whole_call(app: AppProcess, path: str):
    query = {"voice_prompt": "NATM1.pt", "text_prompt": "You are kind.", "text_seed": "42"}
    async with chat(app.url, query, path, tells_state=False) as client:
        await client.until(lambda: client.ready)
        client.say(tone(0.8, 300.0))
        await client.until(lambda: "dBFS." in client.text)
        assert client.kinds[0] == 0x00
        assert client.errors == []
    await asyncio.to_thread(app.wait_for_slots, 1)


def test_without_a_websocket_it_explains_itself(app: AppProcess):
    told = httpx.get(f"{app.url}/api")
    assert (told.status_code, told.headers["upgrade"]) == (426, "websocket")
    assert "/api?voice_prompt=" in told.text
    assert told.text == httpx.get(f"{app.url}/api/chat").text.replace("/api/chat?", "/api?")


def test_gradios_own_addresses_are_not_touched(app: AppProcess):
    assert httpx.get(f"{app.url}/gradio_api/info").status_code == 200
    assert httpx.get(f"{app.url}/api/nothing").status_code == 404
