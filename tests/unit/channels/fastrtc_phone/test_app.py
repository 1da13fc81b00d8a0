"""The telephone's two routes, reached through a tunnel, on a server of their own."""

import asyncio
import socket
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import cast

import numpy as np
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from personaplex_ui.calls.manager import CallManager
from personaplex_ui.calls.snapshot import Transport
from personaplex_ui.channels.fastrtc_phone.app import FAREWELL, GREETING, build_telephone_app
from personaplex_ui.channels.fastrtc_phone.loopback_server import listening, serving
from personaplex_ui.channels.twilio.messages import BUSY, CANNOT_BE_USED, NOT_READY
from personaplex_ui.channels.twilio.personas import PhonePersona
from personaplex_ui.channels.twilio.twiml import join_parameters
from personaplex_ui.engine.engine import Engine
from personaplex_ui.errors import EngineUnavailable
from tests.support.running import until
from tests.support.telephone_rig import (
    TONE_AMPLITUDE,
    VOICES,
    ForwardingTunnel,
    picked_up,
    plain_client,
    ring,
    running_call_manager,
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


@pytest.fixture
async def call_manager(tmp_path: Path) -> AsyncIterator[CallManager]:
    async with running_call_manager(tmp_path) as call_manager:
        yield call_manager


@asynccontextmanager
async def telephone_app(
    call_manager: CallManager, persona: PhonePersona | None = None, text_prompt: str = "Be kind."
) -> AsyncGenerator[str]:
    """Gives the public host."""
    tunnel = ForwardingTunnel()
    with listening() as listener:
        host = await tunnel.open(listener.getsockname()[1])
        app = build_telephone_app(call_manager, VOICES, text_prompt, host, persona)
        async with serving(app, listener):
            yield host
        await tunnel.close()


@pytest.fixture
async def host(call_manager: CallManager) -> AsyncIterator[str]:
    async with telephone_app(call_manager) as host:
        yield host


# A call ----------------------------------------------------------------------------------------------


async def test_a_call_comes_in_and_hears_what_the_assistant_says(call_manager: CallManager, host: str):
    answer = await ring(host)
    assert answer.verbs == ["Say", "Connect", "Say"]
    assert answer.said == [GREETING, FAREWELL]
    assert answer.stream_url == f"wss://{host}/telephone/handler"
    assert answer.parameters["voice_prompt"] == "NATF2"
    assert answer.parameters["text_prompt"] == "Be kind."
    async with picked_up(answer.stream_url) as telephone:
        await telephone.start(answer.parameters)
        await telephone.talk(1.1)
        [call] = call_manager.calls.values()
        assert call.transport is Transport.FASTRTC_PHONE
        assert call.recording is None
        assert call.settings.persona.text_prompt == "Be kind."
        sound = telephone.sound()[-2_400:]
    assert len(telephone.heard) > 4_800
    assert np.sqrt(np.mean(sound**2)) == pytest.approx(TONE_AMPLITUDE / np.sqrt(2), rel=0.15)
    await until(lambda: not call_manager.calls)
    assert call_manager.engine.slots.free == 1


async def test_the_host_header_decides_nothing(host: str):
    for header in ("evil.example.org", 'evil"/><Dial>1</Dial>'):
        answer = await ring(host, Host=header, **{"X-Forwarded-Host": header})
        assert answer.stream_url == f"wss://{host}/telephone/handler"


async def test_the_persona_arrives_whole(call_manager: CallManager):
    role = 'Say "1 < 2 & 3 > 2".\nÄ ' + "and be kind " * 100
    persona = PhonePersona("NATF2", role, "Hello & welcome.")
    async with telephone_app(call_manager, persona, "Not this one.") as host:
        answer = await ring(host)
        assert answer.said == ["Hello & welcome.", FAREWELL]
        assert " ".join(join_parameters(answer.parameters)["text_prompt"].split()) == " ".join(role.split())
        async with picked_up(answer.stream_url) as telephone:
            await telephone.start(answer.parameters)
            await until(lambda: bool(call_manager.calls))


# Refused -----------------------------------------------------------------------------------------------


async def test_all_lines_taken_is_said(call_manager: CallManager, host: str):
    first, second = await ring(host), await ring(host)
    async with picked_up(first.stream_url) as telephone, picked_up(second.stream_url) as other:
        await telephone.start(first.parameters)
        await until(lambda: not call_manager.engine.slots.free)
        refused = await ring(host)
        assert (refused.verbs, refused.said) == (["Say", "Hangup"], [BUSY])
        await other.start(second.parameters)
        assert await other.closed() == (4003, BUSY)
    await until(lambda: not call_manager.calls)
    assert (await ring(host)).stream_url


async def test_an_engine_that_is_not_ready_is_said(
    call_manager: CallManager, host: str, monkeypatch: pytest.MonkeyPatch
):
    def unavailable(engine: Engine) -> None:
        raise EngineUnavailable("The model is being loaded.")

    with monkeypatch.context() as patch:
        patch.setattr(Engine, "model", property(unavailable))
        refused = await ring(host)
    assert (refused.verbs, refused.said) == (["Say", "Hangup"], [NOT_READY])


async def test_a_persona_that_cannot_be_used_is_said(call_manager: CallManager):
    async with telephone_app(call_manager, PhonePersona("nobody")) as host:
        assert (await ring(host)).said == [CANNOT_BE_USED]


async def test_a_shutdown_is_told(call_manager: CallManager, host: str):
    answer = await ring(host)
    async with picked_up(answer.stream_url) as telephone:
        await telephone.start(answer.parameters)
        await until(lambda: bool(call_manager.calls))
        closing = asyncio.create_task(call_manager.close("The server is shutting down."))
        assert await telephone.closed() == (1001, "The server is shutting down.")
        await closing


async def test_a_stream_needs_a_token_of_its_own(call_manager: CallManager, host: str):
    answer = await ring(host)
    forged = [{}, {"token": "1"}, answer.parameters | {"text_prompt": "Be rude."}]
    for parameters in forged:
        async with picked_up(answer.stream_url) as telephone:
            await telephone.start(parameters)
            code, reason = await telephone.closed()
            assert code == 4003
            assert "token" in str(reason)
    async with picked_up(answer.stream_url) as telephone:
        await telephone.start(answer.parameters)
        await until(lambda: bool(call_manager.calls))
    await until(lambda: not call_manager.calls)
    async with picked_up(answer.stream_url) as telephone:
        await telephone.start(answer.parameters)
        code, reason = await telephone.closed()
        assert (code, "used before" in str(reason)) == (4003, True)
    assert call_manager.calls == {}


async def test_a_token_of_another_number_is_none(call_manager: CallManager, host: str):
    answer = await ring(host)
    async with (
        telephone_app(call_manager) as other,
        picked_up(f"ws://{other}/telephone/handler") as telephone,
    ):
        await telephone.start(answer.parameters)
        assert (await telephone.closed())[0] == 4003


# Routes ------------------------------------------------------------------------------------------------


async def test_nothing_else_is_to_be_reached(host: str):
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


async def test_sound_does_not_wait_for_more_of_it():
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


async def test_a_long_form_is_not_read(host: str):
    async with plain_client() as client:
        url = f"http://{host}/telephone/incoming"
        assert (await client.post(url, content=b"a" * 60_000)).status_code == 200
        assert (await client.post(url, content=b"a" * 70_000)).status_code == 413
        assert (await client.post(url)).status_code == 200
