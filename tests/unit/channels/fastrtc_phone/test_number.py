"""A FastRTC number from its opening to its end, with the service and the tunnel on loopback."""

import asyncio
import functools
import logging
import signal
import socket
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import cast

import pytest

from personaplex_ui.calls.manager import CallManager
from personaplex_ui.calls.snapshot import End, Transport
from personaplex_ui.channels.fastrtc_phone import loopback_server
from personaplex_ui.channels.fastrtc_phone import number as fastrtc_number
from personaplex_ui.channels.fastrtc_phone import service as fastrtc_service
from personaplex_ui.channels.fastrtc_phone.app import build_lent_number_app
from personaplex_ui.channels.fastrtc_phone.number import FastRtcNumber, NumberState, NumberView, in_minutes
from personaplex_ui.channels.fastrtc_phone.service import FastRtcService
from personaplex_ui.errors import PhoneUnavailable
from tests.support.answering_machine import AnsweringMachine, answering_machine
from tests.support.running import until
from tests.support.telephone_rig import (
    ForwardingTunnel,
    closed,
    one_slot,
    phone_service,
    picked_up,
    plain_client,
    ring,
)

TOKEN = "hf_a-token-of-nobody"
LENT = {"phone": "+1 (555) 010-0042", "code": 7421, "time_remaining": 1205.5, "reset_date": "2025-12-01"}
NO_NUMBER = NumberView(NumberState.OFF, fastrtc_number.OFF)


@pytest.fixture
def service() -> Iterator[AnsweringMachine]:
    with answering_machine() as service:
        service.answers = {"/register": (200, LENT), "/unregister": (200, {})}
        yield service


@pytest.fixture
async def call_manager(tmp_path: Path) -> AsyncIterator[CallManager]:
    async with one_slot(tmp_path) as call_manager:
        yield call_manager


@pytest.fixture
async def tunnel() -> ForwardingTunnel:
    return ForwardingTunnel()


@pytest.fixture
async def number(
    call_manager: CallManager, tunnel: ForwardingTunnel, service: AnsweringMachine, tmp_path: Path
) -> AsyncIterator[FastRtcNumber]:
    """Of which nothing is left in the end: neither tasks nor a tunnel nor an open port."""
    before = asyncio.all_tasks()
    build_app = functools.partial(build_lent_number_app, call_manager, phone_service(call_manager, tmp_path))
    lender = FastRtcService(TOKEN, (service.url,), plain_client)
    number = FastRtcNumber(build_app, tunnel.open, lender, call_manager)
    yield number
    await number.close()
    assert number.view() == NO_NUMBER
    await until(lambda: asyncio.all_tasks() <= before | {asyncio.current_task()})
    assert not tunnel.is_open
    for port in tunnel.ports:
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port), 1.0)


def registered_host(service: AnsweringMachine) -> str:
    return cast(dict[str, str], service.asked[0].body)["url"]


async def fails(number: FastRtcNumber, sentence: str) -> None:
    """It cannot be opened, which exception and page tell in the same words."""
    with pytest.raises(PhoneUnavailable) as caught:
        await number.open()
    assert sentence in str(caught.value)
    assert number.view() == NumberView(NumberState.FAILED, str(caught.value))


# Lent and given back -----------------------------------------------------------------------------------


async def test_a_number_is_shown_and_given_back_and_can_be_had_again(
    number: FastRtcNumber, service: AnsweringMachine, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    signals = [signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM)]
    assert number.view() == NO_NUMBER
    await number.open()
    await number.open()
    sentence = "Call +1 (555) 010-0042 and enter the code 7421."
    ready = NumberView(NumberState.READY, sentence, "+1 (555) 010-0042", "7421", "20:05", "2025-12-01")
    assert number.view() == ready
    host = registered_host(service)
    assert (await ring(host)).stream_url == f"wss://{host}/telephone/handler"
    assert [signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM)] == signals
    await number.close()
    assert service.paths() == ["/register", "/unregister"]
    assert service.asked[1].body == {"url": host, "code": "7421"}
    assert [asked.headers["Authorization"] for asked in service.asked] == [TOKEN, TOKEN]
    await number.close()
    assert sum("+1 (555) 010-0042" in record.getMessage() for record in caplog.records) == 1
    assert TOKEN not in caplog.text
    await number.open()
    assert number.view() == ready
    assert len(service.asked) == 3


async def test_who_asks_twice_gets_one_number(
    number: FastRtcNumber, service: AnsweringMachine, tunnel: ForwardingTunnel
) -> None:
    tunnel.going.clear()
    opening = [asyncio.create_task(number.open()) for _ in range(3)]
    await until(lambda: len(tunnel.ports) == 1)
    assert number.view() == NumberView(NumberState.OPENING, fastrtc_number.OPENING_TUNNEL)
    opening[0].cancel()  # the others wait on
    tunnel.going.set()
    await asyncio.gather(*opening[1:])
    assert service.paths() == ["/register"]


async def test_minutes_that_are_not_told_are_not_shown(
    number: FastRtcNumber, service: AnsweringMachine
) -> None:
    service.answers["/register"] = (200, {"phone": "+15550100", "code": "1"})
    await number.open()
    view = number.view()
    assert (view.number, view.code, view.remaining, view.reset_date) == ("+15550100", "1", "", "")


# Not lent ----------------------------------------------------------------------------------------------


async def test_without_a_token_nothing_is_asked(call_manager: CallManager, tunnel: ForwardingTunnel) -> None:
    lender = FastRtcService(None, (), plain_client)
    await fails(FastRtcNumber(lambda host: None, tunnel.open, lender, call_manager), fastrtc_service.NO_TOKEN)
    assert tunnel.ports == []


async def test_what_the_service_refuses_is_told(number: FastRtcNumber, service: AnsweringMachine) -> None:
    service.answers["/register"] = (202, {"reset_date": "2025-12-01"})
    await fails(number, "used up until 2025-12-01")
    assert service.paths() == ["/register"]
    service.answers["/register"] = (200, LENT)
    await number.open()
    assert number.state is NumberState.READY


async def test_without_a_tunnel_nothing_is_asked(
    number: FastRtcNumber, service: AnsweringMachine, tunnel: ForwardingTunnel
) -> None:
    tunnel.failure = "The tunnel to Hugging Face could not be opened."
    await fails(number, tunnel.failure)
    assert service.asked == []


async def test_no_port(number: FastRtcNumber, monkeypatch: pytest.MonkeyPatch) -> None:
    class NoPort(socket.socket):
        def bind(self, address: object, /) -> None:
            raise OSError("none left")

    with monkeypatch.context() as patch:
        patch.setattr(loopback_server.socket, "socket", NoPort)
        await fails(number, loopback_server.NO_PORT)


# Broken off --------------------------------------------------------------------------------------------


async def test_switched_off_while_the_tunnel_opens(
    number: FastRtcNumber, service: AnsweringMachine, tunnel: ForwardingTunnel
) -> None:
    tunnel.going.clear()
    opening = [asyncio.create_task(number.open()) for _ in range(2)]
    await until(lambda: len(tunnel.ports) == 1)
    await number.close()
    results = await asyncio.gather(*opening, return_exceptions=True)
    assert [str(result) for result in results] == [fastrtc_number.SWITCHED_OFF] * 2
    assert number.view() == NO_NUMBER
    assert service.asked == []


@pytest.mark.parametrize("answers", [True, False])
async def test_switched_off_while_the_service_is_asked(
    number: FastRtcNumber, service: AnsweringMachine, monkeypatch: pytest.MonkeyPatch, answers: bool
) -> None:
    monkeypatch.setattr(fastrtc_number, "LATE_ANSWER_WITHIN_SEC", 5.0 if answers else 0.05)
    service.going.clear()
    opening = asyncio.create_task(number.open())
    await until(lambda: service.paths() == ["/register"])
    assert number.view() == NumberView(NumberState.OPENING, fastrtc_number.ASKING)
    closing = asyncio.create_task(number.close())
    if answers:
        await asyncio.sleep(0.02)
        service.going.set()
    with pytest.raises(PhoneUnavailable):
        await opening
    await closing
    assert service.paths() == (["/register", "/unregister"] if answers else ["/register"])


async def test_a_service_that_does_not_take_its_number_back_keeps_nobody_waiting(
    number: FastRtcNumber, service: AnsweringMachine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fastrtc_service, "UNREGISTERS_WITHIN_SEC", 0.1)
    await number.open()
    service.going.clear()
    await number.close()
    assert number.state is NumberState.OFF


async def test_a_cancelled_close_still_closes_and_who_asks_meanwhile_gets_another(
    number: FastRtcNumber, service: AnsweringMachine
) -> None:
    await number.open()
    service.going.clear()
    closing = asyncio.create_task(number.close())
    await until(lambda: service.paths()[-1] == "/unregister")
    closing.cancel()
    opening = asyncio.create_task(number.open())
    await asyncio.sleep(0.02)
    assert number.state is NumberState.CLOSING
    service.going.set()
    await opening
    assert service.paths() == ["/register", "/unregister", "/register"]
    assert number.state is NumberState.READY


async def test_a_tunnel_that_breaks_takes_the_number_with_it(
    number: FastRtcNumber, service: AnsweringMachine, tunnel: ForwardingTunnel
) -> None:
    await number.open()
    tunnel.broken.set()
    await until(lambda: number.state is NumberState.FAILED)
    assert number.view() == NumberView(NumberState.FAILED, "The tunnel broke.")
    assert service.paths() == ["/register", "/unregister"]
    tunnel.broken.clear()
    await number.open()
    assert number.state is NumberState.READY


# Calls -------------------------------------------------------------------------------------------------


async def test_calls_use_up_the_minutes_and_end_with_the_number(
    number: FastRtcNumber, service: AnsweringMachine, call_manager: CallManager
) -> None:
    service.answers["/register"] = (200, LENT | {"time_remaining": 100.5})
    await number.open()
    host = registered_host(service)
    answered = await ring(host)
    async with picked_up(answered) as telephone:
        await telephone.start(answered.parameters)
        await telephone.listen_for(0.7)
        [call] = call_manager.calls.values()
        assert call.transport is Transport.FASTRTC_PHONE
        while_it_goes_on = number.view().remaining
        call.hang_up("Over.")
        await call_manager.ended(call)
    assert "01:00" < while_it_goes_on < "01:40"
    assert "01:00" < number.view().remaining <= while_it_goes_on
    answered = await ring(host)
    async with picked_up(answered) as telephone:
        await telephone.start(answered.parameters)
        await until(lambda: any(call.live.is_set() for call in call_manager.calls.values()))
        [call] = call_manager.calls.values()
        closing = asyncio.create_task(number.close())
        assert await closed(telephone) == (1001, fastrtc_number.GOODBYE)
        await closing
    assert (call.end, call.reason) == (End.SHUTDOWN, fastrtc_number.GOODBYE)
    assert call_manager.calls == {}


def test_minutes() -> None:
    shown = [in_minutes(sec) for sec in (-1.0, 0.0, 59.99, 60.0, 3_599.0, 6_000.0)]
    assert shown == ["00:00", "00:00", "00:59", "01:00", "59:59", "100:00"]
