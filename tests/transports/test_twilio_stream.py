"""Twilio's stream on a wire in memory: a whole call, every order of messages, all that a peer can do wrong.

The model says back what it hears. How that sounds over a real socket: ``end_to_end/test_twilio_quality.py``.
"""

import asyncio
import base64
import contextlib
import json
import logging
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi import WebSocket

from personaplex_ui.audio import mu_law
from personaplex_ui.audio.frames import Frame, Samples
from personaplex_ui.calls.address_limits import AddressLimits
from personaplex_ui.calls.archive import Archive
from personaplex_ui.calls.call import Call
from personaplex_ui.calls.call_settings import CallSettings
from personaplex_ui.calls.snapshot import End, Phase, Transport
from personaplex_ui.calls.switchboard import Switchboard
from personaplex_ui.engine.speech_model import Persona
from personaplex_ui.engine.worker import Engine, EngineState
from personaplex_ui.errors import InvalidInput
from personaplex_ui.protocols.twilio import Start
from personaplex_ui.transports import twilio_stream
from personaplex_ui.transports.twilio_stream import (
    ALL_BUSY,
    CHARACTERS_PER_SEC,
    HUNG_UP,
    NOT_READ,
    TOO_FAST,
    TOO_MANY_FAULTS,
    Lobby,
    PhoneGrant,
    serve_stream,
)
from tests.fake_model import FakeModel
from tests.running import until

SETTINGS = CallSettings(Persona("NATF2", "Be kind."), record=False)
TOKEN = "a token"
SID = "MZ18ad3ab5a668481ce02b83e7395059f0"
CHUNK_SEC = 0.02
LOUD = mu_law.encode(np.full(160, 0.25, dtype=np.float32))


def admit(start: Start) -> PhoneGrant:
    if start.parameters.get("token") != TOKEN:
        raise InvalidInput("token", "This call was not announced.")
    return PhoneGrant(SETTINGS, "", "192.0.2.7", Transport.TWILIO)


def started(token: str = TOKEN) -> dict[str, Any]:
    start = {"streamSid": SID, "callSid": "CA1", "customParameters": {"token": token}}
    return {"event": "start", "start": start}


def media(sound: bytes = LOUD, track: str = "inbound") -> dict[str, Any]:
    return {"event": "media", "media": {"track": track, "payload": base64.b64encode(sound).decode()}}


class Peer:
    """A websocket in memory, and what Twilio does with it. ``reads``: cleared, it takes no message."""

    def __init__(
        self, switchboard: Switchboard, lobby: Lobby, returns_marks: bool = True, address: str = ""
    ) -> None:
        self.received: list[dict[str, Any]] = []
        self.sound = bytearray()
        self.closed: tuple[int, str] | None = None
        self.calls: list[Call] = []
        self.reads = asyncio.Event()
        self.reads.set()
        self._returns_marks = returns_marks
        self._to_server: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._to_server.put_nowait({"type": "websocket.connect"})
        websocket = WebSocket({"type": "websocket"}, self._to_server.get, self._take)
        self.serving = asyncio.create_task(
            serve_stream(
                websocket, switchboard, admit, lambda start, call: self.calls.append(call), lobby, address
            )
        )

    def send(self, message: dict[str, Any] | str | bytes) -> None:
        match message:
            case bytes():
                self._put(bytes=message)
            case str():
                self._put(text=message)
            case dict():
                self._put(text=json.dumps(message))

    def disconnect(self, code: int = 1000) -> None:
        self._to_server.put_nowait({"type": "websocket.disconnect", "code": code})

    async def start(self) -> Call:
        """Returns the call when it is live."""
        self.send({"event": "connected", "protocol": "Call", "version": "1.0.0"})
        self.send(started())
        await until(lambda: bool(self.calls))
        await self.call.live.wait()
        return self.call

    @property
    def call(self) -> Call:
        (call,) = self.calls
        return call

    async def say(self, sec: float, sound: bytes = LOUD) -> None:
        """Send ``sound`` (20 ms) again and again, at real time."""
        for _ in range(round(sec / CHUNK_SEC)):
            self.send(media(sound))
            await asyncio.sleep(CHUNK_SEC)

    async def is_answered(self) -> bool:
        """Whether it hears what it says from now on."""
        self.sound.clear()
        await self.say(0.2)
        await until(lambda: len(self.sound) >= 640)
        return bool(np.abs(mu_law.decode(bytes(self.sound))).max() > 0.2)

    async def over(self) -> tuple[int, str]:
        """Wait for the end; returns the code and the reason of the close."""
        async with asyncio.timeout(10.0):
            await self.serving
        assert self.closed is not None
        assert len(self.closed[1].encode()) <= 123
        return self.closed

    def events(self, event: str) -> list[dict[str, Any]]:
        return [message for message in self.received if message["event"] == event]

    def _put(self, **content: str | bytes) -> None:
        self._to_server.put_nowait({"type": "websocket.receive", **content})

    async def _take(self, message: Any) -> None:
        match message["type"]:
            case "websocket.accept":
                pass
            case "websocket.close":
                assert self.closed is None
                self.closed = message["code"], message["reason"]
            case _:
                await self.reads.wait()
                self._receive(json.loads(message["text"]))

    def _receive(self, message: dict[str, Any]) -> None:
        assert message["streamSid"] == SID
        self.received.append(message)
        if message["event"] == "media":
            self.sound += base64.b64decode(message["media"]["payload"])
        elif message["event"] == "mark" and self._returns_marks:
            self.send(message)


@pytest.fixture
def model() -> FakeModel:
    return FakeModel()


@pytest.fixture
async def engine(model: FakeModel) -> AsyncIterator[Engine]:
    engine = Engine(lambda report: model, max_calls=2, max_waiting=1)
    await engine.start()
    await until(lambda: engine.state is EngineState.READY)
    yield engine
    model.going.set()
    await engine.close()


@pytest.fixture
async def switchboard(engine: Engine, tmp_path: Path) -> AsyncIterator[Switchboard]:
    archive = Archive(tmp_path / "recordings", 3600.0, time.time)
    switchboard = Switchboard(engine, archive, 600.0, AddressLimits(3, 0, time.monotonic))
    await switchboard.start()
    yield switchboard
    await switchboard.close()


@pytest.fixture
async def dial(switchboard: Switchboard) -> AsyncIterator[Callable[..., Peer]]:
    """Makes peers, and hangs them up afterwards."""
    lobby, peers = Lobby(), list[Peer]()

    def dial(**options: Any) -> Peer:
        peers.append(Peer(switchboard, lobby, **options))
        return peers[-1]

    yield dial
    for peer in peers:
        peer.reads.set()
        peer.disconnect()
        await peer.serving
    assert lobby.newcomers == 0


Dial = Callable[..., Peer]


# A call ------------------------------------------------------------------------------------------------


async def test_a_whole_call(dial: Dial, switchboard: Switchboard) -> None:
    peer = dial()
    call = await peer.start()
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
    await until(lambda: not switchboard.calls)


async def test_sound_goes_out_at_real_time_however_much_is_there(dial: Dial) -> None:
    peer = dial()
    await peer.start()
    for _ in range(50):
        peer.send(media())
    began_at = time.monotonic()
    await until(lambda: len(peer.events("media")) >= 12)
    assert time.monotonic() - began_at >= 10 * CHUNK_SEC


async def test_frames_are_heard_when_their_marks_are_back(
    dial: Dial, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: list[float] = []

    def note(call: Call, frame: Frame) -> None:
        heard.append(float(np.abs(frame).max()))

    monkeypatch.setattr(Call, "heard", note)
    peer = dial()
    await peer.start()
    await peer.say(0.5)
    await until(lambda: len(heard) >= 3)
    assert len(heard) <= len(peer.events("mark"))
    assert max(heard) == pytest.approx(0.25, abs=0.05)


async def test_it_takes_back_what_lies_unplayed_when_the_caller_speaks(dial: Dial) -> None:
    peer = dial(returns_marks=False)
    call = await peer.start()
    await peer.say(0.3)
    peer.send(peer.events("mark")[0])  # the first was played; from then on the line stalls
    async with asyncio.timeout(10.0):
        while not peer.events("clear"):
            await peer.say(CHUNK_SEC)
    assert 5 <= len(peer.events("mark")) < 25
    assert call.phase is Phase.LIVE
    await peer.say(0.2)
    assert len(peer.events("clear")) == 1, "no mark came back since"


async def test_a_key_is_noted_without_its_digit(dial: Dial, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    peer = dial()
    await peer.start()
    peer.send({"event": "dtmf", "dtmf": {"track": "inbound_track", "digit": "7"}})
    await until(lambda: "pressed a key" in caplog.text)
    assert not any("7" in record.getMessage() for record in caplog.records)


# How calls end -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("code", "end"), [(1000, End.HUNG_UP), (1005, End.HUNG_UP), (1006, End.LOST)])
async def test_a_peer_that_is_gone_has_hung_up_or_lost_its_connection(
    dial: Dial, engine: Engine, code: int, end: End
) -> None:
    peer = dial()
    call = await peer.start()
    peer.disconnect(code)
    await peer.over()
    assert call.end is end
    await until(lambda: engine.lines.free == 2)


async def test_the_end_of_a_call_closes_the_stream_with_its_reason(dial: Dial) -> None:
    peer = dial()
    call = await peer.start()
    call.hang_up("Calls end after 10 minutes. " * 10, End.TIME_LIMIT)
    code, reason = await peer.over()
    assert code == 1000
    assert reason.startswith("Calls end after 10 minutes.")


async def test_a_shutdown_closes_the_stream_as_going_away(dial: Dial, switchboard: Switchboard) -> None:
    peer = dial()
    call = await peer.start()
    await switchboard.close()
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


async def test_without_a_free_line_it_waits_a_little_and_then_says_so(
    dial: Dial, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(twilio_stream, "LINE_WITHIN_SEC", 0.15)
    first, second = dial(), dial()
    call = await first.start()
    await second.start()
    waiting = dial()
    waiting.send(started())
    assert await waiting.over() == (1000, ALL_BUSY)
    assert waiting.call.end is End.REFUSED
    assert waiting.received == []

    lucky = dial()
    lucky.send(started())
    await until(lambda: bool(lucky.calls))
    call.hang_up("Bye.")
    await lucky.call.live.wait()
    assert await lucky.is_answered()


async def test_a_call_is_refused_while_there_is_no_model(dial: Dial, engine: Engine) -> None:
    engine.state, engine.message = EngineState.LOADING, "The speech model is being loaded."
    peer = dial()
    peer.send(started())
    assert await peer.over() == (1000, "The speech model is being loaded.")
    assert peer.call.end is End.REFUSED
    engine.state = EngineState.READY


async def test_a_server_that_stops_serving_ends_the_call(dial: Dial) -> None:
    peer = dial()
    call = await peer.start()
    peer.serving.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await peer.serving
    await call.over.wait()
    assert call.end is End.SHUTDOWN
    peer.serving = asyncio.create_task(asyncio.sleep(0))


# Any order -----------------------------------------------------------------------------------------------


async def test_what_comes_before_start_is_ignored(dial: Dial) -> None:
    peer = dial()
    for message in (media(), {"event": "mark", "mark": {"name": "1"}}, b"\0", "{", {"event": "new"}):
        peer.send(message)
    peer.send({"event": "dtmf", "dtmf": {"digit": "1"}})
    await peer.start()
    assert await peer.is_answered()


async def test_stop_before_start_is_the_end(dial: Dial) -> None:
    peer = dial()
    peer.send({"event": "stop"})
    assert await peer.over() == (1000, HUNG_UP)
    assert peer.calls == []


async def test_a_second_start_and_the_other_track_change_nothing(
    dial: Dial, switchboard: Switchboard
) -> None:
    peer = dial()
    call = await peer.start()
    peer.send(started("another token"))
    peer.send(started())
    peer.send({"event": "connected"})
    assert await peer.is_answered()
    assert list(switchboard.calls.values()) == [call] == peer.calls
    heard = call.elapsed_sec
    await peer.say(0.2, mu_law.encode(np.zeros(160, dtype=np.float32)))
    for _ in range(20):
        peer.send(media(LOUD, track="outbound"))
    await asyncio.sleep(0.1)
    assert call.elapsed_sec > heard
    assert call.caller_levels.now < -35


async def test_a_stream_that_does_not_start_is_closed(dial: Dial, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(twilio_stream, "START_WITHIN_SEC", 0.1)
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


# Wrong input ---------------------------------------------------------------------------------------------


async def test_who_is_not_admitted_is_told_why(
    dial: Dial, switchboard: Switchboard, caplog: pytest.LogCaptureFixture
) -> None:
    peer = dial()
    peer.send(started("a forged token"))
    assert await peer.over() == (4003, "This call was not announced.")
    assert not switchboard.calls
    assert "This call was not announced." in caplog.text
    assert "forged" not in caplog.text


async def test_too_many_calls_of_an_address_are_refused(dial: Dial, switchboard: Switchboard) -> None:
    calls = [switchboard.open(SETTINGS, address="192.0.2.7") for _ in range(3)]
    peer = dial()
    peer.send(started())
    code, reason = await peer.over()
    assert (code, "network" in reason) == (4003, True)
    for call in calls:
        call.hang_up("bye")


async def test_a_fault_of_ours_ends_this_stream_alone(
    dial: Dial, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(samples: object) -> None:
        raise ZeroDivisionError

    other = dial()
    await other.start()
    peer = dial()
    call = await peer.start()
    with monkeypatch.context() as broken:
        broken.setattr(call, "hear", fail)
        peer.send(media())
        code, _ = await peer.over()
    assert (code, call.end) == (1011, End.FAILED)
    assert "ZeroDivisionError" in caplog.text
    assert await other.is_answered()


FAULTS: list[str | bytes] = [
    "",
    b"",
    b'{"event": "stop"}',
    "nonsense",
    '{"event": "media", "media": {"payload": "f/8',
    '{"event": "start", "start": {',
    '{"event": "start"}',
    '{"event": "mark"}',
    '{"event": "dtmf", "dtmf": {"digit": 7}}',
    '{"event": "media", "media": {"payload": "never base64!"}}',
    '{"event": "media", "media": "sound"}',
    '{"event": ["stop"]}',
    "[" * 50_000,
    '{"event": "media", "media": {"payload": "' + "A" * 90_000 + '"}}',
]


async def test_what_cannot_be_read_is_ignored_and_logged_once(
    dial: Dial, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(twilio_stream, "CHARACTERS_PER_SEC", 1e9)
    peer, other = dial(), dial()
    await peer.start()
    await other.start()
    for fault in FAULTS:
        for _ in range(2):
            peer.send(fault)
    peer.send({"event": "something new", "payload": [1, 2]})
    peer.send(media(b""))
    assert await peer.is_answered()
    assert await other.is_answered()
    logged = [record.getMessage() for record in caplog.records if "ignored" in record.getMessage()]
    assert len(logged) == len(set(logged)) >= 8
    assert "never" not in caplog.text


async def test_too_many_faults_end_the_call_with_words(dial: Dial) -> None:
    peer = dial()
    call = await peer.start()
    for _ in range(101):
        peer.send("nonsense")
    assert await peer.over() == (1000, TOO_MANY_FAULTS)
    assert call.end is End.REFUSED


@pytest.mark.parametrize("size", [200_000, 10_000_000])
async def test_what_is_far_too_long_is_not_even_read(
    dial: Dial, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    peer = dial()
    call = await peer.start()
    monkeypatch.setattr(json, "loads", None)
    peer.send("[" + " " * size + "]")
    monkeypatch.undo()
    if size > 20 * CHARACTERS_PER_SEC:
        assert await peer.over() == (1000, TOO_FAST)
    else:
        await asyncio.sleep(0.05)
        assert call.phase is Phase.LIVE


async def test_ten_times_real_time_is_cut_down_and_then_closed(
    dial: Dial, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: list[int] = []
    hear = Call.hear

    def counted(call: Call, samples: Samples) -> None:
        heard.append(len(samples))
        hear(call, samples)

    monkeypatch.setattr(Call, "hear", counted)
    peer, other = dial(), dial()
    await other.start()
    call = await peer.start()
    for _ in range(6000):
        peer.send(media())
    assert await peer.over() == (1000, TOO_FAST)
    assert call.end is End.REFUSED
    assert sum(heard) / 24_000 < 3.0
    assert await other.is_answered()


async def test_a_peer_that_reads_nothing_is_hung_up(dial: Dial, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(twilio_stream, "SEND_WITHIN_SEC", 0.15)
    peer, other = dial(), dial()
    call = await peer.start()
    await other.start()
    peer.reads.clear()
    await peer.say(0.2)
    await until(lambda: peer.serving.done())
    assert (call.end, call.reason) == (End.LOST, NOT_READ)
    assert await other.is_answered()


async def test_a_thousand_connections_that_say_nothing_harm_nobody(
    dial: Dial, monkeypatch: pytest.MonkeyPatch, engine: Engine
) -> None:
    talking = dial()
    await talking.start()
    monkeypatch.setattr(twilio_stream, "START_WITHIN_SEC", 1.0)
    silent = [dial() for _ in range(1000)]
    codes = [(await peer.over())[0] for peer in silent]
    assert (codes.count(1008), codes.count(1013)) == (100, 900)
    assert engine.lines.free == 1
    assert await talking.is_answered()
    late = dial()
    await late.start()


async def test_ten_connections_of_one_address_may_say_nothing(dial: Dial) -> None:
    silent = [dial(address="192.0.2.9") for _ in range(12)]
    for refused in silent[10:]:
        code, reason = await refused.over()
        assert (code, "Too many connections" in reason) == (1013, True)
    for address in ("192.0.2.10", ""):
        await dial(address=address).start()
    silent[0].send({"event": "stop"})
    assert await silent[0].over() == (1000, HUNG_UP)
    again = dial(address="192.0.2.9")
    again.send({"event": "stop"})
    assert await again.over() == (1000, HUNG_UP)
    assert not any(peer.serving.done() for peer in silent[1:10])
