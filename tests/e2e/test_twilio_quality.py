"""A telephone call at real time, through the stream, the engine and the recording, measured at Twilio's end.

The model says back what it hears, unchanged: what is measured is the way there and back.
"""

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import soundfile
import uvicorn
from fastapi import FastAPI, WebSocket
from websockets.exceptions import ConnectionClosed

from personaplex_ui.audio import mu_law
from personaplex_ui.calls.manager import CallManager
from personaplex_ui.calls.settings import CallSettings
from personaplex_ui.calls.snapshot import Transport
from personaplex_ui.calls.store import CallStore
from personaplex_ui.channels.twilio.session import Lobby, PhoneGrant, serve_stream
from personaplex_ui.engine.engine import Engine, EngineState
from personaplex_ui.engine.speech_model import Persona
from tests.support.clients.twilio import TwilioPeer, twilio_peer
from tests.support.fake_model import FakeModel
from tests.support.whistle import (
    LATE_PART,
    ONE_CLOCK_SEC,
    PHONE_HZ,
    RECORDING_HZ,
    cleanness_db,
    whistle,
    whistles_in,
)

pytestmark = pytest.mark.alone

OWNER = "an owner"
WHISTLES_SEC = (2.0, 1.5)
PAUSE_SEC = 0.6

Recording = npt.NDArray[np.float32]


@asynccontextmanager
async def answering_machine(folder: Path) -> AsyncGenerator[tuple[str, CallManager]]:
    """A server with two lines whose model repeats everything; its websocket's URL."""
    engine = Engine(lambda report: FakeModel(), max_calls=2)
    call_manager = CallManager(engine, CallStore(folder, 3600.0, time.time), 600.0)
    app = FastAPI()

    @app.websocket("/twilio/media-stream")
    async def stream(websocket: WebSocket) -> None:
        grant = PhoneGrant(CallSettings(Persona("NATF2", ""), record=True), Transport.TWILIO, OWNER)
        await serve_stream(websocket, call_manager, lambda start: grant, Lobby())

    server = uvicorn.Server(uvicorn.Config(app, port=0, log_config=None, lifespan="off", ws_max_size=1 << 20))
    await engine.start()
    await call_manager.start()
    serving = asyncio.create_task(server.serve())
    try:
        while not (server.started and engine.state is EngineState.READY):
            await asyncio.sleep(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        yield f"ws://127.0.0.1:{port}/twilio/media-stream", call_manager
    finally:
        await call_manager.close()
        server.should_exit = True
        await serving
        await engine.close()


async def whistle_twice(url: str) -> TwilioPeer:
    """A whole call."""
    async with twilio_peer(url) as peer:
        await peer.start()
        await peer.listen_for(PAUSE_SEC)
        for sec in WHISTLES_SEC:
            await peer.say(whistle(sec))
            await peer.listen_for(PAUSE_SEC)
        await peer.stop()
        await peer.websocket.wait_closed()
    return peer


async def measured_call(folder: Path) -> tuple[TwilioPeer, Recording, int]:
    """Also its recording, and that one's rate."""
    async with answering_machine(folder) as (url, call_manager):
        # On a loop of its own: what holds up the server's shall not hold up the one that measures it.
        peer = await asyncio.to_thread(lambda: asyncio.run(whistle_twice(url)))
        (ended,) = await kept(call_manager)
        path = call_manager.store.recording_of(OWNER, ended)
        assert path is not None
        recording, rate_hz = soundfile.read(path, dtype="float32", always_2d=True)
    return peer, np.asarray(recording, dtype=np.float32), rate_hz


async def test_a_telephone_hears_itself_clean_in_time_and_recorded(tmp_path: Path) -> None:
    peer, recording, rate_hz = await measured_call(tmp_path / "first")
    for attempt in range(2):
        if peer.was_held_up:
            peer, recording, rate_hz = await measured_call(tmp_path / str(attempt))

    assert peer.websocket.close_code == 1000
    peer.check_sound_flowed()
    assert cleanness_db(whistles_in(mu_law.decode(bytes(peer.received)), PHONE_HZ)) > 30.0

    assert rate_hz == RECORDING_HZ
    said, played = (whistles_in(mu_law.decode(bytes(side)), PHONE_HZ) for side in (peer.said, peer.played))
    left, right = (whistles_in(side, RECORDING_HZ) for side in recording.T)
    for side in (left, right):
        assert cleanness_db(side, but_for=LATE_PART) > 30.0
    for mine, heard, on_the_left, on_the_right in zip(said, played, left, right, strict=True):
        assert heard.began_sec - mine.began_sec > 0.05, "the answer is later than the words"
        delay_sec = on_the_right.began_sec - on_the_left.began_sec
        assert delay_sec == pytest.approx(heard.began_sec - mine.began_sec, abs=ONE_CLOCK_SEC)
        for same in (heard, on_the_left, on_the_right):
            assert same.sec == pytest.approx(mine.sec, abs=0.1)
            assert same.level_db == pytest.approx(mine.level_db, abs=0.5)
    assert [round(mine.sec, 1) for mine in said] == [*WHISTLES_SEC]


async def test_a_message_of_10_mb_ends_its_own_stream_alone(tmp_path: Path) -> None:
    async with answering_machine(tmp_path) as (url, call_manager), twilio_peer(url) as peer:
        await peer.start()
        await peer.listen_for(0.1)
        async with twilio_peer(url) as other:
            await other.start()
            with suppress(ConnectionClosed):
                await other.websocket.send("x" * 10_000_000)
            await other.websocket.wait_closed()
        assert other.websocket.close_code == 1009
        before = len(peer.received)
        await peer.listen_for(0.5)
        assert len(peer.received) > before
        assert len(call_manager.calls) == 1


async def kept(call_manager: CallManager) -> list[str]:
    """The ids of the calls that were kept, once there are any."""
    async with asyncio.timeout(10.0):
        while call_manager.calls or not (ended := call_manager.store.calls_of(OWNER)):
            await asyncio.sleep(0.01)
    return [call.call_id for call in ended]
