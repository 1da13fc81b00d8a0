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
import soundfile
import uvicorn
from fastapi import FastAPI, WebSocket
from websockets.exceptions import ConnectionClosed

from personaplex_ui.audio import mu_law
from personaplex_ui.audio.frames import Samples
from personaplex_ui.calls.archive import Archive
from personaplex_ui.calls.call_settings import CallSettings
from personaplex_ui.calls.snapshot import Transport
from personaplex_ui.calls.switchboard import Switchboard
from personaplex_ui.engine.speech_model import Persona
from personaplex_ui.engine.worker import Engine, EngineState
from personaplex_ui.transports.twilio_stream import PhoneGrant, serve_stream
from tests.end_to_end.twilio_peer import twilio_peer
from tests.fake_model import FakeModel

OWNER = "an owner"
PHONE_HZ, RECORDING_HZ = 8_000, 24_000
GAP_SEC = 0.06
AMPLITUDE = 0.5
LEVELS_EVERY_SEC = 0.01
SCRIPT_SEC = ((False, 1.0), (True, 2.5), (False, 1.0), (True, 2.0), (False, 1.0))
"""Whether the caller whistles, and for how long."""

Levels = npt.NDArray[np.float64]


@asynccontextmanager
async def answering_machine(folder: Path) -> AsyncGenerator[tuple[str, Switchboard]]:
    """A server with two lines whose model repeats everything; its websocket's URL."""
    engine = Engine(lambda report: FakeModel(), max_calls=2)
    switchboard = Switchboard(engine, Archive(folder, 3600.0, time.time), 600.0)
    app = FastAPI()

    @app.websocket("/twilio/media-stream")
    async def stream(websocket: WebSocket) -> None:
        grant = PhoneGrant(CallSettings(Persona("NATF2", ""), record=True), OWNER, "", Transport.TWILIO)
        await serve_stream(websocket, switchboard, lambda start: grant)

    server = uvicorn.Server(
        uvicorn.Config(app, port=0, log_level="warning", lifespan="off", ws_max_size=1 << 20)
    )
    await engine.start()
    await switchboard.start()
    serving = asyncio.create_task(server.serve())
    try:
        while not (server.started and engine.state is EngineState.READY):
            await asyncio.sleep(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        yield f"ws://127.0.0.1:{port}/twilio/media-stream", switchboard
    finally:
        await switchboard.close()
        server.should_exit = True
        await serving
        await engine.close()


def whistle(sec: float) -> bytes:
    """440 Hz, faded in and out so that its edges are no clicks."""
    samples = round(sec * PHONE_HZ)
    tone = AMPLITUDE * np.sin(2 * np.pi * 440 * np.arange(samples) / PHONE_HZ)
    fade = np.minimum(1.0, np.arange(samples) / 80)
    return mu_law.encode((tone * fade * fade[::-1]).astype(np.float32))


async def test_a_telephone_hears_itself_clean_in_time_and_recorded(tmp_path: Path) -> None:
    async with answering_machine(tmp_path) as (url, switchboard):
        async with twilio_peer(url) as peer:
            await peer.start()
            for whistles, sec in SCRIPT_SEC:
                await (peer.say(whistle(sec)) if whistles else peer.listen_for(sec))
            await peer.stop()
            await peer.websocket.wait_closed()
        (ended,) = await kept(switchboard)
        path = switchboard.archive.recording_of(OWNER, ended)
        assert path is not None
        sound, rate_hz = soundfile.read(path, dtype="float32", always_2d=True)

    assert peer.websocket.close_code == 1000
    assert peer.payload_bytes == {160}
    stalls_sec = 2 * peer.late_sec  # of a machine that is busy with other things
    assert peer.longest_gap_sec <= GAP_SEC + stalls_sec
    heard = mu_law.decode(bytes(peer.received))
    assert tone_to_noise_db(heard) > 30.0

    assert rate_hz == RECORDING_HZ
    said, played = (mu_law.decode(bytes(side)) for side in (peer.said, peer.played))
    left, right = np.asarray(sound, dtype=np.float32).T
    shift_left_sec, shift_right_sec = shift_sec(said, left), shift_sec(played, right)
    assert abs(shift_right_sec - shift_left_sec) <= 0.15 + stalls_sec, "both sides have one clock"
    assert shift_sec(said, played) > 0.05, "the answer is later than the words"
    for side, rate in ((said, PHONE_HZ), (left, RECORDING_HZ), (right, RECORDING_HZ)):
        assert abs(loud_level_db(side, rate) - loud_level_db(said, PHONE_HZ)) < 0.5


async def test_a_message_of_10_mb_ends_its_own_stream_alone(tmp_path: Path) -> None:
    async with answering_machine(tmp_path) as (url, switchboard), twilio_peer(url) as peer:
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
        assert len(switchboard.calls) == 1


async def kept(switchboard: Switchboard) -> list[str]:
    """The ids of the calls that were kept, once there are any."""
    async with asyncio.timeout(10.0):
        while switchboard.calls or not (ended := switchboard.archive.calls_of(OWNER)):
            await asyncio.sleep(0.01)
    return [call.call_id for call in ended]


def levels(sound: Samples, rate_hz: int) -> Levels:
    """Root mean square of every 10 ms."""
    window = int(rate_hz * LEVELS_EVERY_SEC)
    whole = len(sound) // window * window
    return np.sqrt(np.mean(np.square(sound[:whole].reshape(-1, window), dtype=np.float64), axis=1))


def loud_level_db(sound: Samples, rate_hz: int) -> float:
    """Of the whistles."""
    return 20 * float(np.log10(np.percentile(levels(sound, rate_hz), 90)))


def shift_sec(early: Samples, late: Samples) -> float:
    """How much later the whistles are in ``late`` than in ``early``, each at its own rate."""
    sides = [
        levels(early, PHONE_HZ),
        levels(late, RECORDING_HZ if len(late) > 1.5 * len(early) else PHONE_HZ),
    ]
    length = max(len(side) for side in sides)
    one, other = (np.pad(side, (0, length - len(side))) for side in sides)
    both = np.correlate(other, one, mode="full")
    return (int(np.argmax(both)) - (length - 1)) * LEVELS_EVERY_SEC


def tone_to_noise_db(sound: Samples) -> float:
    """Of a 440 Hz tone, the median over windows of 0.1 s within it: a hiccup of the machine is not noise."""
    window = PHONE_HZ // 10
    angle = 2 * np.pi * 440 * np.arange(window) / PHONE_HZ
    basis = np.stack([np.sin(angle), np.cos(angle)], axis=1)
    found: list[float] = []
    for start in range(0, len(sound) - window, window):
        piece = sound[start : start + window].astype(np.float64)
        fitted = basis @ np.linalg.lstsq(basis, piece, rcond=None)[0]
        if np.sqrt(np.mean(fitted**2)) > AMPLITUDE / 2:
            found.append(10 * np.log10(np.mean(fitted**2) / np.mean((piece - fitted) ** 2)))
    assert len(found) > 10
    return float(np.median(found))
