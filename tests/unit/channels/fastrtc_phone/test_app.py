"""The telephone's two routes, reached through a tunnel, on a server of their own."""

import asyncio
import socket
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from personaplex_ui.calls.live_call import LiveCall
from personaplex_ui.calls.manager import CallManager
from personaplex_ui.calls.snapshot import Transport
from personaplex_ui.channels.fastrtc_phone.app import build_lent_number_app
from personaplex_ui.channels.fastrtc_phone.lent_calls import FAREWELL, GREETING
from personaplex_ui.channels.fastrtc_phone.loopback_server import listening, serving
from personaplex_ui.channels.twilio.personas import PhonePersona
from personaplex_ui.channels.twilio.spoken_sentences import BUSY, CANNOT_BE_USED, NOT_READY
from personaplex_ui.channels.twilio.twiml import join_parameters
from personaplex_ui.engine.engine import Engine
from personaplex_ui.errors import EngineUnavailable
from tests.support.clients.twilio import TwilioPeer
from tests.support.phone_app import Answered
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

ELSEWHERE = [
    "/",
    "/health",
    "/voices",
    "/metrics",
    "/docs",
    "/redoc",
    "/openapi.json",
    "/docs/oauth2-redirect",
    "/config",
    "/gradio_api/info",
    "/twilio/inbound",
    "/twilio/outbound",
    "/api/chat",
    "/ws/chat",
    "/moshi/",
    "/calls/1/recording.wav",
    "/telephone",
    "/telephone/",
    "/telephone/incoming/",
    "/telephone/handler/",
    "/telephone/handler",  # by plain HTTP
    "/webrtc/offer",
]
LOUD = b"\x10" * 160


@pytest.fixture
async def call_manager(tmp_path: Path) -> AsyncIterator[CallManager]:
    async with one_slot(tmp_path) as call_manager:
        yield call_manager


@asynccontextmanager
async def lent_number_app(
    call_manager: CallManager, folder: Path, persona: PhonePersona | None = None
) -> AsyncGenerator[str]:
    """Gives the public host."""
    phone = phone_service(call_manager, folder, persona)
    with listening() as listener:
        async with (
            ForwardingTunnel().open(listener.getsockname()[1]) as tunnel,
            serving(build_lent_number_app(call_manager, phone, tunnel.host), listener),
        ):
            yield tunnel.host


@pytest.fixture
async def host(call_manager: CallManager, tmp_path: Path) -> AsyncIterator[str]:
    async with lent_number_app(call_manager, tmp_path) as host:
        yield host


async def begin(telephone: TwilioPeer, answered: Answered, call_manager: CallManager) -> None:
    await telephone.start(answered.parameters)
    await until(lambda: bool(call_manager.calls))


# A call ----------------------------------------------------------------------------------------------


async def test_a_call_comes_in_and_hears_what_the_assistant_says(
    call_manager: CallManager, host: str
) -> None:
    answered = await ring(host)
    assert (answered.said, answered.farewell) == (GREETING, FAREWELL)
    assert answered.stream_url == f"wss://{host}/telephone/handler"
    assert answered.parameters["voice_prompt"] == "NATF2"
    assert answered.parameters["text_prompt"] == "Be kind."
    async with picked_up(answered) as telephone:
        await begin(telephone, answered, call_manager)
        await telephone.say(LOUD * 50)
        [call] = call_manager.calls.values()
        assert call.transport is Transport.FASTRTC_PHONE
        assert isinstance(call, LiveCall)
        assert call.recording is None
        assert call.settings.persona.text_prompt == "Be kind."
        await until(lambda: telephone.received.count(LOUD[:80]) > 10)
        await telephone.stop()
    await until(lambda: not call_manager.calls)
    assert call_manager.engine.slots.free == 1


async def test_who_was_answered_before_a_quiet_end_is_waited_for_and_connected(
    call_manager: CallManager, host: str
) -> None:
    answered = await ring(host)
    call_manager.quiet_end.begin(60.0)
    assert not call_manager.is_idle
    async with picked_up(answered) as telephone:
        await begin(telephone, answered, call_manager)
    await until(lambda: call_manager.is_idle)


async def test_the_host_header_decides_nothing(host: str) -> None:
    for header in ("evil.example.org", 'evil"/><Dial>1</Dial>'):
        answered = await ring(host, Host=header, **{"X-Forwarded-Host": header})
        assert answered.stream_url == f"wss://{host}/telephone/handler"


async def test_the_persona_arrives_whole(call_manager: CallManager, tmp_path: Path) -> None:
    role = 'Say "1 < 2 & 3 > 2".\nÄ ' + "and be kind " * 100
    persona = PhonePersona("NATF2", role, "Hello & welcome.")
    async with lent_number_app(call_manager, tmp_path, persona) as host:
        answered = await ring(host)
        assert (answered.said, answered.farewell) == ("Hello & welcome.", FAREWELL)
        arrived = join_parameters(answered.parameters)["text_prompt"]
        assert arrived.split() == role.split()
        async with picked_up(answered) as telephone:
            await begin(telephone, answered, call_manager)


# Refused -----------------------------------------------------------------------------------------------


async def test_all_lines_taken_is_said(call_manager: CallManager, host: str) -> None:
    first, second = await ring(host), await ring(host)
    async with picked_up(first) as telephone, picked_up(second) as other:
        await begin(telephone, first, call_manager)
        await until(lambda: not call_manager.engine.slots.free)
        refused = await ring(host)
        assert (refused.said, refused.hangs_up) == (BUSY, True)
        await other.start(second.parameters)
        assert await closed(other) == (4003, BUSY)
    await until(lambda: not call_manager.calls)
    assert (await ring(host)).stream_url


async def test_an_engine_that_is_not_ready_is_said(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def unavailable(engine: Engine) -> None:
        raise EngineUnavailable("The model is being loaded.")

    with monkeypatch.context() as patch:
        patch.setattr(Engine, "model", property(unavailable))
        refused = await ring(host)
    assert (refused.said, refused.hangs_up) == (NOT_READY, True)


async def test_a_persona_that_cannot_be_used_is_said(call_manager: CallManager, tmp_path: Path) -> None:
    async with lent_number_app(call_manager, tmp_path, PhonePersona("nobody")) as host:
        assert (await ring(host)).said == CANNOT_BE_USED


async def test_a_shutdown_is_told(call_manager: CallManager, host: str) -> None:
    answered = await ring(host)
    async with picked_up(answered) as telephone:
        await begin(telephone, answered, call_manager)
        closing = asyncio.create_task(call_manager.close("The server is shutting down."))
        assert await closed(telephone) == (1001, "The server is shutting down.")
        await closing


async def test_a_stream_needs_a_token_of_its_own(
    call_manager: CallManager, host: str, tmp_path: Path
) -> None:
    answered = await ring(host)

    async def refused(parameters: dict[str, str], host: str = host) -> str:
        async with picked_up(replace(answered, stream_url=f"wss://{host}/telephone/handler")) as telephone:
            await telephone.start(parameters)
            code, reason = await closed(telephone)
            assert code == 4003
            return str(reason)

    genuine = dict(answered.parameters)
    for forged in ({}, {"token": "1"}, genuine | {"text_prompt": "Be rude."}):
        assert "token" in await refused(forged)
    async with lent_number_app(call_manager, tmp_path) as other:
        assert "token" in await refused(genuine, other)
    async with picked_up(answered) as telephone:
        await begin(telephone, answered, call_manager)
    await until(lambda: not call_manager.calls)
    assert "already used" in await refused(genuine)


# Routes ------------------------------------------------------------------------------------------------


async def test_nothing_else_is_to_be_reached(host: str) -> None:
    async with plain_client() as client:
        for path in ELSEWHERE:
            for method in ("GET", "POST"):
                assert (await client.request(method, f"http://{host}{path}")).status_code == 404, path
        assert (await client.get(f"http://{host}/telephone/incoming")).status_code == 405
    for path in ("/", "/api/chat", "/ws/chat", "/twilio/media-stream", "/telephone/incoming", "/queue/join"):
        with pytest.raises(InvalidStatus) as caught:
            async with connect(f"ws://{host}{path}", proxy=None):
                pass
        assert caught.value.response.status_code in (403, 404)


async def test_sound_does_not_wait_for_more_of_it() -> None:
    at_once: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    def accepted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = cast(socket.socket, writer.get_extra_info("socket"))
        at_once.set_result(connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
        writer.close()

    with listening() as listener:
        server = await asyncio.start_server(accepted, sock=listener)
        _, writer = await asyncio.open_connection(*listener.getsockname())
        assert await at_once
        writer.close()
        server.close()
        await server.wait_closed()


async def test_a_long_form_is_not_read(host: str) -> None:
    async with plain_client() as client:
        url = f"http://{host}/telephone/incoming"
        for content, status in ((b"a" * 60_000, 200), (b"a" * 70_000, 413), (b"", 200)):
            assert (await client.post(url, content=content)).status_code == status
