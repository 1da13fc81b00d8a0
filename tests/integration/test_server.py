"""The server's end: calls and phones close, in words, before uvicorn closes the connections."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
import uvicorn

from personaplex_ui.app import server
from personaplex_ui.app.connection_limits import ConnectionLimits
from personaplex_ui.app.services import Services
from personaplex_ui.calls.snapshot import Transport
from personaplex_ui.config.settings import Settings
from tests.support.clock import Clock
from tests.support.page_session import LIBRARIES_WARN

CONNECTIONS = "connections close"

pytestmark = LIBRARIES_WARN


class Part:
    """Something to close: tells ``told`` when that begins and when it is done."""

    def __init__(self, name: str, told: list[str], lasts_sec: float = 0.0, fails: bool = False) -> None:
        self.calls: dict[str, SimpleNamespace] = {}
        self._name = name
        self._told = told
        self._lasts_sec = lasts_sec
        self._fails = fails

    async def close(self) -> None:
        self._told.append(f"{self._name} begins")
        await asyncio.sleep(self._lasts_sec)
        if self._fails:
            raise OSError("The disk is full.")
        self._told.append(f"{self._name} is closed")


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> list[str]:
    """What happens, in its order; uvicorn's own end among it."""
    told: list[str] = []

    async def shutdown(self: uvicorn.Server, sockets: list[object] | None = None) -> None:
        told.append(CONNECTIONS)

    monkeypatch.setattr(uvicorn.Server, "shutdown", shutdown)
    monkeypatch.setattr(server, "GOODBYES_ARRIVE_SEC", 0.0)
    monkeypatch.chdir(tmp_path)
    return told


def server_of(calls: Part, phone: Part) -> server.Server:
    services: Any = Services(Settings.from_mapping({"ENGINE": "echo"}))
    services.call_manager, services.phone = calls, phone
    return server.Server(uvicorn.Config("", log_config=None), services, ConnectionLimits(9, Clock()))


async def test_calls_and_phones_end_before_the_connections(told: list[str]) -> None:
    await server_of(Part("calls", told, 0.02), Part("phone", told, 0.05)).shutdown()
    assert told == ["calls begins", "phone begins", "calls is closed", "phone is closed", CONNECTIONS]


@pytest.mark.parametrize("hanging", ["calls", "phone"])
@pytest.mark.parametrize("fails", [True, False])
async def test_what_fails_or_does_not_close_in_time_holds_up_nothing(
    told: list[str], hanging: str, fails: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "CLOSED_WITHIN_SEC", 0.1)
    calls, phone = (
        Part(name, told, 30.0 if name == hanging and not fails else 0.0, fails and name == hanging)
        for name in ("calls", "phone")
    )
    await server_of(calls, phone).shutdown()
    other = "phone" if hanging == "calls" else "calls"
    assert sorted(told[:-1]) == sorted(["calls begins", "phone begins", f"{other} is closed"])
    assert told[-1] == CONNECTIONS


async def test_twilio_has_time_to_ask_why_its_calls_ended(
    told: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "TWILIO_ASKS_WITHIN_SEC", 0.05)
    calls = Part("calls", told)
    calls.calls["a call"] = SimpleNamespace(transport=Transport.TWILIO)

    async def ask_once_all_is_closed() -> None:
        while "phone is closed" not in told:
            await asyncio.sleep(0)
        told.append("Twilio asks")

    async with asyncio.TaskGroup() as together:
        together.create_task(ask_once_all_is_closed())
        await server_of(calls, Part("phone", told)).shutdown()
    assert told[-2:] == ["Twilio asks", CONNECTIONS]
