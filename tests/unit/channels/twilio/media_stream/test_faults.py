"""What a peer can do wrong on Twilio's stream: strangers, what cannot be read, too much, too fast."""

import asyncio

import pytest

from personaplex_ui.audio.frames import Samples
from personaplex_ui.calls.live_call import LiveCall
from personaplex_ui.calls.manager import CallManager
from personaplex_ui.calls.snapshot import End, Phase
from personaplex_ui.channels.twilio.media_stream import protocol, receiving, sending, session
from personaplex_ui.channels.twilio.media_stream.receiving import (
    CHARACTERS_PER_SEC,
    TOO_FAST,
    TOO_MANY_FAULTS,
)
from personaplex_ui.channels.twilio.media_stream.sending import HUNG_UP, NOT_READ
from personaplex_ui.engine.engine import Engine
from tests.support.running import until
from tests.support.twilio_rig import TOKEN, Dial, Peer, media, started


async def test_who_is_not_admitted_is_told_why(
    dial: Dial, call_manager: CallManager, caplog: pytest.LogCaptureFixture
) -> None:
    peer = dial()
    peer.send(started("a forged token"))
    assert await peer.over() == (4003, "This call was not announced.")
    assert not call_manager.calls
    assert "This call was not announced." in caplog.text
    assert "forged" not in caplog.text


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"mediaFormat": {"encoding": "audio/pcm", "sampleRate": 8000, "channels": 1}}, "audio/x-mulaw"),
        ({"mediaFormat": "mulaw"}, "mediaFormat"),
        ({"streamSid": None}, "streamSid"),
        ({"customParameters": [["token", TOKEN]]}, "customParameters"),
        ({"customParameters": {"token": TOKEN, "seed": 7}}, "customParameters"),
    ],
)
async def test_a_start_that_cannot_be_used_is_told_so_at_once(
    dial: Dial, call_manager: CallManager, changed: dict[str, object], words: str
) -> None:
    message = started()
    message["start"].update(changed)
    peer = dial()
    peer.send({"event": "connected"})
    peer.send(message)
    code, reason = await peer.over()
    assert (code, words in reason) == (4003, True)
    assert not call_manager.calls


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
    monkeypatch.setattr(receiving, "CHARACTERS_PER_SEC", 1e9)
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


async def test_too_many_faults_end_the_call_with_words(peer: Peer) -> None:
    call = peer.call
    for _ in range(101):
        peer.send("nonsense")
    assert await peer.over() == (1000, TOO_MANY_FAULTS)
    assert call.end is End.REFUSED


@pytest.mark.parametrize("size", [200_000, 10_000_000])
async def test_what_is_far_too_long_is_not_even_read(
    peer: Peer, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    call = peer.call
    monkeypatch.setattr(protocol, "parse", None)
    peer.send("[" + " " * size + "]")
    await asyncio.sleep(0.05)
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
    hear = LiveCall.hear

    def counted(call: LiveCall, samples: Samples) -> None:
        heard.append(len(samples))
        hear(call, samples)

    monkeypatch.setattr(LiveCall, "hear", counted)
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
    monkeypatch.setattr(sending, "SEND_WITHIN_SEC", 0.15)
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
    monkeypatch.setattr(session, "START_WITHIN_SEC", 1.0)
    silent = [dial() for _ in range(1000)]
    codes = [(await peer.over())[0] for peer in silent]
    assert (codes.count(1008), codes.count(1013)) == (100, 900)
    assert engine.slots.free == 1
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
