"""The Realtime websocket with a fake model behind it, over real connections and one that does not read."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest
from fastapi import FastAPI
from starlette.requests import HTTPConnection

from personaplex_ui.calls.call import Call
from personaplex_ui.calls.capacity import capacity_now
from personaplex_ui.calls.limits import AddressLimits
from personaplex_ui.calls.live_call import LiveCall
from personaplex_ui.calls.manager import CallManager
from personaplex_ui.calls.settings import CallSettings
from personaplex_ui.calls.snapshot import End, Phase, Transport
from personaplex_ui.channels import peer_websocket
from personaplex_ui.channels.realtime import client_events, opening, outbox
from personaplex_ui.channels.realtime.connection import FAILED_HERE
from personaplex_ui.channels.realtime.outbox import MOST_FAULTS
from personaplex_ui.channels.realtime.routes import RealtimeApi, build_realtime_router
from personaplex_ui.engine.speech_model import Heard, Persona
from personaplex_ui.speech.parts import Replier
from personaplex_ui.speech.tools.runner import Tools
from tests.support.asgi_peer import AsgiPeer
from tests.support.clients.realtime import RealtimeClient, realtime
from tests.support.clock import Clock
from tests.support.fake_model import FakeModel, HearingModel
from tests.support.loopback_server import serving
from tests.support.running import running_call_manager, running_engine, until
from tests.support.sounds import tone
from tests.support.speech_parts import Scripted
from tests.unit.channels.realtime.test_session_update import VOICES

SLOTS = 2
ROLE = "Be kind."
SESSION = {"type": "realtime", "instructions": ROLE}


class FakeAnswerer:
    """``asked``: the calls whose caller wrote something; ``given``: those with a replier of their own."""

    has_language_model = True

    def __init__(self) -> None:
        self.asked: list[Call] = []
        self.given: list[tuple[Call, Replier]] = []
        self.tools: list[Tools | None] = []
        self.busy = False

    def replier_with(self, tools: Tools | None) -> Replier:
        self.tools.append(tools)
        return Scripted()

    def answer_with(self, call: Call, replier: Replier) -> None:
        self.given.append((call, replier))

    def ask(self, call: Call) -> bool:
        self.asked.append(call)
        return not self.busy


@pytest.fixture
def answerer() -> FakeAnswerer:
    return FakeAnswerer()


def api_of(call_manager: CallManager, answerer: FakeAnswerer, address: str = "") -> RealtimeApi:
    def address_of(connection: HTTPConnection) -> str:
        return address

    return RealtimeApi(call_manager, VOICES, ROLE, answerer, address_of)


@pytest.fixture
async def url(call_manager: CallManager, answerer: FakeAnswerer) -> AsyncIterator[str]:
    app = FastAPI()
    app.include_router(build_realtime_router(api_of(call_manager, answerer)))
    async with serving(app) as url:
        yield url


def only_call(call_manager: CallManager) -> LiveCall:
    (call,) = call_manager.calls.values()
    assert isinstance(call, LiveCall)
    return call


async def begun(client: RealtimeClient, call_manager: CallManager) -> LiveCall:
    """Its call, live."""
    await client.send("session.update", session=SESSION)
    await client.send("response.create")
    await until(lambda: any(call.live.is_set() for call in call_manager.calls.values()))
    return only_call(call_manager)


async def goes_on(client: RealtimeClient) -> bool:
    """Whether its call answers what it says now."""
    heard = len(client.sound)
    await client.say(tone(0.4))
    await client.until(lambda: client.closed or loudest(client.sound[heard:]) > 0.1)
    return not client.closed


def loudest(pcm: bytes) -> float:
    return float(np.abs(np.frombuffer(pcm, dtype="<i2")).max(initial=0)) / 32_768


# Begin -----------------------------------------------------------------------------------------------


async def test_a_call_begins_with_the_persona_that_was_named(
    url: str, call_manager: CallManager, model: FakeModel
):
    async with realtime(url) as client:
        await client.until_event("session.created")
        assert call_manager.calls == {}
        await client.send("session.update", session={**SESSION, "audio": {"output": {"voice": "own"}}})
        assert await goes_on(client)
        call = only_call(call_manager)
        assert call.transport is Transport.REALTIME
        assert [persona for persona, _ in model.joined.values()] == [Persona("own", ROLE)]
        await client.until_event("response.output_audio_transcript.delta")
    await call_manager.ended(call)
    assert (call.reason, call.end) == ("The client hung up.", End.HUNG_UP)
    assert client.faults == []


async def test_who_says_nothing_gets_a_call_all_the_same(
    url: str, call_manager: CallManager, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(opening, "AFTER_CONNECT_SEC", 0.05)
    async with realtime(url, "/realtime"):
        await until(lambda: bool(call_manager.calls))


async def test_a_client_counts_as_soon_as_it_is_connected(url: str, call_manager: CallManager):
    async with realtime(url) as client:
        await client.until_event("session.created")
        assert (capacity_now(call_manager).lines_free, call_manager.calls) == (SLOTS - 1, {})
        call = await begun(client, call_manager)
        assert (call_manager.opening_calls, capacity_now(call_manager).lines_free) == (0, SLOTS - 1)
    await call_manager.ended(call)
    async with realtime(url) as client:
        await client.until_event("session.created")
    await until(lambda: capacity_now(call_manager).lines_free == SLOTS)


async def test_connections_without_a_call_count_for_their_address(
    tmp_path: Path, answerer: FakeAnswerer, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(opening, "AFTER_CONNECT_SEC", 3_600.0)
    app = FastAPI()
    async with (
        running_engine(FakeModel(slots=SLOTS), SLOTS, 1) as engine,
        running_call_manager(engine, tmp_path, AddressLimits(1, 0, Clock())) as call_manager,
    ):
        app.include_router(build_realtime_router(api_of(call_manager, answerer, "10.0.0.1")))
        async with serving(app) as url, realtime(url) as client:
            await client.until_event("session.created")
            async with realtime(url) as second:
                await second.until(lambda: second.closed)
            assert (second.close_code, second.faults[0]["code"]) == (1013, "no_call")
            assert call_manager.calls == {}
            assert "at once (1)" in second.faults[0]["message"]
            await begun(client, call_manager)
            async with realtime(url) as second:
                await second.until(lambda: second.closed)
            assert second.close_code == 1013
            await client.websocket.close()
            await until(lambda: not call_manager.calls)
            async with realtime(url) as third:
                await begun(third, call_manager)


async def test_where_nothing_comes_the_model_hears_silence(
    url: str, call_manager: CallManager, model: FakeModel
):
    async with realtime(url) as client:
        call = await begun(client, call_manager)
        await until(lambda: len(model.steps) > 10)
        assert call.phase is Phase.LIVE


async def test_those_who_wait_are_told_their_place_and_may_still_choose(
    url: str, call_manager: CallManager, model: FakeModel
):
    held = [call_manager.open(CallSettings(Persona("NATF2", ROLE))) for _ in range(SLOTS)]
    for call in held:
        await call.live.wait()
    async with realtime(url) as client:
        await client.send("response.create")
        waiting = await client.until_event("session.waiting")
        assert (waiting["place"], waiting["waiting"]) == (1, 1)
        async with realtime(url) as late:
            await late.send("response.create")
            await late.until(lambda: late.closed)
            assert late.close_code == 1013
            assert "try again" in late.faults[0]["message"]
        await client.send("session.update", session={"type": "realtime", "instructions": "Sing."})
        held[0].hang_up("Enough.")
        await client.until_event("response.created")
        assert await goes_on(client)
        assert Persona("NATF2", "Sing.") in [persona for persona, _ in model.joined.values()]


async def test_the_beta_is_spoken_to_who_asks_for_it(url: str):
    async with realtime(url, headers={"OpenAI-Beta": "realtime=v1"}) as client:
        created = await client.until_event("session.created")
        assert created["session"]["modalities"] == ["audio", "text"]
        await client.send("session.update", session={"instructions": ROLE})
        assert await goes_on(client)
        assert "response.audio.delta" in client.kinds


async def test_a_browser_gets_the_subprotocol_that_it_offers(url: str):
    async with realtime(url, protocols=("realtime", "openai-beta.realtime-v1")) as client:
        assert client.websocket.subprotocol == "realtime"
        created = await client.until_event("session.created")
        assert "modalities" in created["session"]


# What is wanted of the call --------------------------------------------------------------------------


async def test_a_text_is_said_word_for_word_or_told_why_not(
    url: str, call_manager: CallManager, model: FakeModel
):
    async with realtime(url) as client:
        await begun(client, call_manager)
        for text in ("Good day.", "one too many"):
            await client.send("response.cancel")
            await client.send("response.create", response={"extra": {"say": text}})
        await client.until(lambda: "speak_queue_full" in [fault["code"] for fault in client.faults])
        assert [text for _, text in model.spoken] == ["Good day."]


async def test_a_model_that_cannot_read_is_helped(
    url: str, call_manager: CallManager, answerer: FakeAnswerer
):
    item = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hello?"}]}
    async with realtime(url) as client:
        await client.send("conversation.item.create", item=item)
        call = await begun(client, call_manager)
        await until(lambda: answerer.asked == [call])
        assert [line.text for line in call.conversation.lines if line.who == "caller"] == ["Hello?"]
        answerer.busy = True
        await client.send("conversation.item.create", item=item)
        await client.send("response.cancel")
        await client.send("response.create", event_id="again")
        await client.until(lambda: "again" in [fault["event_id"] for fault in client.faults])
        assert not [kind for kind in client.kinds if "transcription" in kind]


async def test_a_function_of_the_client_is_called_and_answered(
    url: str, call_manager: CallManager, answerer: FakeAnswerer
):
    weather = {"type": "function", "name": "weather"}
    async with realtime(url) as client:
        await client.send("session.update", session={**SESSION, "tools": [weather]})
        call = await begun(client, call_manager)
        await until(lambda: bool(answerer.given))
        (tools,) = answerer.tools
        assert tools is not None
        assert [call for call, _ in answerer.given] == [call]
        assert tools.offers[0]["type"] == "function"
        wanted = asyncio.create_task(asyncio.to_thread(tools.run, "weather", '{"town": "Rome"}'))
        told = await client.until_event("response.function_call_arguments.done")
        output = {"type": "function_call_output", "call_id": told["call_id"], "output": "blue"}
        await client.send("conversation.item.create", item=output)
        assert await wanted == "blue"
        waiting = asyncio.create_task(asyncio.to_thread(tools.run, "weather", "{}"))
        await client.until_event("response.function_call_arguments.done", 2)
    assert (await waiting).startswith("Error")


async def test_the_callers_words_are_told_also_the_last_ones(tmp_path: Path, answerer: FakeAnswerer):
    heard = HearingModel(*[None] * 20, Heard(" Good day.", 10), slots=SLOTS)
    app = FastAPI()
    async with (
        running_engine(heard, SLOTS, 1) as engine,
        running_call_manager(engine, tmp_path) as call_manager,
    ):
        app.include_router(build_realtime_router(api_of(call_manager, answerer)))
        async with serving(app) as url, realtime(url) as client:
            await begun(client, call_manager)
            await client.say(np.concatenate([tone(1.0), np.zeros(24_000, dtype=np.float32)]))
            words = await client.until_event("conversation.item.input_audio_transcription.delta")
            only_call(call_manager).hang_up("Enough.", End.TIME_LIMIT)
            whole = await client.until_event("conversation.item.input_audio_transcription.completed")
            assert (words["delta"], whole["transcript"]) == ("Good day.", "Good day.")


async def test_a_failure_of_ours_is_told_also_before_there_is_a_call(
    url: str, call_manager: CallManager, monkeypatch: pytest.MonkeyPatch
):
    def fail(_: object) -> None:
        raise OverflowError("secret")

    async with realtime(url) as client:
        await client.until_event("session.created")
        monkeypatch.setattr(client_events, "parse", fail)
        await client.send("session.update", session=SESSION)
        await client.until(lambda: client.closed)
    assert (client.close_code, client.faults[0]["type"]) == (1011, "server_error")
    assert client.faults[0]["message"] == client.close_reason == FAILED_HERE
    assert call_manager.calls == {}


# Junk and floods -------------------------------------------------------------------------------------


async def test_junk_is_told_and_the_session_lives(url: str):
    async with realtime(url) as client:
        await client.send("session.update", session=SESSION)
        for junk in (
            "",
            "{",
            b"\x00\xff",
            '{"type": 7}',
            '{"type": "wish"}',
            "[" * 10_000,
            "null",
        ):
            await client.send_raw(junk)
        await client.send("input_audio_buffer.append", audio="no base64")
        await client.until_event("error", 8)
        assert await goes_on(client)


async def test_a_flood_of_junk_is_closed_in_words(url: str):
    async with realtime(url) as other, realtime(url) as client:
        await other.send("session.update", session=SESSION)
        for _ in range(MOST_FAULTS + 10):
            await client.send_raw("junk")
        await client.until(lambda: client.closed)
        assert client.close_code == 1008
        assert "at fault" in client.close_reason
        assert await goes_on(other)


async def test_a_thousand_updates_disturb_nobody(url: str):
    async with realtime(url) as other, realtime(url) as client:
        await other.send("session.update", session=SESSION)
        assert await goes_on(other)
        for number in range(1_000):
            await client.send("session.update", session={"instructions": f"Role {number}."})
        await client.until_event("session.updated", 1_000)
        assert await goes_on(other)
        assert client.faults == []


async def test_far_more_sound_than_live_is_closed_in_words(url: str, call_manager: CallManager):
    async with realtime(url) as client:
        await begun(client, call_manager)
        piece = tone(10.0)
        for _ in range(20):
            await client.say(piece)
        await client.until(lambda: client.closed)
        assert client.close_code == 1008
        assert "more was sent" in client.close_reason


async def test_what_is_left_out_is_told_once_and_wishes_are_heard(url: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(outbox, "BURST_SEC", 0.5)
    async with realtime(url) as client:
        for _ in range(4):
            await client.say(tone(1.0))
        await client.send("conversation.item.retrieve", item_id="none")
        await client.until_event("error", 2)
    codes = [fault["code"] for fault in client.faults]
    assert codes == ["rate_limit_exceeded", "item_retrieve_invalid_item_id"]


async def test_a_message_that_is_too_long_ends_its_connection_only(url: str):
    async with realtime(url) as other, realtime(url) as client:
        await other.send("session.update", session=SESSION)
        await client.send_raw("a" * (2**20 + 1))
        await client.until(lambda: client.closed)
        assert client.close_code == 1009
        assert await goes_on(other)


async def test_sound_may_come_in_longer_messages_where_the_server_can_let_it(
    call_manager: CallManager, answerer: FakeAnswerer
):
    peer, allowed = AsgiPeer(), list[int]()
    peer.websocket.scope.update(
        headers=[], extensions={peer_websocket.MESSAGE_SIZE: {"allow": allowed.append}}
    )
    serving_peer = asyncio.create_task(api_of(call_manager, answerer).serve(peer.websocket))
    await until(lambda: allowed == [client_events.MAX_MESSAGE_BYTES])
    serving_peer.cancel()


async def test_who_never_reads_is_given_up(
    call_manager: CallManager, answerer: FakeAnswerer, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(peer_websocket, "SEND_WITHIN_SEC", 0.05)
    peer = AsgiPeer(reads=2)  # the handshake and one message
    peer.websocket.scope["headers"] = []
    begin = {"type": "websocket.receive", "text": json.dumps({"type": "response.create"})}
    peer.says += [begin, begin, begin]
    serving_peer = asyncio.create_task(api_of(call_manager, answerer).serve(peer.websocket))
    await asyncio.wait_for(serving_peer, 10)
    await until(lambda: not call_manager.calls)


# The end ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("leaves", "end"), [("close", End.HUNG_UP), ("abort", End.LOST), ("write_eof", End.LOST)]
)
async def test_who_leaves_frees_the_place_and_may_come_again(
    url: str, call_manager: CallManager, leaves: str, end: End
):
    for _ in range(3):
        async with realtime(url) as client:
            call = await begun(client, call_manager)
            if leaves == "close":
                await client.websocket.close()
            else:
                getattr(client.websocket.transport, leaves)()
            await call_manager.ended(call)
        assert call.end is end
        assert call_manager.calls == {}


@pytest.mark.parametrize(
    ("end", "code", "word", "kind"),
    [
        (End.TIME_LIMIT, 1000, "session_expired", "invalid_request_error"),
        (End.SHUTDOWN, 1001, "server_shutdown", "server_error"),
        (End.FAILED, 1011, "call_ended", "server_error"),
        (End.REFUSED, 1013, "no_call", "server_error"),
    ],
)
async def test_the_end_of_a_call_is_told_with_its_reason(
    url: str, call_manager: CallManager, end: End, code: int, word: str, kind: str
):
    async with realtime(url) as client:
        call = await begun(client, call_manager)
        assert await goes_on(client)
        call.hang_up("Calls end after 10 minutes.", end)
        await client.until(lambda: client.closed)
    (fault,) = client.faults
    assert (fault["message"], fault["code"], fault["type"]) == ("Calls end after 10 minutes.", word, kind)
    assert (client.close_code, client.close_reason) == (code, "Calls end after 10 minutes.")
    assert client.kinds.index("response.done") < client.kinds.index("error")


async def test_a_server_that_shuts_down_tells_those_who_have_no_call_yet(url: str, call_manager: CallManager):
    async with realtime(url) as idle:
        await idle.until_event("session.created")
        await call_manager.close()
        await idle.until(lambda: idle.closed)
        async with realtime(url) as late:
            await late.send("response.create")
            await late.until(lambda: late.closed)
    for client in (idle, late):
        assert client.faults[-1]["code"] == "server_shutdown"
        assert "shutting down" in client.faults[-1]["message"]
        assert client.close_code == 1001


async def test_a_persona_that_cannot_be_used_is_told(url: str, model: FakeModel):
    model.most_words = 2
    async with realtime(url) as client:
        await client.send("session.update", session={"type": "realtime", "instructions": "Sing and dance."})
        await client.send("response.create")
        await client.until(lambda: client.closed)
    assert "too long" in client.faults[0]["message"]
    assert client.close_code == 4000
