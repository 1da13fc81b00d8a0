"""What a Moshi client sees that did not ask for more: nothing before 00, and then 00, 01 and 02, as NVIDIA's
server does it. Many clients take the first message for the handshake, whatever it is."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator

import pytest
from fastapi import FastAPI

from personaplex_ui.calls.manager import CallManager
from personaplex_ui.calls.snapshot import End, Phase
from personaplex_ui.channels.moshi import receiving
from personaplex_ui.channels.moshi import session as moshi_ws
from personaplex_ui.channels.moshi.routes import build_moshi_router
from personaplex_ui.engine.engine import Engine, EngineState
from personaplex_ui.voices.catalogue import Voice
from personaplex_ui.voices.library import VoiceLibrary
from tests.support.clients.moshi import MoshiClient, chat
from tests.support.fake_model import FakeModel
from tests.support.loopback_server import serving
from tests.support.running import until
from tests.support.sounds import tone

VOICES = VoiceLibrary([Voice("NATF2", "", "NATF2")], default="NATF2")
JUNK: tuple[bytes | str, ...] = (b"", "text", b"\x08", b"\x03", b"\x04{", b"\x02\xff", b"\x07", b"\x01junk")


@pytest.fixture
async def url(call_manager: CallManager, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[str]:
    monkeypatch.setattr(moshi_ws, "SIGN_OF_LIFE_EVERY_SEC", 0.02)
    app = FastAPI()
    app.include_router(build_moshi_router(call_manager, VOICES, "Be kind.", lambda connection: "192.0.2.1"))
    async with serving(app) as url:
        yield url


@contextlib.asynccontextmanager
async def plain(url: str, query: dict[str, str] | None = None) -> AsyncGenerator[MoshiClient]:
    """A client that asks for nothing beyond the protocol."""
    async with chat(url, query, tells_state=False) as client:
        yield client


async def talks(client: MoshiClient) -> None:
    frames = len(client.loudness)
    client.say(tone(0.4))
    await client.until(lambda: max(client.loudness[frames:], default=0.0) > 0.1)
    await client.until(lambda: bool(client.texts))


async def test_a_call_is_00_then_sound_and_text(url: str, model: FakeModel):
    model.chunks = 20
    async with plain(url) as client:
        await client.until(lambda: bool(client.kinds))
        await talks(client)
        await client.until(lambda: len(client.loudness) > 12)
        assert client.kinds[0] == 0x00
        assert client.kinds.count(0x00) == 1
        assert set(client.kinds) == {0x00, 0x01, 0x02}


@pytest.mark.parametrize("state", ["", "0", "true", "abc", "01"])
async def test_only_the_number_one_asks_for_more(url: str, state: str):
    async with plain(url, {"state": state}) as client:
        await client.until(lambda: len(client.loudness) > 3)
        assert set(client.kinds) <= {0x00, 0x01, 0x02}


async def test_nothing_comes_while_the_call_is_prepared(
    url: str, model: FakeModel, call_manager: CallManager
):
    model.chunks = 10**9
    async with plain(url) as client, chat(url) as curious:
        await until(lambda: [call.phase for call in call_manager.calls.values()].count(Phase.PREPARING) == 1)
        await curious.until(lambda: curious.kinds.count(0x06) > 3)  # so much time has passed
        assert client.kinds == []
        assert not client.closed


async def test_who_waits_hears_nothing_and_then_the_handshake(url: str, call_manager: CallManager):
    async with plain(url) as talker:
        await talker.until(lambda: talker.ready)
        async with plain(url) as waiting:
            await until(lambda: len(call_manager.calls) == 2)
            await talker.until(lambda: len(talker.loudness) > 10)
            assert waiting.kinds == []
            await talker.websocket.close()
            await talks(waiting)
            assert waiting.kinds[0] == 0x00


async def test_what_is_said_before_the_handshake_is_not_answered(url: str, call_manager: CallManager):
    """Not even faults: the answer would be taken for the handshake."""
    async with plain(url) as talker:
        await talker.until(lambda: talker.ready)
        async with plain(url) as waiting:
            await until(lambda: len(call_manager.calls) == 2)
            for message in (*JUNK, b"\x07Good morning", b"\x06", b"\x00", waiting.audio(tone(0.08))):
                await waiting.send(message)
            await talker.until(lambda: len(talker.loudness) > 10)
            assert waiting.kinds == []
            await talker.websocket.close()
            await waiting.until(lambda: waiting.ready)
            await talks(waiting)
            assert set(waiting.kinds) <= {0x00, 0x01, 0x02}


async def test_who_waits_is_told_of_a_shutdown_by_the_close_alone(url: str, call_manager: CallManager):
    async with plain(url) as talker:
        await talker.until(lambda: talker.ready)
        async with plain(url) as waiting:
            await until(lambda: len(call_manager.calls) == 2)
            list(call_manager.calls.values())[1].hang_up("The server is restarted.", End.SHUTDOWN)
            await waiting.until(lambda: waiting.closed)
            assert waiting.kinds == []
            assert (waiting.close_code, waiting.close_reason) == (1001, "The server is restarted.")


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ({"voice_prompt": "NOBODY.pt"}, "no voice “NOBODY.pt”"),
        ({"text_prompt": "a" * 2_001}, "2,001 characters"),
        ({"seed": "dice"}, "The seed must be"),
        ({"text_temperature": "0"}, "The text temperature must be"),
    ],
)
async def test_a_query_that_cannot_be_used_ends_in_a_close_with_words(
    url: str, query: dict[str, str], words: str
):
    async with plain(url, query) as client:
        await client.until(lambda: client.closed)
    assert client.kinds == []
    assert client.close_code == 4000
    assert words in client.close_reason


async def test_a_role_too_long_for_the_model_too(url: str, model: FakeModel):
    model.most_words = 3
    async with plain(url, {"text_prompt": "one two three four"}) as client:
        await client.until(lambda: client.closed)
    assert client.kinds == []
    assert (client.close_code, "too long" in client.close_reason) == (4000, True)


async def test_a_full_server_and_a_model_that_loads_say_come_again(url: str, engine: Engine):
    async with plain(url), plain(url), plain(url) as third:
        await third.until(lambda: third.closed)
        assert third.kinds == []
        assert (third.close_code, "try again" in third.close_reason) == (1013, True)
    engine.health.state, engine.health.message = EngineState.LOADING, "The model is loading."
    async with plain(url) as client:
        await client.until(lambda: client.closed)
    engine.health.state = EngineState.READY
    assert client.kinds == []
    assert (client.close_code, client.close_reason) == (1013, "The model is loading.")


async def test_a_model_that_fails_while_it_prepares_closes_with_words(url: str):
    async with plain(url, {"text_prompt": "break"}) as client:
        await client.until(lambda: client.closed)
    assert client.kinds == []
    assert client.close_reason


async def test_the_end_of_a_live_call_is_told_in_words_that_come_after_00(
    url: str, call_manager: CallManager
):
    async with plain(url) as client:
        await client.until(lambda: client.ready)
        (call,) = call_manager.calls.values()
        call.notes.append("This call ends in 10 seconds.")
        call.hang_up("Calls end after 10 minutes.", End.TIME_LIMIT)
        await client.until(lambda: client.closed)
    assert client.errors == ["Calls end after 10 minutes."]
    assert 0x04 not in client.kinds
    assert (client.close_code, client.close_reason) == (1000, "Calls end after 10 minutes.")


async def test_what_only_the_client_understands_does_not_end_its_call(
    url: str, monkeypatch: pytest.MonkeyPatch
):
    """A text or an unknown kind every now and then, as to keep the connection: NVIDIA's server ignores them.
    Pages of Ogg that its packer made badly, too."""
    monkeypatch.setattr(receiving, "FAULTS_FORGOTTEN_PER_SEC", 1e6)
    async with plain(url) as client:
        await client.until(lambda: client.ready)
        for number in range(2 * receiving.MOST_FAULTS):
            await client.send(("ping", b"\x2a", b"\x01no Ogg page at all")[number % 3])
            await asyncio.sleep(0.001)
        await talks(client)
        assert not client.closed
        assert len(client.errors) == receiving.MOST_FAULTS
