"""SIGTERM with calls of every kind and clips under way: all are told, recordings are whole, the status is 0;
at once, or after DRAIN_SECONDS, or as soon as nobody is there any more."""

import asyncio
import contextlib
import io
import signal
from collections.abc import AsyncGenerator, Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import httpx
import numpy as np
import pytest
import soundfile
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError

from personaplex_ui.app.signals import SENT_TWICE_WITHIN_SEC
from personaplex_ui.audio import mu_law
from personaplex_ui.calls.manager import SHUTS_DOWN
from personaplex_ui.calls.quiet_end import TAKES_NO_CALLS, TIME_IS_UP
from personaplex_ui.channels.close_codes import GOING_AWAY, TRY_LATER
from personaplex_ui.channels.twilio.spoken_sentences import RENEWED
from tests.support.app_process import TELEPHONE, wait_until
from tests.support.clients import offers
from tests.support.clients.browser_process import GOODBYE, LIVE, CallerProcess
from tests.support.clients.moshi import MoshiClient, chat
from tests.support.clients.twilio import TwilioPeer
from tests.support.clients.twilio_account import BEARER, TwilioAccount, hear_something, said
from tests.support.troubled import TroubledApp, troubled_app

CALL_SID, LATE_SID = f"CA{'7' * 32}", f"CA{'8' * 32}"
VISITOR = "personaplex_visitor"
CLIP_SEC = 60.0
TONE = mu_law.encode((0.3 * np.sin(np.arange(8_000) / 4)).astype(np.float32))
"""One second on the telephone."""
VARIABLES = {
    **TELEPHONE,
    "PHONE_RECORD": "1",
    "MAX_CALLS": "6",
    "MAX_CALLS_PER_ADDRESS": "0",
    "CALLS_PER_MINUTE": "0",
    "ENGINE": "echo",
}

pytestmark = pytest.mark.timeout(120)


@contextlib.contextmanager
def app_that_drains(folder: Path, seconds: int) -> Generator[TroubledApp]:
    """Its clips take a while: a step takes 50 ms."""
    with troubled_app(folder, **VARIABLES, DRAIN_SECONDS=str(seconds)) as app:
        app.be_in_trouble("slow step")
        yield app
        assert app.exceptions() == []


@dataclass
class Callers:
    """``browser``: over WebRTC. ``page``: over its websocket, recorded. ``moshi``: a Moshi client. ``phone``:
    by Twilio, recorded. ``clips``: two, under way."""

    browser: CallerProcess
    page: MoshiClient
    moshi: MoshiClient
    phone: TwilioPeer
    answer: ElementTree.Element
    twilio: TwilioAccount
    clips: list[Any]
    visitor: dict[str, str]

    async def run_phone(self) -> None:
        """The telephone sends its sound until the server ends the stream."""
        with contextlib.suppress(Exception):
            while True:
                await self.phone.say(TONE)


@contextlib.asynccontextmanager
async def calling(app: TroubledApp, clip: Path) -> AsyncGenerator[Callers]:
    """All are live inside."""
    browser = CallerProcess(app.url)
    client = await asyncio.to_thread(Client, app.url, verbose=False)
    try:
        await asyncio.to_thread(browser.start)
        async with contextlib.AsyncExitStack() as open_until_then:
            enter = open_until_then.enter_async_context
            http = await enter(httpx.AsyncClient(base_url=app.url, timeout=30.0))
            twilio = TwilioAccount(http)
            visitor = {VISITOR: (await http.get("/")).cookies[VISITOR]}
            cookie = {"Origin": app.url, "Cookie": f"{VISITOR}={visitor[VISITOR]}"}
            page = await enter(
                chat(app.url, {"facts": "1", "record": "1"}, tells_state=False, headers=cookie)
            )
            moshi = await enter(chat(app.url))
            answer = await twilio.ask("/twilio/inbound", CALL_SID)
            phone = await enter(twilio.stream(answer, CALL_SID))
            jobs = [client.submit(audio=handle_file(str(clip)), api_name="/converse") for _ in range(2)]
            callers = Callers(browser, page, moshi, phone, answer, twilio, jobs, visitor)
            await asyncio.to_thread(browser.wait_for, LIVE)
            for websocket in (page, moshi):
                websocket.say(np.tile(np.sin(np.arange(1920) / 5).astype(np.float32) * 0.3, 100))
                await websocket.until(lambda websocket=websocket: len(websocket.sound) > 20)
            await hear_something(phone)
            await phone.say(TONE)
            talking = asyncio.create_task(callers.run_phone())
            await asyncio.to_thread(wait_until, lambda: capacity(app)["live_calls"] == 6, 30, "all are live")
            try:
                yield callers
            finally:
                talking.cancel()
    finally:
        await asyncio.to_thread(browser.close)


def capacity(app: TroubledApp) -> dict[str, Any]:
    return httpx.get(f"{app.url}/capacity").json()


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    soundfile.write(tmp_path / "clip.wav", np.zeros(int(CLIP_SEC * 24_000), dtype=np.float32), 24_000)
    return tmp_path / "clip.wav"


async def check_told(callers: Callers, sentence: str, page: bool = True) -> None:
    """All of them, each in the way of its channel."""
    websockets = [callers.moshi, *([callers.page] if page else [])]
    for client in websockets:
        await client.until(lambda client=client: client.closed)
        assert (client.close_code, sentence in (*client.errors, client.close_reason)) == (GOING_AWAY, True)
    if page:
        assert callers.page.states[-1]["reason"] == sentence
    goodbyes = await asyncio.to_thread(callers.browser.wait_for, GOODBYE)
    assert goodbyes[0].text == sentence
    await callers.phone.websocket.wait_closed()
    assert (callers.phone.websocket.close_code, callers.phone.websocket.close_reason) == (
        GOING_AWAY,
        sentence,
    )
    assert await callers.twilio.ended(callers.answer, CALL_SID) == sentence
    for job in callers.clips:
        with pytest.raises(AppError) as told:
            await asyncio.to_thread(job.result, 20)
        assert str(told.value) == sentence


def check_recordings(app: TroubledApp, reasons: list[str]) -> None:
    """Three of the four are recorded: whole, on both channels, with what ended them."""
    assert list(app.recordings.glob("*.part.wav")) == []
    recordings = sorted(app.recordings.glob("call-*.wav"))
    found: list[str] = []
    for path in recordings:
        call = app.kept_call(path.stem.removeprefix("call-"))
        sound, rate_hz = soundfile.read(io.BytesIO(path.read_bytes()), dtype="float32")
        assert (rate_hz, sound.shape[1]) == (24_000, 2)
        assert abs(sound).max(axis=0).min() > 0.02
        assert len(sound) / rate_hz == pytest.approx(call["duration_sec"], abs=0.3)
        found.append(str(call["reason"]))
    assert sorted(found) == sorted(reasons)


async def test_at_once(tmp_path: Path, clip: Path) -> None:
    with app_that_drains(tmp_path, 0) as app:
        async with calling(app, clip) as callers:
            app.process.send_signal(signal.SIGTERM)
            await check_told(callers, SHUTS_DOWN)
            assert await asyncio.to_thread(app.process.wait, 30) == 0
        check_recordings(app, [SHUTS_DOWN] * 3)


async def check_newcomers(app: TroubledApp, callers: Callers, clip: Path) -> None:
    """Who calls meanwhile is refused in the way of each channel."""
    async with httpx.AsyncClient(base_url=app.url, timeout=30.0) as http:
        health, now = await http.get("/health"), await http.get("/capacity?busy=404")
        assert (health.status_code, health.json()["status"]) == (503, "draining")
        assert (now.status_code, now.json()["accepting"]) == (404, False)
        offer = await http.post("/webrtc/offer", json=offers.body(offers.SOUND_OFFER))
        assert (offer.status_code, offer.json()["detail"]) == (503, TAKES_NO_CALLS)
        said_in_words = await http.post("/api/v1/chat", json={"message": "Hello"})
        assert (said_in_words.status_code, said_in_words.json()["detail"]) == (503, TAKES_NO_CALLS)
        preview = await http.get("/voices/NATF0/preview.wav")
        assert preview.status_code == 503
        back = await http.delete("/drain", headers=BEARER)
        assert back.status_code == 409
    async with chat(app.url) as late:
        await late.until(lambda: late.closed)
        assert (late.close_code, late.close_reason) == (TRY_LATER, TAKES_NO_CALLS)
    assert said(await callers.twilio.ask("/twilio/inbound", LATE_SID)) == RENEWED
    client = await asyncio.to_thread(Client, app.url, verbose=False)
    job: Any = client.submit(audio=handle_file(str(clip)), api_name="/converse")
    with pytest.raises(AppError) as told:
        await asyncio.to_thread(job.result, 20)
    assert str(told.value) == TAKES_NO_CALLS


async def test_one_ends_by_itself_and_the_others_are_told_when_time_is_up(tmp_path: Path, clip: Path) -> None:
    with app_that_drains(tmp_path, 600) as app:
        async with calling(app, clip) as callers, chat(app.url) as waiting:
            await asyncio.to_thread(wait_until, lambda: app.waiting() == 1, 30, "one more waits")
            app.process.send_signal(signal.SIGTERM)
            await waiting.until(lambda: waiting.closed)
            assert (waiting.close_code, waiting.close_reason) == (TRY_LATER, TAKES_NO_CALLS)
            await check_newcomers(app, callers, clip)
            assert not callers.moshi.closed
            call_id = callers.page.states[-1]["call_id"]
            await callers.page.websocket.close()
            async with httpx.AsyncClient(base_url=app.url, cookies=callers.visitor) as http:
                await kept(http, call_id)  # it was recorded, and its page still gets it
                await http.post("/drain?seconds=1", headers=BEARER)  # nobody knows how long all that took
            await check_told(callers, TIME_IS_UP, page=False)
            assert await asyncio.to_thread(app.process.wait, 30) == 0
        check_recordings(app, [TIME_IS_UP, TIME_IS_UP, "You hung up."])


async def kept(http: httpx.AsyncClient, call_id: str) -> None:
    async with asyncio.timeout(20.0):
        while (await http.get(f"/calls/{call_id}/recording.wav")).status_code != 200:
            await asyncio.sleep(0.05)


@contextlib.asynccontextmanager
async def ending(folder: Path) -> AsyncGenerator[tuple[TroubledApp, MoshiClient]]:
    """An app that was asked to end while somebody talks with it, and drains; it ends with status 0."""
    with troubled_app(folder, DRAIN_SECONDS="600") as app:
        async with chat(app.url) as client:
            await client.until(lambda: len(client.sound) > 5)
            app.process.send_signal(signal.SIGTERM)
            await asyncio.to_thread(wait_until, lambda: capacity(app)["draining"], 20, "it drains")
            yield app, client
        assert await asyncio.to_thread(app.process.wait, 60) == 0


async def test_who_was_answered_gets_the_call_and_then_it_ends(tmp_path: Path) -> None:
    """A telephone caller hears the announcement, and nobody else is there, as the signal comes."""
    with troubled_app(tmp_path, DRAIN_SECONDS="600", **TELEPHONE) as app:
        async with httpx.AsyncClient(base_url=app.url, timeout=30.0) as http:
            twilio = TwilioAccount(http)
            answer = await twilio.ask("/twilio/inbound", CALL_SID)
            app.process.send_signal(signal.SIGTERM)
            await asyncio.to_thread(wait_until, lambda: capacity(app)["draining"], 20, "it drains")
            longer = await http.post("/drain?seconds=3600", headers=BEARER)
            assert longer.status_code == 409
            async with twilio.stream(answer, CALL_SID) as phone:
                await hear_something(phone)
                await phone.stop(CALL_SID)
            assert await twilio.ended(answer, CALL_SID) == ""
        assert await asyncio.to_thread(app.process.wait, 60) == 0


async def test_asked_again_it_says_goodbye_at_once(tmp_path: Path) -> None:
    async with ending(tmp_path) as (app, client):
        await asyncio.sleep(1.5 * SENT_TWICE_WITHIN_SEC)
        app.process.send_signal(signal.SIGTERM)
        await client.until(lambda: client.closed)
        assert SHUTS_DOWN in (*client.errors, client.close_reason)
