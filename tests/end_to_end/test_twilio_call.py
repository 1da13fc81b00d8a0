"""A scripted Twilio plays whole calls over real HTTP and a real websocket, with real signatures."""

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit
from xml.etree import ElementTree

import httpx
import numpy as np
import uvicorn
from fastapi import FastAPI
from twilio.request_validator import RequestValidator

from personaplex_ui.audio import mu_law
from personaplex_ui.calls.archive import Archive
from personaplex_ui.calls.call import Call
from personaplex_ui.calls.switchboard import Switchboard
from personaplex_ui.engine.worker import Engine, EngineState
from personaplex_ui.phone.account import PhoneAccount
from personaplex_ui.phone.desk import PhoneDesk, owner_of
from personaplex_ui.voices.catalogue import Voice
from personaplex_ui.voices.library import VoiceLibrary
from personaplex_ui.web.address import AddressMiddleware, public_url
from personaplex_ui.web.twilio_routes import build_twilio_router
from tests.end_to_end.twilio_peer import TwilioPeer, twilio_peer
from tests.fake_model import FakeModel

SERVER_URL = "https://phone.example.org"
AUTH_TOKEN = "a token of Twilio's"
FIRST, SECOND = "CA" + "1" * 32, "CA" + "2" * 32
TALK_SEC = 3.0
ROLE = "You work for “Smith & Sons”. <Be> 'brief'. " * 40


class Twilio:
    """Knows the server by its public address; ``url`` is where that leads."""

    def __init__(self, url: str, auth_token: str = AUTH_TOKEN) -> None:
        self._url = url
        self._validator = RequestValidator(auth_token)

    async def post(self, path: str, call_sid: str, **fields: str) -> httpx.Response:
        form = {"CallSid": call_sid, "From": "+15550002222", "To": "+15550001111", **fields}
        headers = {"X-Twilio-Signature": self._validator.compute_signature(SERVER_URL + path, form)}
        async with httpx.AsyncClient() as http:
            return await http.post(self._url + path, data=form, headers=headers)

    async def ask(self, path: str, call_sid: str) -> ElementTree.Element:
        """The TwiML that the webhook answers."""
        response = await self.post(path, call_sid)
        assert response.status_code == 200, response.text
        return ElementTree.fromstring(response.content)

    @asynccontextmanager
    async def stream(
        self, answer: ElementTree.Element, call_sid: str
    ) -> AsyncGenerator[tuple[TwilioPeer, str]]:
        """Does what the TwiML tells: opens the stream. Also the path to ask when it is over."""
        connection, stream = answer.find("Connect"), answer.find("Connect/Stream")
        assert connection is not None
        assert stream is not None
        stream_url, action = urlsplit(stream.get("url")), urlsplit(connection.get("action"))
        assert (stream_url.scheme, stream_url.netloc, stream_url.query) == ("wss", "phone.example.org", "")
        assert str(action.geturl()).startswith(SERVER_URL)
        parameters = {str(p.get("name")): str(p.get("value")) for p in stream.iter("Parameter")}
        async with twilio_peer(self._url.replace("http", "ws", 1) + str(stream_url.path)) as peer:
            await peer.start(parameters, call_sid)
            yield peer, str(action.path)


@asynccontextmanager
async def telephone_server(folder: Path) -> AsyncGenerator[tuple[str, Switchboard]]:
    """A server with one line, whose model repeats what it hears; where it is reached."""
    engine = Engine(lambda report: FakeModel(), max_calls=1)
    switchboard = Switchboard(engine, Archive(folder, 3600.0, time.time), 600.0)
    voices = VoiceLibrary([Voice("NATF2", "Female", "NATF2")], (), "NATF2")
    desk = PhoneDesk(switchboard, voices, ROLE, PhoneAccount(auth_token=AUTH_TOKEN), record=True)
    app = FastAPI()
    app.include_router(build_twilio_router(desk, switchboard, public_url, lambda connection: False, False))
    wrapped = AddressMiddleware(app, SERVER_URL, [])
    server = uvicorn.Server(uvicorn.Config(wrapped, port=0, log_level="warning", lifespan="off"))
    await engine.start()
    await switchboard.start()
    async with asyncio.TaskGroup() as group:
        group.create_task(server.serve())
        while not (server.started and engine.state is EngineState.READY):
            await asyncio.sleep(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        try:
            yield f"http://127.0.0.1:{port}", switchboard
        finally:
            await switchboard.close()
            server.should_exit = True
    await engine.close()


async def call_of(switchboard: Switchboard) -> Call:
    """The one call, once it is live."""
    async with asyncio.timeout(10.0):
        while not switchboard.calls:
            await asyncio.sleep(0.01)
        (call,) = switchboard.calls.values()
        await call.live.wait()
    return call


def whistle(sec: float) -> bytes:
    samples = np.arange(round(sec * 8_000))
    return mu_law.encode((0.5 * np.sin(2 * np.pi * 440 * samples / 8_000)).astype(np.float32))


def said(answer: ElementTree.Element) -> str:
    assert answer[-1].tag == "Hangup"
    return answer.findtext("Say") or ""


async def test_a_whole_call_and_a_second_caller_who_finds_no_line(tmp_path: Path) -> None:
    async with telephone_server(tmp_path) as (url, switchboard):
        twilio = Twilio(url)
        forged = await Twilio(url, "another token").post("/twilio/inbound", FIRST)
        assert forged.status_code == 403
        answer = await twilio.ask("/twilio/inbound", FIRST)
        assert answer.findtext("Say") == "This call may be recorded."
        async with twilio.stream(answer, FIRST) as (peer, ended_path):
            call = await call_of(switchboard)
            await peer.say(whistle(TALK_SEC / 2))
            busy = said(await twilio.ask("/twilio/inbound", SECOND))
            await peer.say(whistle(TALK_SEC / 2))
            assert call.settings.persona.text_prompt == ROLE.strip()
            await peer.stop()
            await peer.websocket.wait_closed()
        assert busy == "All lines are busy. Please call again in a few minutes."
        heard = mu_law.decode(bytes(peer.received))
        assert len(heard) / 8_000 > TALK_SEC / 2
        assert float(np.max(np.abs(heard))) > 0.4
        assert said(await twilio.ask(ended_path, FIRST)) == "", "the caller hung up"
        await switchboard.ended(call)
        assert switchboard.archive.recording_of(owner_of(FIRST), call.call_id) is not None
        assert (await twilio.post("/twilio/status", FIRST, CallStatus="completed")).status_code == 204
        assert (await twilio.ask("/twilio/inbound", SECOND)).find("Connect") is not None


async def test_a_stream_with_another_calls_token_gets_no_call(tmp_path: Path) -> None:
    async with telephone_server(tmp_path) as (url, switchboard):
        twilio = Twilio(url)
        answer = await twilio.ask("/twilio/inbound", FIRST)
        for call_sid, welcome in ((SECOND, False), (FIRST, True), (FIRST, False)):
            async with twilio.stream(answer, call_sid) as (peer, _):
                if not welcome:
                    await peer.websocket.wait_closed()
                    assert peer.websocket.close_code == 4003
                    assert "token" in (peer.websocket.close_reason or "")
                    assert not switchboard.calls
                    continue
                call = await call_of(switchboard)
                await peer.stop()
                await peer.websocket.wait_closed()
                await switchboard.ended(call)


async def test_at_a_shutdown_the_caller_hears_why(tmp_path: Path) -> None:
    async with telephone_server(tmp_path) as (url, switchboard):
        twilio = Twilio(url)
        answer = await twilio.ask("/twilio/inbound", FIRST)
        async with twilio.stream(answer, FIRST) as (peer, ended_path):
            await call_of(switchboard)
            await switchboard.close()
            await peer.websocket.wait_closed()
        assert "shutting down" in said(await twilio.ask(ended_path, FIRST))
