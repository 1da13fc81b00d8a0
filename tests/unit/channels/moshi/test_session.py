"""The Moshi websocket with a fake model behind it, over real connections and one that does not read."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator

import pytest

from personaplex_ui.calls.call import Call
from personaplex_ui.calls.live_call import LiveCall
from personaplex_ui.calls.manager import CallManager
from personaplex_ui.calls.settings import CallSettings
from personaplex_ui.calls.snapshot import End, Phase, Transport
from personaplex_ui.channels import peer_websocket
from personaplex_ui.channels import token_bucket as intake
from personaplex_ui.channels.moshi import session as moshi_ws
from personaplex_ui.channels.moshi.paced_input import MOST_SEC
from personaplex_ui.channels.moshi.query import Extensions
from personaplex_ui.channels.moshi.receiving import MOST_FAULTS
from personaplex_ui.channels.moshi.session import serve_chat
from personaplex_ui.engine.speech_model import Persona
from personaplex_ui.errors import InvalidInput
from tests.support.asgi_peer import AsgiPeer
from tests.support.clients.moshi import MoshiClient, chat
from tests.support.fake_model import FakeModel
from tests.support.loopback_server import moshi_server
from tests.support.running import until
from tests.support.sounds import tone

SLOTS = 2


def read_settings(voice: str = "NATF2", prompt: str = "Be kind.") -> CallSettings:
    if voice == "unusable":
        raise InvalidInput("voice", "There is no voice “unusable”. Please choose one from the list.")
    return CallSettings(Persona(voice, prompt), record=False)


@pytest.fixture
async def url(call_manager: CallManager) -> AsyncIterator[str]:
    async with moshi_server(call_manager, lambda query: read_settings(**query)) as url:
        yield url


def only_call(call_manager: CallManager) -> LiveCall:
    (call,) = call_manager.calls.values()
    assert isinstance(call, LiveCall)
    return call


async def goes_on(client: MoshiClient) -> bool:
    """Whether its call answers what it says now."""
    frames = len(client.loudness)
    client.say(tone(0.4))
    await client.until(lambda: max(client.loudness[frames:], default=0.0) > 0.1)
    return not client.closed


# Begin -----------------------------------------------------------------------------------------------


async def test_a_call_goes_from_the_handshake_to_sound_and_text(url: str, call_manager: CallManager):
    async with chat(url) as client:
        await client.until(lambda: client.ready)
        call = only_call(call_manager)
        assert call.transport is Transport.MOSHI
        assert await goes_on(client)
        await client.until(lambda: len(client.texts) > 2)
        assert set(client.texts) == {" word"}
        assert client.states[-1]["state"] == "live"
        assert client.states[-1]["figures"].keys() == {
            "dropped_heard",
            "dropped_said",
            "lag_frames",
            "too_fast_sec",
        }
        assert client.kinds.index(0x00) < client.kinds.index(0x01)
    await call_manager.ended(call)
    assert (call.reason, call.end) == ("The client hung up.", End.HUNG_UP)
    assert client.errors == []
    assert client.text == "".join(call.transcript.pieces)[: len(client.text)]


async def test_what_cannot_be_used_is_told_and_closes(url: str, call_manager: CallManager):
    async with chat(url, {"voice": "unusable"}) as client:
        await client.until(lambda: client.closed)
    assert "no voice “unusable”" in client.errors[0]
    assert (client.close_code, client.close_reason) == (4000, client.errors[0])
    assert call_manager.calls == {}


async def test_those_who_wait_are_told_their_place_and_get_the_slot(
    url: str, call_manager: CallManager, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(moshi_ws, "SIGN_OF_LIFE_EVERY_SEC", 0.05)
    async with contextlib.AsyncExitStack() as stack:
        talkers = [await stack.enter_async_context(chat(url)) for _ in range(SLOTS)]
        for talker in talkers:
            await talker.until(lambda talker=talker: talker.ready)
        waiting = await stack.enter_async_context(chat(url))
        await waiting.until(lambda: waiting.kinds.count(0x06) >= 3)
        assert waiting.states == [{"state": "waiting", "place": 1, "waiting": 1}]
        assert not waiting.ready

        async with chat(url) as too_many:
            await too_many.until(lambda: too_many.closed)
        assert "try again" in too_many.errors[0]
        assert too_many.close_code == 1013

        await talkers[0].websocket.close()
        await waiting.until(lambda: waiting.ready)
        assert await goes_on(waiting)
        assert await goes_on(talkers[1])


async def test_the_progress_of_preparing_is_told(url: str, model: FakeModel, call_manager: CallManager):
    model.chunks = 10**9
    async with chat(url) as client:
        await client.until(lambda: bool(client.states))
        assert client.states[-1]["state"] == "preparing"
        assert 0.0 <= client.states[-1]["progress"] <= 1.0
    await until(lambda: not call_manager.calls)


# PCM -------------------------------------------------------------------------------------------------

PCM = {"audio": "pcm16"}


async def test_a_client_without_opus_talks_and_hears_in_pcm(url: str, call_manager: CallManager):
    async with chat(url, PCM) as client:
        await client.until(lambda: client.ready)
        assert await goes_on(client)
        assert {len(sound) for sound in client.sound} == {1_920}
        assert client.errors == []


async def test_half_a_sample_is_told_and_the_call_goes_on(url: str):
    async with chat(url, PCM) as client:
        await client.until(lambda: client.ready)
        await client.send(b"\x01\x00\x00\x00")
        await client.until(lambda: bool(client.errors))
        assert "whole samples" in client.errors[0]
        assert await goes_on(client)


async def test_pcm_ten_times_faster_than_real_time_is_closed_with_words(url: str):
    async with chat(url) as other, chat(url, PCM, microphone=False) as client:
        await client.until(lambda: client.ready)
        piece = client.audio(tone(0.08))
        for _ in range(1_500):
            await client.send(piece)
            await asyncio.sleep(0)
        await client.until(lambda: client.closed)
        assert "more was sent" in client.close_reason
        assert client.close_code == 1008
        assert await goes_on(other)


# Hanging up ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("phase", [Phase.WAITING, Phase.PREPARING, Phase.LIVE])
@pytest.mark.parametrize("politely", [True, False])
async def test_a_client_that_leaves_frees_its_place_in_any_phase(
    url: str, call_manager: CallManager, model: FakeModel, phase: Phase, politely: bool
):
    held = [call_manager.open(read_settings()) for _ in range(SLOTS if phase is Phase.WAITING else 0)]
    for call in held:
        await call.live.wait()
    model.chunks = 10**9 if phase is Phase.PREPARING else 1
    async with chat(url) as client:
        await until(lambda: len(call_manager.calls) > len(held))
        call = list(call_manager.calls.values())[-1]
        await until(lambda: call.phase is phase)
        if politely:
            await client.websocket.close()
        else:
            client.websocket.transport.abort()
        await call_manager.ended(call)
    told = ("The client hung up.", End.HUNG_UP) if politely else ("The connection was lost.", End.LOST)
    assert (call.reason, call.end) == told
    assert list(call_manager.calls.values()) == held


@pytest.mark.parametrize(
    ("end", "code"),
    [(End.TIME_LIMIT, 1000), (End.LOST, 1000), (End.SHUTDOWN, 1001), (End.FAILED, 1011), (End.REFUSED, 1013)],
)
async def test_the_end_of_a_call_is_told_with_its_reason(
    url: str, call_manager: CallManager, end: End, code: int
):
    async with chat(url) as client:
        await client.until(lambda: client.ready)
        only_call(call_manager).hang_up("Calls end after 10 minutes.", end)
        await client.until(lambda: client.closed)
    assert client.errors == ["Calls end after 10 minutes."]
    assert (client.close_code, client.close_reason) == (code, "Calls end after 10 minutes.")


async def test_notes_come_as_metadata(url: str, call_manager: CallManager, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(moshi_ws, "SIGN_OF_LIFE_EVERY_SEC", 0.05)
    async with chat(url) as client:
        await client.until(lambda: client.ready)
        only_call(call_manager).notes.append("This call ends in 10 seconds.")
        await client.until(lambda: {"note": "This call ends in 10 seconds."} in client.states)
        states = len(client.states)
        await client.until(lambda: len(client.states) > states + 2)
        assert client.states.count({"note": "This call ends in 10 seconds."}) == 1


# Speak this ------------------------------------------------------------------------------------------


async def test_a_text_to_speak_reaches_the_model(url: str, model: FakeModel):
    async with chat(url) as client:
        await client.until(lambda: client.ready)
        await client.speak("Good morning!")
        await client.speak("Good night!")
        await until(lambda: len(model.spoken) == 2)
        assert [text for _, text in model.spoken] == ["Good morning!", "Good night!"]
        await client.speak("one too many")
        await client.until(lambda: bool(client.errors))
        assert client.errors == ["TTS queue full"]
        assert await goes_on(client)


async def test_nothing_can_be_spoken_before_the_call_is_live(url: str, model: FakeModel):
    model.chunks = 10**9
    async with chat(url) as client:
        await client.until(lambda: bool(client.states))
        await client.speak("Good morning!")
        await client.until(lambda: bool(client.errors))
        assert "handshake" in client.errors[0]
        assert not client.closed
    assert model.spoken == []


# Bad input -------------------------------------------------------------------------------------------

FAULTS: list[tuple[bytes | str, str]] = [
    (b"", "empty"),
    ("hello", "text message"),
    (b"\x08", "kind 08"),
    (b"\x03", "action"),
    (b"\x04{", "JSON"),
    (b"\x02\xff", "UTF-8"),
    (b"\x07", "no text"),
    (b"\x07" + b"a" * 9_000, "bytes"),
    (b"\x01" + bytes(70_000), "bytes"),
    (b"\x01" + bytes(1_000), "not an Ogg page"),
]


async def test_every_fault_is_answered_and_the_call_goes_on(url: str):
    async with chat(url) as client:
        await client.until(lambda: client.ready)
        for number, (message, words) in enumerate(FAULTS):
            await client.send(message)
            await client.until(lambda number=number: len(client.errors) > number)
            assert words in client.errors[number]
        for harmless in (b"\x00\x00\x00", b"\x01", b"\x02Hello", b"\x03\x07", b"\x04{}", b"\x05x", b"\x06"):
            await client.send(harmless)
        assert await goes_on(client)
        assert len(client.errors) == len(FAULTS)


async def test_too_many_faults_close_the_connection(url: str, call_manager: CallManager):
    async with chat(url) as other, chat(url) as client:
        await client.until(lambda: client.ready)
        for _ in range(MOST_FAULTS + 10):
            await client.send(b"\xff")
        await client.until(lambda: client.closed)
        assert client.errors[-1] == client.close_reason
        assert "50 messages could not be read" in client.close_reason
        assert client.close_code == 1008
        assert len(client.errors) == MOST_FAULTS + 1
        assert await goes_on(other)
        await until(lambda: len(call_manager.calls) == 1)


async def test_sound_before_the_handshake_is_not_heard(url: str, model: FakeModel, call_manager: CallManager):
    held = [call_manager.open(read_settings()) for _ in range(SLOTS)]
    async with chat(url) as client:
        await until(lambda: len(call_manager.calls) == SLOTS + 1)
        for frame in tone(0.8).reshape(-1, 1_920):
            await client.send(client.audio(frame))
        await asyncio.sleep(0.1)
        held[0].hang_up("Goodbye.")
        await client.until(lambda: len(client.loudness) > 3)
        assert max(client.loudness) < 0.1  # what its encoder still held of it
        assert client.errors == []
        assert await goes_on(client)


async def test_a_client_that_sends_ten_times_real_time_is_closed_with_words(url: str):
    async with chat(url) as other, chat(url, microphone=False) as client:
        pages = [client.audio(frame) for frame in tone(30.0).reshape(-1, 1_920)]
        await client.until(lambda: client.ready)
        for page in pages:
            await client.send(page)
            await asyncio.sleep(0)
        await client.until(lambda: client.closed)
        assert "more was sent" in client.close_reason
        assert client.close_code == 1008
        assert await goes_on(other)


async def test_a_flood_of_messages_that_say_nothing_is_closed_with_words(url: str):
    async with chat(url) as other, chat(url, microphone=False) as client:
        await client.until(lambda: client.ready)
        for _ in range(40):
            await client.send(b"\x01" + bytes([0x4F]) * 65_000)
        await client.until(lambda: client.closed)
        assert client.close_code == 1008
        assert await goes_on(other)


async def test_what_a_client_kept_while_it_waited_may_come_all_at_once(
    url: str, call_manager: CallManager, monkeypatch: pytest.MonkeyPatch
):
    """As LiveKit's plugin sends it. It is too old to be heard, but the client is not to blame, and is heard
    from now on."""
    monkeypatch.setattr(intake, "MOST_DROPPED_SEC", 1.0)
    held = [call_manager.open(read_settings()) for _ in range(SLOTS)]
    async with chat(url, microphone=False) as client:
        await until(lambda: len(call_manager.calls) == SLOTS + 1)
        await asyncio.sleep(2.2)
        held[0].hang_up("Goodbye.")
        await client.until(lambda: client.ready)
        for frame in tone(MOST_SEC + 2.52).reshape(-1, 1_920):
            await client.send(client.audio(frame))
        for frame in tone(2.0).reshape(-1, 1_920):
            await asyncio.sleep(0.08)
            await client.send(client.audio(frame))
        await client.until(lambda: len(client.loudness) > 20)
        assert client.errors == []
        assert not client.closed


async def test_the_headers_of_a_stream_count_though_its_sound_is_not_heard_yet(
    url: str, call_manager: CallManager
):
    """A stream that is no Opus is known by its first page, also if that came while the client waited."""
    held = [call_manager.open(read_settings()) for _ in range(SLOTS)]
    async with chat(url, microphone=False) as client:
        await until(lambda: len(call_manager.calls) == SLOTS + 1)
        sound = client.audio(tone(0.08))
        await client.send(sound.replace(b"OpusHead", b"VorbisHd"))
        await client.until(lambda: bool(client.errors))  # this client asked to be told at once
        held[0].hang_up("Goodbye.")
        await client.until(lambda: client.ready)
        for frame in tone(0.8).reshape(-1, 1_920):
            await client.send(client.audio(frame))
        await client.send(b"")
        await client.until(lambda: len(client.errors) > 1)
        assert client.kinds.count(0x01) == 0


# Those who do not read -------------------------------------------------------------------------------


@pytest.mark.parametrize("reads", [1, 2, 3, 8])
async def test_a_client_that_reads_nothing_is_given_up(
    call_manager: CallManager, monkeypatch: pytest.MonkeyPatch, reads: int
):
    monkeypatch.setattr(peer_websocket, "SEND_WITHIN_SEC", 0.05)
    monkeypatch.setattr(moshi_ws, "SIGN_OF_LIFE_EVERY_SEC", 0.01)
    ended: list[Call] = []
    call_manager.on_end.append(ended.append)
    deaf = AsgiPeer(reads=reads)
    async with asyncio.timeout(5.0):
        await serve_chat(deaf.websocket, call_manager, read_settings, extensions=Extensions(tells_state=True))
        await until(lambda: bool(ended))
    assert ended[0].end is End.LOST
    assert len(deaf.sent) == reads


async def test_a_cancelled_connection_hangs_up(call_manager: CallManager):
    serving = asyncio.create_task(serve_chat(AsgiPeer().websocket, call_manager, read_settings))
    await until(lambda: bool(call_manager.calls) and only_call(call_manager).phase is Phase.LIVE)
    call = only_call(call_manager)
    serving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await serving
    await call_manager.ended(call)
    assert call.end is End.HUNG_UP


async def test_a_fault_of_ours_ends_the_call_with_words(
    url: str, call_manager: CallManager, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    async with chat(url) as client:
        await client.until(lambda: client.ready)

        def broken(samples: object) -> None:
            raise RuntimeError("a secret of ours")

        monkeypatch.setattr(only_call(call_manager), "hear", broken)
        await client.until(lambda: client.closed)
    assert "failed on our side" in client.errors[0]
    assert client.close_code == 1011
    assert "a secret of ours" in caplog.text


# The caller's words ----------------------------------------------------------------------------------


async def test_a_client_that_asks_is_told_what_the_caller_said(url: str, call_manager: CallManager):
    async with chat(url, {"captions": "1"}, tells_state=False) as client:
        await client.until(lambda: client.ready)
        call = only_call(call_manager)
        call.hear_words(" Hello <b>\n", 0.0, 0.5)
        await client.until(lambda: bool(client.states))
        call.hear_words(" there.", 0.6, 1.0)
        await client.until(lambda: len(client.states) == 2)
        call.conversation.typed("No words of the caller.", 1.0)
        call.hang_up("Enough.")
        call.hear_words(" Bye.", 1.1, 1.3)
        await client.until(lambda: client.closed)
    n = client.states[0]["caller"]["n"]
    assert [state["caller"] for state in client.states] == [
        {"n": n, "start_sec": 0.0, "end_sec": 0.5, "text": "Hello <b>"},
        {"n": n, "start_sec": 0.0, "end_sec": 1.0, "text": "Hello <b> there."},
        {"n": n, "start_sec": 0.0, "end_sec": 1.3, "text": "Hello <b> there. Bye."},
    ]


@pytest.mark.parametrize("asked", [{}, {"captions": "0"}, {"captions": "yes"}])
async def test_a_client_that_does_not_ask_is_told_nothing_of_it(
    asked: dict[str, str], url: str, call_manager: CallManager
):
    async with chat(url, asked, tells_state=False) as client:
        await client.until(lambda: client.ready)
        only_call(call_manager).hear_words(" Hello.", 0.0, 0.5)
        assert await goes_on(client)
        only_call(call_manager).hang_up("Enough.")
        await client.until(lambda: client.closed)
    assert set(client.kinds) == {0x00, 0x01, 0x02, 0x05}


async def test_a_client_that_is_told_facts_gets_the_words_there_and_only_there(
    url: str, call_manager: CallManager
):
    async with chat(url, {"captions": "1", "facts": "1"}, tells_state=False) as client:
        await client.until(lambda: client.ready)
        only_call(call_manager).hear_words(" Hello.", 0.0, 0.5)
        await client.until(lambda: '"text": "Hello."' in json.dumps(client.states))
    assert not any("caller" in state for state in client.states)
