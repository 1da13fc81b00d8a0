"""The server's end: calls and endpoints close, in words, before uvicorn closes the connections."""

import asyncio
import errno
import gc
import socket
from types import SimpleNamespace
from typing import cast

import pytest
import uvicorn
from fastapi import FastAPI

from personaplex_ui.app import server
from personaplex_ui.app.connection_limits import ConnectionLimits
from personaplex_ui.app.sockets import listen
from personaplex_ui.calls.snapshot import Transport
from personaplex_ui.engine.engine import Engine, EngineState
from personaplex_ui.errors import SettingsError
from tests.support.clock import Clock

CONNECTIONS = "connections close"


class Part:
    """Something to close: tells ``told`` when that begins and when it is done."""

    def __init__(self, name: str, told: list[str], lasts_sec: float = 0.0) -> None:
        self.calls: dict[str, SimpleNamespace] = {}
        self._name = name
        self._told = told
        self._lasts_sec = lasts_sec

    async def close(self) -> None:
        self._told.append(f"{self._name} begins")
        await asyncio.sleep(self._lasts_sec)
        self._told.append(f"{self._name} is closed")


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What happens, in its order; uvicorn's own end among it."""
    told: list[str] = []

    async def shutdown(self: uvicorn.Server, sockets: list[object] | None = None) -> None:
        told.append(CONNECTIONS)

    monkeypatch.setattr(uvicorn.Server, "shutdown", shutdown)
    monkeypatch.setattr(server, "GOODBYES_ARRIVE_SEC", 0.0)
    return told


def server_of(call_manager: Part, endpoints: Part) -> server.Server:
    app = FastAPI()
    app.state.call_manager, app.state.endpoints = call_manager, endpoints
    return server.Server(uvicorn.Config(app, log_config=None), ConnectionLimits(9, Clock()))


async def test_calls_and_the_lent_number_end_before_the_connections(told: list[str]) -> None:
    await server_of(Part("calls", told, 0.02), Part("endpoints", told, 0.05)).shutdown()
    assert told == ["calls begins", "endpoints begins", "calls is closed", "endpoints is closed", CONNECTIONS]


@pytest.mark.parametrize("hanging", ["calls", "endpoints"])
async def test_what_does_not_close_in_time_holds_up_nothing(
    told: list[str], hanging: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "CLOSED_WITHIN_SEC", 0.1)
    calls, endpoints = (Part(name, told, 30.0 if name == hanging else 0.0) for name in ("calls", "endpoints"))
    await server_of(calls, endpoints).shutdown()
    other = "endpoints" if hanging == "calls" else "calls"
    assert told == ["calls begins", "endpoints begins", f"{other} is closed", CONNECTIONS]


async def test_twilio_has_time_to_ask_why_its_calls_ended(
    told: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "TWILIO_ASKS_WITHIN_SEC", 0.05)
    calls = Part("calls", told)
    calls.calls["a call"] = SimpleNamespace(transport=Transport.TWILIO)
    asyncio.get_running_loop().call_later(0.01, told.append, "Twilio asks")
    await server_of(calls, Part("endpoints", told)).shutdown()
    assert told[-2:] == ["Twilio asks", CONNECTIONS]


async def test_an_app_that_is_not_ours_is_served_as_ever(told: list[str]) -> None:
    async def app(scope: object, receive: object, send: object) -> None: ...

    await server.Server(uvicorn.Config(app, log_config=None), ConnectionLimits(9, Clock())).shutdown()  # type: ignore[arg-type]
    assert told == [CONNECTIONS]


async def test_what_stays_is_left_out_of_garbage_collections(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "LOOK_FOR_MODEL_EVERY_SEC", 0.01)
    engine = SimpleNamespace(state=EngineState.LOADING)
    gc.unfreeze()
    try:
        settling = asyncio.create_task(server.keep_collections_short(cast(Engine, engine)))
        while not gc.get_freeze_count():
            await asyncio.sleep(0.005)
        before = gc.get_freeze_count()
        model = [[number] for number in range(1_000)]
        engine.state = EngineState.READY
        await settling
        assert gc.get_freeze_count() > before + len(model) / 2  # of the others some went meanwhile
    finally:
        gc.unfreeze()


# Where it listens ------------------------------------------------------------------------------------


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0", "localhost"])
def test_a_port_that_is_in_use_is_refused(host: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(SettingsError) as refused:
            listen(host, port)
    assert str(refused.value) == f"Port {port} is in use; stop what uses it, or set PORT to another."


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0", "localhost"])
def test_a_port_that_a_server_has_just_left_is_used(host: str) -> None:
    with socket.socket() as left:
        left.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        left.bind(("127.0.0.1", 0))
        left.listen()
        port = left.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)):
            left.accept()[0].close()  # the server's side closes first, so the port waits for late packets
    for bound in listen(host, port):
        bound.close()


@pytest.mark.parametrize("host", ["192.0.2.1", "no.such.host.invalid", "a..b", "::ffff:1:2:3"])
def test_a_host_that_is_not_this_machine_is_refused(host: str) -> None:
    with pytest.raises(SettingsError) as refused:
        listen(host, 7860)
    assert str(refused.value).startswith(
        f"HOST is {host!r}, which is not an address of this machine. Set it to "
    )


def test_a_port_for_the_system_alone_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def bind(self: socket.socket, address: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(socket.socket, "bind", bind)  # root may listen at every port
    with pytest.raises(SettingsError, match=r"^PORT is 80, where this user may not listen\. Set it to"):
        listen("127.0.0.1", 80)
