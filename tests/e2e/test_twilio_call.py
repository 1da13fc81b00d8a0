"""A scripted Twilio plays whole calls with the app on the echo engine, at real time, with real signatures."""

import asyncio
import io
import json
import signal
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit
from xml.etree import ElementTree

import httpx
import numpy as np
import pytest
import soundfile
from twilio.request_validator import RequestValidator

from personaplex_ui.audio import mu_law
from tests.support.app_process import TELEPHONE, AppProcess, running_app
from tests.support.clients.twilio import TwilioPeer, twilio_peer
from tests.support.whistle import (
    LATE_PART,
    ONE_CLOCK_SEC,
    PHONE_HZ,
    RECORDING_HZ,
    Whistle,
    cleanness_db,
    whistle,
    whistles_in,
)

SERVER_URL = TELEPHONE["SERVER_URL"]
BEARER = {"Authorization": f"Bearer {TELEPHONE['API_KEY']}"}
FIRST, SECOND, THIRD = (f"CA{digit * 32}" for digit in "123")
VOICE = "SAMEPITCH"
"""The echo speaks higher or lower with the voices it knows, and with others as it was spoken to."""
ROLE = "You work for “Smith & Sons”. <Be> 'brief'. " * 40
BUSY = "All lines are busy. Please call again in a few minutes."
WHISTLE_SEC = 2.0

pytestmark = [pytest.mark.timeout(120), pytest.mark.alone]


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AppProcess]:
    """One slot. Ended by the last test."""
    voices = tmp_path_factory.mktemp("voices")
    (voices / f"{VOICE}.wav").touch()  # the echo reads no voice, the name is enough
    variables = {
        "MAX_CALLS": "1",
        "PHONE_RECORD": "1",
        "VOICES_DIR": str(voices),
        "PHONE_PERSONAS": json.dumps(
            {TELEPHONE["TWILIO_PHONE_NUMBER"]: {"voice": VOICE, "text_prompt": ROLE}}
        ),
    }
    with running_app(tmp_path_factory.mktemp("app"), **TELEPHONE, **variables) as app:
        yield app


class Twilio:
    """Knows the app by its public address; ``http`` leads there."""

    def __init__(self, http: httpx.AsyncClient, auth_token: str = TELEPHONE["TWILIO_AUTH_TOKEN"]) -> None:
        self._http = http
        self._validator = RequestValidator(auth_token)

    async def post(self, path: str, call_sid: str, **fields: str) -> httpx.Response:
        called = TELEPHONE["TWILIO_PHONE_NUMBER"]
        form = {"CallSid": call_sid, "From": "+15550002222", "To": called, "Direction": "inbound", **fields}
        headers = {"X-Twilio-Signature": self._validator.compute_signature(SERVER_URL + path, form)}
        return await self._http.post(path, data=form, headers=headers)

    async def ask(self, path: str, call_sid: str) -> ElementTree.Element:
        """The TwiML that the webhook answers."""
        response = await self.post(path, call_sid)
        assert response.status_code == 200, response.text
        return ElementTree.fromstring(response.content)

    @asynccontextmanager
    async def stream(self, answer: ElementTree.Element, call_sid: str) -> AsyncGenerator[TwilioPeer]:
        """Does what the TwiML tells: opens the stream."""
        stream = answer.find("Connect/Stream")
        assert stream is not None
        stream_url = urlsplit(str(stream.get("url")))
        assert (f"https://{stream_url.netloc}", stream_url.scheme) == (SERVER_URL, "wss")
        assert (stream_url.query, stream_url.fragment) == ("", "")
        address = str(self._http.base_url.copy_with(scheme="ws", path=stream_url.path))
        async with twilio_peer(address) as peer:
            await peer.start(parameters(answer), call_sid)
            yield peer

    async def ended(self, answer: ElementTree.Element, call_sid: str) -> str:
        """What the caller hears when the stream is over."""
        connection = answer.find("Connect")
        assert connection is not None
        action = str(connection.get("action"))
        assert action.startswith(SERVER_URL)
        return said(await self.ask(action.removeprefix(SERVER_URL), call_sid))


@pytest.fixture
async def http(app: AppProcess) -> AsyncGenerator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=app.url) as http:
        yield http


@pytest.fixture
def twilio(http: httpx.AsyncClient) -> Twilio:
    return Twilio(http)


def parameters(answer: ElementTree.Element) -> dict[str, str]:
    return {str(found.get("name")): str(found.get("value")) for found in answer.iter("Parameter")}


def said(answer: ElementTree.Element) -> str:
    assert answer[-1].tag == "Hangup"
    return answer.findtext("Say") or ""


async def hear_something(peer: TwilioPeer) -> None:
    async with asyncio.timeout(10.0):
        while not peer.received:
            await peer.listen_for(0.1)


async def status_of(http: httpx.AsyncClient, call_sid: str) -> dict[str, Any]:
    """Once its recording is there."""
    async with asyncio.timeout(10.0):
        while True:
            answer = await http.get(f"/twilio/status/{call_sid}", headers=BEARER)
            assert answer.status_code == 200, answer.text
            if (status := answer.json())["recording"]:
                return status
            await asyncio.sleep(0.05)


@dataclass(frozen=True)
class Conversation:
    """``sec``: for how long sound came. ``second``: what another caller was told meanwhile."""

    answer: ElementTree.Element
    peer: TwilioPeer
    sec: float
    second: str


async def whistle_and_listen(twilio: Twilio, call_sid: str) -> Conversation:
    """A whole call, from its ringing to its last TwiML."""
    answer = await twilio.ask("/twilio/inbound", call_sid)
    async with twilio.stream(answer, call_sid) as peer, asyncio.TaskGroup() as group:
        await hear_something(peer)
        before_sec = len(peer.said) / PHONE_HZ
        second = group.create_task(twilio.ask("/twilio/inbound", SECOND))
        await peer.say(whistle(WHISTLE_SEC))  # which interrupts the greeting
        await peer.listen_for(0.7 + WHISTLE_SEC + 0.4)
        await peer.stop()
        await peer.websocket.wait_closed()
    assert peer.websocket.close_code == 1000
    assert await twilio.ended(answer, call_sid) == "", "the caller hung up"
    return Conversation(answer, peer, len(peer.said) / PHONE_HZ - before_sec, said(second.result()))


async def test_a_whole_call_comes_back_clean_in_time_and_recorded(
    http: httpx.AsyncClient, twilio: Twilio
) -> None:
    assert (await Twilio(http, "another token").post("/twilio/inbound", FIRST)).status_code == 403
    call_sid, call = FIRST, await whistle_and_listen(twilio, FIRST)
    if call.peer.was_held_up:
        call_sid, call = THIRD, await whistle_and_listen(twilio, THIRD)
    assert call.second == BUSY
    assert call.answer.findtext("Say") == "This call may be recorded."
    parts = [value for name, value in parameters(call.answer).items() if name.startswith("text_prompt")]
    assert (len(parts) > 3, "".join(parts)) == (True, ROLE.strip())

    peer = call.peer
    peer.check_sound_flowed()
    mine, heard = own_whistle(peer.said), own_whistle(peer.played)
    assert cleanness_db([own_whistle(peer.received)]) > 30.0
    assert heard.began_sec - mine.ended_sec > 0.5, "the echo waits for a pause"

    assert (await twilio.post("/twilio/status", call_sid, CallStatus="completed")).status_code == 204
    status = await status_of(http, call_sid)
    assert (status["status"], status["end"], status["direction"]) == ("completed", "hung_up", "inbound")
    assert status["number"] == "+15…2222"
    assert (await http.get(status["recording"])).status_code == 401
    wav = await http.get(status["recording"], headers=BEARER)
    assert wav.status_code == 200
    check_recording(wav.content, mine, heard, call.sec)


def own_whistle(sound: bytearray) -> Whistle:
    """In mu-law; what is loud before it is the greeting."""
    return whistles_in(mu_law.decode(bytes(sound)), PHONE_HZ)[-1]


def check_recording(wav: bytes, mine: Whistle, heard: Whistle, sec: float) -> None:
    """``sec`` long, with the caller's whistle on the left, and on the right the answer as it was heard."""
    recording, rate_hz = soundfile.read(io.BytesIO(wav), dtype="float32", always_2d=True)
    assert rate_hz == RECORDING_HZ
    assert len(recording) / rate_hz == pytest.approx(sec, abs=0.5)
    left, right = (whistles_in(side, rate_hz) for side in np.asarray(recording, dtype=np.float32).T)
    assert len(left) == 1
    delay_sec = right[-1].began_sec - left[0].began_sec
    assert delay_sec == pytest.approx(heard.began_sec - mine.began_sec, abs=ONE_CLOCK_SEC)
    assert mine.sec == pytest.approx(WHISTLE_SEC, abs=0.03)
    for same in (heard, left[0], right[-1]):
        assert same.sec == pytest.approx(WHISTLE_SEC, abs=ONE_CLOCK_SEC)
        assert same.level_db == pytest.approx(mine.level_db, abs=0.5)
        assert cleanness_db([same], but_for=LATE_PART) > 30.0


async def test_at_a_shutdown_the_caller_hears_why(app: AppProcess, twilio: Twilio) -> None:
    answer = await twilio.ask("/twilio/inbound", FIRST)
    async with twilio.stream(answer, FIRST) as peer:
        await hear_something(peer)
        app.process.send_signal(signal.SIGTERM)
        await peer.websocket.wait_closed()
        assert peer.websocket.close_code == 1001
        assert "shutting down" in await twilio.ended(answer, FIRST)
    assert await asyncio.to_thread(app.process.wait, 10.0) in (0, -signal.SIGTERM)
