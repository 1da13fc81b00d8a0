"""The WebRTC routes by themselves: what they refuse and how, and whose call it is."""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from httpx import ASGITransport, AsyncClient

from personaplex_ui.calls.limits import AddressLimits
from personaplex_ui.calls.manager import CallManager
from personaplex_ui.calls.settings import CallSettings
from personaplex_ui.channels.browser.ice_servers import IceServers, NoIceServers
from personaplex_ui.channels.browser.routes import build_webrtc_router, settings_reader
from personaplex_ui.engine.engine import Engine
from personaplex_ui.errors import InvalidInput
from personaplex_ui.web.security.session_cookie import COOKIE, session_key
from tests.support.clients.offers import SOUND_OFFER, body
from tests.support.clock import Clock
from tests.support.fake_model import FakeModel
from tests.support.page_peers import PagePeers, browser_client, open_peers, real_offer, take_answer
from tests.support.running import running_call_manager, until


class Voices:
    default = "NATF2"

    def check(self, value: object) -> str:
        if value not in ("NATF2", "VARM3"):
            raise InvalidInput("voice", f"There is no voice “{value}”.")
        return str(value)


READ = settings_reader(Voices(), "You are kind.")


class Routes:
    """The routes over ``peers``, and a browser that asks."""

    def __init__(self, peers: PagePeers, ice_servers: IceServers) -> None:
        app = FastAPI()
        read: Callable[[object], CallSettings] = READ
        app.include_router(
            build_webrtc_router(peers.peers, peers.connections, ice_servers, read, lambda _: "203.0.113.5")
        )
        self.peers = peers
        self.app = app
        self.http = self.browser()

    def browser(self) -> AsyncClient:
        return AsyncClient(transport=ASGITransport(self.app), base_url="http://localhost")

    async def offer(self, message: object = None, **settings: object) -> tuple[int, dict[str, Any]]:
        """Status and body of the answer to an offer with ``settings``, or to ``message``."""
        message = message or {**body(SOUND_OFFER), "settings": settings}
        answer = await self.http.post("/webrtc/offer", json=message)
        return answer.status_code, answer.json()


@asynccontextmanager
async def open_routes(manager: CallManager, ice_servers: IceServers | None = None) -> AsyncGenerator[Routes]:
    async with open_peers(manager) as peers:
        routes = Routes(peers, ice_servers or IceServers())
        try:
            yield routes
        finally:
            await asyncio.gather(*(peer.close() for peer in list(peers.stream.pcs.values())))


@pytest.fixture
async def routes(engine: Engine, tmp_path: Path) -> AsyncIterator[Routes]:
    async with running_call_manager(engine, tmp_path) as manager, open_routes(manager) as routes:
        yield routes


async def test_an_offer_is_answered_and_the_browser_is_its_owner(routes: Routes):
    answer = await routes.http.post("/webrtc/offer", json=body(SOUND_OFFER) | {"webrtc_id": "one"})
    assert (answer.status_code, answer.json()["type"]) == (200, "answer")
    assert session_key({COOKIE: answer.cookies[COOKIE]})
    facts = await routes.http.get("/webrtc/calls/one")
    assert (facts.status_code, facts.json()["phase"]) == (200, "waiting")
    for stranger in (routes.browser(), AsyncClient(**_as(routes, "s" * 43)), AsyncClient(**_as(routes, "x"))):
        refused = await stranger.get("/webrtc/calls/one")
        unknown = await stranger.get("/webrtc/calls/nobody")
        assert (refused.status_code, refused.text) == (404, unknown.text)
    again = await routes.http.post("/webrtc/offer", json=body(SOUND_OFFER))
    assert "set-cookie" not in again.headers, "it keeps the one it has"


def _as(routes: Routes, key: str) -> dict[str, Any]:
    return {
        "transport": ASGITransport(routes.app),
        "base_url": "http://localhost",
        "headers": {"Cookie": f"{COOKIE}={key}"},
    }


async def test_when_http_says_that_a_call_has_ended_it_is_in_the_store(routes: Routes):
    async with browser_client() as client:
        message = body(await real_offer(client)) | {"webrtc_id": "one", "settings": {"record": True}}
        _, answer = await routes.offer(message)
        await take_answer(client, answer)
        facts: dict[str, Any] = {}

        async def phase() -> str:
            facts.update((await routes.http.get("/webrtc/calls/one")).json())
            return facts["phase"]

        while await phase() != "live":
            await asyncio.sleep(0.01)
    while await phase() != "ended":
        await asyncio.sleep(0.01)
    owner = session_key(dict(routes.http.cookies))
    store = routes.peers.connections.call_manager.store
    assert [kept.call_id for kept in store.calls_of(owner)] == [facts["call_id"]]
    assert facts["reason"] == "You hung up."


@pytest.mark.parametrize(
    ("settings", "field"),
    [
        ({"voice": "nobody"}, "voice"),
        ({"text_prompt": "x" * 2_001}, "text_prompt"),
        ({"text_prompt": 7}, "text_prompt"),
        ({"text_temperature": 0}, "text_temperature"),
        ({"audio_top_k": "many"}, "audio_top_k"),
        ({"seed": -7}, "seed"),
    ],
)
async def test_a_setting_that_cannot_be_used_is_refused_with_its_field(
    routes: Routes, settings: dict[str, object], field: str
):
    status, refused = await routes.offer(**settings)
    assert (status, refused["error"], refused["field"]) == (422, "invalid_input", field)
    assert refused["detail"].endswith(".")
    assert routes.peers.kept() == []


async def test_a_role_too_long_for_the_model_is_refused_with_the_offer(routes: Routes, model: FakeModel):
    model.most_words = 3
    status, refused = await routes.offer(text_prompt="one two three four")
    assert (status, refused["field"]) == (422, "text_prompt")
    assert (await routes.offer(text_prompt="one two"))[0] == 200


@pytest.mark.parametrize("settings", [None, {}, {"voice": None, "seed": None, "greedy": None}, {"what": 1}])
def test_what_is_missing_or_null_has_its_default(settings: object):
    read = READ(settings)
    assert (read.persona.voice, read.persona.text_prompt, read.record) == ("NATF2", "You are kind.", True)
    assert READ({"text_prompt": "", "record": False}).persona.text_prompt == ""
    with pytest.raises(InvalidInput, match="JSON object"):
        READ([settings])


@pytest.mark.parametrize(
    ("content", "kind", "status"),
    [
        (json.dumps(body(SOUND_OFFER)), "text/plain", 415),
        (json.dumps(body(SOUND_OFFER)), "application/x-www-form-urlencoded", 415),
        ("{", "application/json", 400),
        ("[" * 5_000, "application/json", 400),
        (json.dumps(body("x" * 70_000)), "application/json", 413),
        (json.dumps(body("x" * 30_000)), "application/json", 422),
        ("[1]", "application/json", 422),
        ("null", "application/json; charset=utf-8", 422),
    ],
)
async def test_a_body_that_cannot_be_read_is_refused_in_words(
    routes: Routes, content: str, kind: str, status: int
):
    answer = await routes.http.post("/webrtc/offer", content=content, headers={"Content-Type": kind})
    assert answer.status_code == status
    assert answer.json()["detail"].endswith(".")


async def test_no_call_is_begun_that_could_not_go_on(engine: Engine, tmp_path: Path, model: FakeModel):
    turned_away: list[object] = []
    limits = AddressLimits(1, 0, Clock())
    async with running_call_manager(engine, tmp_path, limits) as manager, open_routes(manager) as routes:
        manager.on_refusal.append(turned_away.append)
        limits.admit("203.0.113.5")
        assert (await routes.offer())[1]["error"] == "too_many_calls"
        limits.release("203.0.113.5")
        model.clips_only = "This machine is too slow for calls."
        status, refused = await routes.offer()
        assert (status, refused["detail"]) == (503, model.clips_only)
        model.clips_only = ""
        await manager.close("Back in a minute.")
        status, refused = await routes.offer()
        assert (status, refused["detail"]) == (503, "Back in a minute.")
        assert len(turned_away) == 3
        assert routes.peers.kept() == []


async def test_where_calls_need_a_relay_and_there_is_none(engine: Engine, tmp_path: Path):
    async with running_call_manager(engine, tmp_path) as manager, open_peers(manager) as peers:
        vars(peers.peers)["_ice_servers"] = NoIceServers()
        routes = Routes(peers, NoIceServers())
        config = await routes.http.get("/webrtc/config")
        status, refused = await routes.offer()
        assert (config.status_code, status, refused["error"]) == (503, 503, "no_relay")
        assert config.json()["detail"] == refused["detail"]
        assert peers.kept() == []


async def test_the_ice_servers_are_a_browsers_configuration(routes: Routes, engine: Engine, tmp_path: Path):
    assert (await routes.http.get("/webrtc/config")).json() == {"iceServers": []}
    servers = [{"urls": ["turn:relay.example"], "username": "u", "credential": "c"}]
    relayed = Routes(routes.peers, IceServers(servers))
    assert (await relayed.http.get("/webrtc/config")).json() == {"iceServers": servers}


async def test_offers_of_one_address_are_limited(routes: Routes):
    answers = [await routes.http.post("/webrtc/offer", json={"type": "offer"}) for _ in range(10)]
    assert {answer.status_code for answer in answers} == {422, 429}
    assert answers[-1].headers["Retry-After"] == "5"
    candidate = {"webrtc_id": "one", "type": "ice-candidate", "candidate": {"candidate": ""}}
    assert (await routes.offer(candidate))[1]["error"] == "unknown_connection"
    await until(lambda: routes.peers.kept() == [])
