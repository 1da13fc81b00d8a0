"""A scripted Twilio plays whole calls with the app on the echo engine, at real time, with real signatures."""

import asyncio
import io
import json
import signal
from collections.abc import AsyncGenerator, Iterator
from dataclasses import dataclass
from xml.etree import ElementTree

import httpx
import numpy as np
import pytest
import soundfile

from personaplex_ui.audio import mu_law
from tests.support.app_process import TELEPHONE, AppProcess, running_app
from tests.support.clients.twilio import TwilioPeer
from tests.support.clients.twilio_account import (
    BEARER,
    TwilioAccount,
    hear_something,
    parameters,
    said,
    status_of,
)
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

FIRST, SECOND, THIRD, FOURTH = (f"CA{digit * 32}" for digit in "1234")
OPERATOR = "+4930123456"
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
        "HUMAN_NUMBER": OPERATOR,
        "VOICES_DIR": str(voices),
        "PHONE_PERSONAS": json.dumps(
            {TELEPHONE["TWILIO_PHONE_NUMBER"]: {"voice": VOICE, "text_prompt": ROLE}}
        ),
    }
    with running_app(tmp_path_factory.mktemp("app"), **TELEPHONE, **variables) as app:
        yield app


@pytest.fixture
async def http(app: AppProcess) -> AsyncGenerator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=app.url) as http:
        yield http


@pytest.fixture
def twilio(http: httpx.AsyncClient) -> TwilioAccount:
    return TwilioAccount(http)


@dataclass(frozen=True)
class Conversation:
    """``sec``: for how long sound came. ``second``: what another caller was told meanwhile."""

    answer: ElementTree.Element
    peer: TwilioPeer
    sec: float
    second: str


async def whistle_and_listen(twilio: TwilioAccount, call_sid: str) -> Conversation:
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
    http: httpx.AsyncClient, twilio: TwilioAccount
) -> None:
    assert (await TwilioAccount(http, "another token").post("/twilio/inbound", FIRST)).status_code == 403
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


async def test_the_key_0_leads_to_a_person_and_back_if_nobody_answers(
    http: httpx.AsyncClient, twilio: TwilioAccount
) -> None:
    answer = await twilio.ask("/twilio/inbound", FOURTH)
    async with twilio.stream(answer, FOURTH) as peer:
        await hear_something(peer)
        await peer.listen_for(0.5)  # shorter recordings than 0.2 s are not kept
        await peer.press("0")
        await peer.websocket.wait_closed()
        assert peer.websocket.close_code == 1000
    dial = await twilio.go_on(answer, "Connect", FOURTH, CallStatus="in-progress")
    assert dial.findtext("Dial/Number") == OPERATOR
    status = await status_of(http, FOURTH)
    assert (status["status"], status["end"], status["ended_at"]) == ("in-progress", "transferred", None)

    back = await twilio.go_on(dial, "Dial", FOURTH, DialCallStatus="no-answer", CallStatus="in-progress")
    assert "nobody answered" in str(back.findtext("Say"))
    async with twilio.stream(back, FOURTH) as peer:
        await hear_something(peer)
        await peer.stop()
        await peer.websocket.wait_closed()
    assert await twilio.ended(back, FOURTH) == ""
    told = (await http.get("/metrics", headers=BEARER)).text
    assert 'personaplex_phone_transfers_total{outcome="no_answer"} 1.0' in told
    assert 'personaplex_calls_ended_total{end="transferred",transport="twilio"} 1.0' in told


async def test_at_a_shutdown_the_caller_hears_why(app: AppProcess, twilio: TwilioAccount) -> None:
    answer = await twilio.ask("/twilio/inbound", FIRST)
    async with twilio.stream(answer, FIRST) as peer:
        await hear_something(peer)
        app.process.send_signal(signal.SIGTERM)
        await peer.websocket.wait_closed()
        assert peer.websocket.close_code == 1001
        assert "shutting down" in await twilio.ended(answer, FIRST)
    assert await asyncio.to_thread(app.process.wait, 10.0) in (0, -signal.SIGTERM)
