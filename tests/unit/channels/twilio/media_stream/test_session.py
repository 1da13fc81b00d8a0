"""Twilio's stream on a wire in memory: a whole call, how calls end, every order of messages.

The model says back what it hears. How that sounds over a real socket: ``e2e/test_twilio_call.py``.
What a peer can do wrong: ``test_faults.py``.
"""

import asyncio
import base64
import contextlib
import logging
import time

import numpy as np
import pytest

from personaplex_ui.audio import mu_law
from personaplex_ui.audio.frames import Frame
from personaplex_ui.calls.live_call import LiveCall
from personaplex_ui.calls.manager import CallManager
from personaplex_ui.calls.snapshot import End, Phase, Transport
from personaplex_ui.channels.twilio.media_stream import session
from personaplex_ui.channels.twilio.media_stream.playout import Cadence
from personaplex_ui.channels.twilio.media_stream.sending import HUNG_UP
from personaplex_ui.channels.twilio.spoken_sentences import BUSY
from personaplex_ui.engine.engine import Engine, EngineState
from tests.support.fake_model import FakeModel
from tests.support.running import until
from tests.support.twilio_rig import CHUNK_SEC, LOUD, QUIET, SETTINGS, Dial, Peer, media, started

# A call ------------------------------------------------------------------------------------------------


async def test_a_whole_call(peer: Peer, call_manager: CallManager) -> None:
    call = peer.call
    assert (call.transport, call.settings) == (Transport.TWILIO, SETTINGS)
    await peer.say(0.4)
    await until(lambda: len(peer.events("mark")) >= 2)
    assert {len(base64.b64decode(message["media"]["payload"])) for message in peer.events("media")} == {160}
    kinds = [message["event"] for message in peer.received]
    assert kinds[:10] == ["media"] * 4 + ["mark"] + ["media"] * 4 + ["mark"]
    names = [message["mark"]["name"] for message in peer.events("mark")]
    assert len(set(names)) == len(names)
    peer.send({"event": "stop", "stop": {}})
    assert await peer.over() == (1000, HUNG_UP)
    assert (call.end, call.reason) == (End.HUNG_UP, HUNG_UP)
    await until(lambda: not call_manager.calls)


async def test_sound_goes_out_at_real_time_however_much_is_there(peer: Peer) -> None:
    for _ in range(24):
        peer.send(media())
    began_at = time.monotonic()
    await until(lambda: len(peer.events("media")) >= 12)
    assert time.monotonic() - began_at >= 10 * CHUNK_SEC


@pytest.mark.parametrize(("sound", "chunks"), [(LOUD, 4), (QUIET, 2)])
async def test_after_a_stall_quiet_sound_is_shortened_and_loud_sound_never(
    peer: Peer, monkeypatch: pytest.MonkeyPatch, sound: bytes, chunks: int
) -> None:
    def lagging(cadence: Cadence, now: float, waited_sec: float) -> int:
        return 2

    monkeypatch.setattr(Cadence, "spare_chunks", lagging)
    await peer.say(0.4, sound)
    await until(lambda: len(peer.events("mark")) >= 3)
    kinds = [message["event"] for message in peer.received]
    assert kinds[: 2 * chunks + 2] == (["media"] * chunks + ["mark"]) * 2


async def test_frames_are_heard_when_their_marks_are_back(
    peer: Peer, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: list[float] = []

    def note(call: LiveCall, frame: Frame) -> None:
        heard.append(float(np.abs(frame).max()))

    monkeypatch.setattr(LiveCall, "heard", note)
    await peer.say(0.5)
    await until(lambda: len(heard) >= 3)
    assert len(heard) <= len(peer.events("mark"))
    assert max(heard) == pytest.approx(0.25, abs=0.05)


async def test_it_takes_back_what_lies_unplayed_when_the_caller_speaks(dial: Dial) -> None:
    peer = dial(returns_marks=False)
    call = await peer.start()
    await peer.say(0.3)
    peer.send(peer.events("mark")[0])  # the first was played; from then on the network stalls
    async with asyncio.timeout(10.0):
        while not peer.events("clear"):
            await peer.say(CHUNK_SEC)
    assert 5 <= len(peer.events("mark")) < 25
    assert call.phase is Phase.LIVE
    await peer.say(0.2)
    assert len(peer.events("clear")) == 1, "no mark came back since"


async def test_a_key_is_noted_without_its_digit(peer: Peer, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    peer.send({"event": "dtmf", "dtmf": {"track": "inbound_track", "digit": "7"}})
    await until(lambda: "pressed a key" in caplog.text)
    assert not any("7" in record.getMessage() for record in caplog.records)


# How calls end -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("code", "end"), [(1000, End.HUNG_UP), (1005, End.LOST), (1006, End.LOST)])
async def test_a_peer_that_is_gone_has_hung_up_or_lost_its_connection(
    peer: Peer, engine: Engine, code: int, end: End
) -> None:
    call = peer.call
    peer.disconnect(code)
    await peer.over()
    assert call.end is end
    await until(lambda: engine.slots.free == 2)


async def test_the_end_of_a_call_closes_the_stream_with_its_reason(peer: Peer) -> None:
    call = peer.call
    call.hang_up("Calls end after 10 minutes. " * 10, End.TIME_LIMIT)
    code, reason = await peer.over()
    assert code == 1000
    assert reason.startswith("Calls end after 10 minutes.")


async def test_a_shutdown_closes_the_stream_as_going_away(peer: Peer, call_manager: CallManager) -> None:
    call = peer.call
    await call_manager.close()
    assert (await peer.over())[0] == 1001
    assert call.end is End.SHUTDOWN


async def test_a_fault_of_the_model_ends_the_call(dial: Dial, model: FakeModel) -> None:
    peer, other = dial(), dial()
    call = await peer.start()
    model.fail_steps = 1
    await peer.say(0.2)
    assert (await peer.over())[0] == 1000
    assert call.end is End.FAILED
    await other.start()
    assert await other.is_answered()


async def test_without_a_free_slot_it_waits_a_little_and_then_says_so(
    dial: Dial, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "SLOT_WITHIN_SEC", 0.15)
    first, second = dial(), dial()
    call = await first.start()
    await second.start()
    waiting = dial()
    waiting.send(started())
    assert await waiting.over() == (1000, BUSY)
    assert waiting.call.end is End.REFUSED
    assert waiting.received == []

    lucky = dial()
    lucky.send(started())
    await until(lambda: bool(lucky.calls))
    call.hang_up("Bye.")
    await lucky.call.live.wait()
    assert await lucky.is_answered()


async def test_a_call_is_refused_while_there_is_no_model(dial: Dial, engine: Engine) -> None:
    engine.health.state, engine.health.message = EngineState.LOADING, "The speech model is being loaded."
    peer = dial()
    peer.send(started())
    assert await peer.over() == (1000, "The speech model is being loaded.")
    assert peer.call.end is End.REFUSED
    engine.health.state = EngineState.READY


async def test_a_server_that_stops_serving_ends_the_call(peer: Peer) -> None:
    call = peer.call
    peer.serving.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await peer.serving
    await call.over.wait()
    assert call.end is End.SHUTDOWN
    peer.serving = asyncio.create_task(asyncio.sleep(0))


# Any order -----------------------------------------------------------------------------------------------


async def test_a_second_start_and_the_other_track_change_nothing(
    peer: Peer, call_manager: CallManager
) -> None:
    call = peer.call
    peer.send(started("another token"))
    peer.send(started())
    peer.send({"event": "start", "start": {"customParameters": 7}})
    peer.send({"event": "connected"})
    assert await peer.is_answered()
    assert list(call_manager.calls.values()) == [call] == peer.calls
    heard = call.elapsed_sec
    await peer.say(0.2, mu_law.encode(np.zeros(160, dtype=np.float32)))
    for _ in range(20):
        peer.send(media(LOUD, track="outbound"))
    await asyncio.sleep(0.1)
    assert call.elapsed_sec > heard
    assert call.caller_levels.now < -35


async def test_a_stream_that_does_not_start_is_closed(dial: Dial, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "START_WITHIN_SEC", 0.1)
    silent = dial()
    assert (await silent.over())[0] == 1008
    gone = dial()
    gone.disconnect()
    assert (await gone.over())[0] == 1000
    chatty = dial()
    for _ in range(100):
        chatty.send(media())
    chatty.send(started())
    code, reason = await chatty.over()
    assert (code, "start" in reason) == (1008, True)
    assert chatty.calls == []
