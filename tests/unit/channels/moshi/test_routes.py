"""The routes of the Moshi websocket: the query and its defaults, and what is said without a websocket."""

import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from fastapi import FastAPI
from httpx import ASGITransport, AsyncClient
from starlette.requests import HTTPConnection

from personaplex_ui.calls.limits import AddressLimits
from personaplex_ui.calls.manager import CallManager
from personaplex_ui.calls.settings import CallSettings
from personaplex_ui.calls.snapshot import Transport
from personaplex_ui.channels.moshi.routes import PATHS, build_moshi_router
from personaplex_ui.engine.speech_model import Persona, Sampling
from personaplex_ui.voices.catalogue import Voice
from personaplex_ui.voices.library import VoiceLibrary
from personaplex_ui.web.security.proxy_headers import ProxyHeaders
from tests.support.clients.moshi import chat
from tests.support.fake_model import FakeModel
from tests.support.loopback_server import serving
from tests.support.running import running_call_manager, running_engine

VOICES = VoiceLibrary([Voice("NATF2", "", "NATF2"), Voice("NATM1", "", "NATM1")], default="NATF2")


def address_of(connection: HTTPConnection) -> str:
    return connection.headers.get("x-test-address", "192.0.2.1")


@pytest.fixture
async def call_manager(tmp_path: Path) -> AsyncIterator[CallManager]:
    limits = AddressLimits(at_once=1, per_minute=0, clock=time.monotonic)
    async with (
        running_engine(FakeModel(), max_calls=4, max_waiting=1) as engine,
        running_call_manager(engine, tmp_path, limits) as call_manager,
    ):
        yield call_manager


@pytest.fixture
def app(call_manager: CallManager) -> FastAPI:
    app = FastAPI()
    app.include_router(build_moshi_router(call_manager, VOICES, "Be kind.", address_of))
    return app


async def settings_of(app: FastAPI, call_manager: CallManager, path: str, **query: str) -> CallSettings:
    """Of the call that such a query begins."""
    async with serving(app) as url, chat(url, query, path) as client:
        await client.until(lambda: client.ready)
        (call,) = call_manager.calls.values()
        return call.settings


@pytest.mark.parametrize("path", PATHS)
async def test_without_a_query_the_defaults_hold(app: FastAPI, call_manager: CallManager, path: str):
    settings = await settings_of(app, call_manager, path)
    assert settings == CallSettings(Persona("NATF2", "Be kind."), Sampling(), record=False)


@pytest.mark.parametrize("path", PATHS)
async def test_the_query_sets_persona_and_sampling(app: FastAPI, call_manager: CallManager, path: str):
    settings = await settings_of(
        app,
        call_manager,
        path,
        voice_prompt="NATM1.pt",
        text_prompt="You are a pirate & a poet: “Ahoi”?",
        seed="42",
        text_temperature="0.5",
        text_topk="10",
        audio_temperature="1.5",
        audio_topk="100",
        pad_mult="0",
    )
    assert settings.persona == Persona("NATM1", "You are a pirate & a poet: “Ahoi”?")
    assert settings.sampling == Sampling(0.5, 1.5, 10, 100, seed=42)


async def test_an_empty_role_is_none(app: FastAPI, call_manager: CallManager):
    assert (await settings_of(app, call_manager, "/api/chat", text_prompt="")).persona.text_prompt == ""


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ({"voice_prompt": "NATF9.pt"}, "no voice “NATF9.pt”"),
        ({"voice_prompt": "../../etc/passwd"}, "no voice"),
        ({"text_prompt": "a" * 2_001}, "2,001 characters"),
        ({"text_prompt": "a\0b"}, "control characters"),
        ({"seed": "dice"}, "seed must be"),
        ({"text_temperature": "nan"}, "text temperature"),
        ({"audio_temperature": "-1"}, "audio temperature"),
        ({"text_topk": "0"}, "text top-k"),
        ({"audio_topk": "1e9"}, "audio top-k"),
    ],
)
async def test_a_query_that_cannot_be_used_is_refused_in_words(
    app: FastAPI, call_manager: CallManager, query: dict[str, str], words: str
):
    async with serving(app) as url, chat(url, query) as client:
        await client.until(lambda: client.closed)
    assert words in client.errors[0]
    assert client.close_code == 4000
    assert call_manager.calls == {}


async def test_an_address_has_as_many_calls_as_it_may(app: FastAPI):
    async with serving(app) as url, chat(url) as first:
        await first.until(lambda: first.ready)
        async with chat(url) as second:
            await second.until(lambda: second.closed)
        assert "as many" in second.errors[0]
        assert second.close_code == 1013
        assert not first.closed


KEY = "k" * 43
COOKIE = {"Cookie": f"personaplex_visitor={KEY}"}
FACTS = {"facts": "1", "record": "1"}


async def owned_call(
    app: FastAPI, call_manager: CallManager, query: dict[str, str], headers: dict[str, str]
) -> tuple[bool, Transport, bool]:
    """Whether such a call is recorded, what it counts as, and whether it is the visitor's after its end."""
    async with serving(app) as url:
        headers = {name: value.replace("OURS", url) for name, value in headers.items()}
        async with chat(url, query, tells_state=False, headers=headers) as client:
            await client.until(lambda: client.ready)
            (call,) = call_manager.calls.values()
        await call_manager.ended(call)
    kept = call_manager.store.calls_of(KEY)
    return call.settings.record, call.transport, [each.call_id for each in kept] == [call.call_id]


async def test_our_own_page_calls_for_its_visitor(app: FastAPI, call_manager: CallManager):
    owned = await owned_call(app, call_manager, FACTS, {"Origin": "OURS", **COOKIE})
    assert owned == (True, Transport.BROWSER_WEBSOCKET, True)


async def test_a_visitor_may_choose_not_to_be_recorded(app: FastAPI, call_manager: CallManager):
    owned = await owned_call(app, call_manager, {"facts": "1"}, {"Origin": "OURS", **COOKIE})
    assert owned == (False, Transport.BROWSER_WEBSOCKET, True)
    assert not call_manager.store.calls_of(KEY)[0].recorded


@pytest.mark.parametrize(
    ("query", "headers"),
    [
        (FACTS, COOKIE),  # a program
        (FACTS, {"Origin": "https://elsewhere.example", **COOKIE}),  # allowed or not
        (FACTS, {"Origin": "null", **COOKIE}),
        ({"record": "1"}, {"Origin": "OURS", **COOKIE}),  # the official client, which we serve
    ],
)
async def test_nobody_else_calls_for_a_visitor(
    app: FastAPI, call_manager: CallManager, query: dict[str, str], headers: dict[str, str]
):
    assert await owned_call(app, call_manager, query, headers) == (False, Transport.MOSHI, False)


async def test_without_its_cookie_the_page_has_a_call_but_no_recording(
    app: FastAPI, call_manager: CallManager
):
    owned = await owned_call(app, call_manager, FACTS, {"Origin": "OURS"})
    assert owned == (False, Transport.BROWSER_WEBSOCKET, False)


@pytest.mark.parametrize("path", PATHS)
async def test_without_a_websocket_the_route_explains_itself(app: FastAPI, path: str):
    async with AsyncClient(transport=ASGITransport(app), base_url="https://example.org") as client:
        response = await client.get(path, params={"voice_prompt": "NATF2.pt"})
    assert response.status_code == 426
    assert response.headers["upgrade"] == "websocket"
    assert response.headers["content-type"].startswith("text/plain")
    assert len(response.text.splitlines()) == 3
    assert f"wss://example.org{path}?voice_prompt=NATF2.pt&text_prompt=" in response.text


@pytest.mark.parametrize(
    ("server_url", "forwarded", "shown"),
    [
        ("https://talk.example.org", {}, "wss://talk.example.org/api/chat?"),
        ("https://talk.example.org/app", {}, "wss://talk.example.org/app/api/chat?"),
        (
            None,
            {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "talk.example.org"},
            "wss://talk.example.org/api/chat?",
        ),
        (None, {}, "ws://inner.example:7860/api/chat?"),
    ],
)
async def test_the_address_it_names_is_the_public_one(
    app: FastAPI, server_url: str | None, forwarded: dict[str, str], shown: str
):
    proxied = ProxyHeaders(app, server_url, ["10.0.0.1"])
    transport = ASGITransport(proxied, client=("10.0.0.1", 1))
    headers = {"X-Forwarded-For": "203.0.113.5", **forwarded}
    async with AsyncClient(transport=transport, base_url="http://inner.example:7860") as client:
        response = await client.get("/api/chat", headers=headers)
    assert f"Connect to {shown}voice_prompt=NATF2.pt&" in response.text


async def test_the_api_description_leaves_them_out(app: FastAPI):
    """It cannot describe a websocket, and a GET of them is never right."""
    assert not set(PATHS) & app.openapi()["paths"].keys()
