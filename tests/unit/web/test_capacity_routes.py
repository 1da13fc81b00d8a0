"""GET /capacity and /drain, with a fake model."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from fastapi import FastAPI
from httpx import ASGITransport, AsyncClient
from starlette.requests import HTTPConnection

from personaplex_ui.calls.manager import CallManager
from personaplex_ui.calls.settings import CallSettings
from personaplex_ui.engine.engine import Engine
from personaplex_ui.engine.speech_model import Persona
from personaplex_ui.web.capacity_routes import (
    ENDS_SOONER,
    IS_ENDING,
    NO_API_KEY,
    WRONG_KEY,
    build_capacity_router,
)
from tests.support.fake_model import FakeModel
from tests.support.running import running_call_manager, running_engine, until

SETTINGS = CallSettings(Persona("NATF2", "Be kind."))
KEY = {"Authorization": "Bearer the key"}
DRAIN_SEC = 300.0


def shows_key(connection: HTTPConnection) -> bool:
    return connection.headers.get("authorization") == KEY["Authorization"]


@asynccontextmanager
async def client_of(manager: CallManager, has_api_key: bool = True) -> AsyncGenerator[AsyncClient]:
    app = FastAPI()
    app.include_router(build_capacity_router(manager, DRAIN_SEC, shows_key, has_api_key))
    async with AsyncClient(transport=ASGITransport(app), base_url="http://localhost") as client:
        yield client


@pytest.fixture
async def manager(tmp_path: Path) -> AsyncIterator[CallManager]:
    async with (
        running_engine(FakeModel(), max_calls=1, max_waiting=1) as engine,
        running_call_manager(engine, tmp_path) as manager,
    ):
        yield manager


@pytest.fixture
async def http(manager: CallManager) -> AsyncIterator[AsyncClient]:
    async with client_of(manager) as http:
        yield http


async def statuses(http: AsyncClient) -> dict[str, int]:
    queries = ("", "free=1", "busy=404", "free=1&busy=404")
    return {query: (await http.get(f"/capacity?{query}")).status_code for query in queries}


async def test_the_code_says_whether_to_send_a_caller_here(manager: CallManager, http: AsyncClient) -> None:
    free = await http.get("/capacity")
    assert free.json() == {
        "status": "healthy",
        "message": "",
        "model": "fake",
        "lines": 1,
        "lines_free": 1,
        "waiting": 0,
        "max_waiting": 1,
        "live_calls": 0,
        "accepting": True,
        "draining": False,
        "drain_seconds_left": None,
        "instance_path": "",
    }
    assert set((await statuses(http)).values()) == {200}
    live = manager.open(SETTINGS)
    await live.live.wait()
    assert await statuses(http) == {"": 200, "free=1": 503, "busy=404": 200, "free=1&busy=404": 404}
    waiting = manager.open(SETTINGS)
    await until(lambda: waiting.is_queued)
    assert await statuses(http) == {"": 503, "free=1": 503, "busy=404": 404, "free=1&busy=404": 404}
    full = await http.get("/capacity")
    assert (full.json()["status"], full.headers["Retry-After"]) == ("healthy", "5")
    assert (await http.get("/capacity?busy=200")).status_code == 422


async def test_a_server_that_can_serve_no_call_is_not_busy(tmp_path: Path) -> None:
    engine = Engine(lambda report: FakeModel(), 1)
    async with running_call_manager(engine, tmp_path) as manager, client_of(manager) as http:
        assert set((await statuses(http)).values()) == {503}
        engine.health.fail("The model could not be loaded.")
        failed = await http.get("/capacity?busy=404")
        assert (failed.status_code, failed.headers["Retry-After"]) == (503, "60")
        assert failed.json()["message"] == "The model could not be loaded."


async def test_draining_and_taking_it_back(manager: CallManager, http: AsyncClient) -> None:
    call = manager.open(SETTINGS)
    await call.live.wait()
    drained = (await http.post("/drain", headers=KEY)).json()
    assert (drained["status"], drained["draining"], drained["live_calls"]) == ("draining", True, 1)
    assert DRAIN_SEC - 60 < drained["drain_seconds_left"] <= DRAIN_SEC
    assert await statuses(http) == {"": 503, "free=1": 503, "busy=404": 404, "free=1&busy=404": 404}
    longer = (await http.post("/drain?seconds=5000", headers=KEY)).json()["drain_seconds_left"]
    assert longer > 4000
    assert (await http.post("/drain", headers=KEY)).json()["drain_seconds_left"] > 4000
    back = await http.delete("/drain", headers=KEY)
    assert (back.status_code, back.json()["draining"]) == (200, False)
    assert (await http.delete("/drain", headers=KEY)).status_code == 200
    assert not call.over.is_set()
    await http.post("/drain?seconds=0", headers=KEY)
    await call.over.wait()


@pytest.mark.parametrize("seconds", ["-1", "86401", "soon"])
async def test_a_time_that_cannot_be_used(http: AsyncClient, seconds: str, manager: CallManager) -> None:
    assert (await http.post(f"/drain?seconds={seconds}", headers=KEY)).status_code == 422
    assert not manager.quiet_end.is_on


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer another"}])
async def test_only_the_owner_may(manager: CallManager, http: AsyncClient, headers: dict[str, str]) -> None:
    for method in ("POST", "DELETE"):
        answer = await http.request(method, "/drain", headers=headers)
        assert (answer.status_code, answer.json()["detail"]) == (401, WRONG_KEY)
    async with client_of(manager, has_api_key=False) as keyless:
        answer = await keyless.post("/drain", headers=headers)
        assert (answer.status_code, answer.json()["detail"]) == (503, NO_API_KEY)
    assert not manager.quiet_end.is_on


async def test_an_end_that_is_final_is_not_taken_back(manager: CallManager, http: AsyncClient) -> None:
    manager.quiet_end.begin(60.0, final=True)
    answer = await http.delete("/drain", headers=KEY)
    assert (answer.status_code, answer.json()["detail"]) == (409, IS_ENDING)
    longer = await http.post("/drain?seconds=61", headers=KEY)
    assert (longer.status_code, longer.json()["detail"]) == (409, ENDS_SOONER)
    for query in ("?seconds=20", ""):
        shorter = await http.post(f"/drain{query}", headers=KEY)
        assert (shorter.status_code, shorter.json()["drain_seconds_left"] <= 20.0) == (200, True)
