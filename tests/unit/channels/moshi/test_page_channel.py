"""A page's call over the websocket: facts, what is typed, its goodbye, and sound it did not hear."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from personaplex_ui.calls.live_call import LiveCall
from personaplex_ui.calls.manager import CallManager
from personaplex_ui.calls.settings import CallSettings
from personaplex_ui.calls.snapshot import End
from personaplex_ui.channels.moshi.page_channel import MOST_UNHEARD_FRAMES
from personaplex_ui.engine.speech_model import Persona
from tests.support.clients.moshi import MoshiClient, chat
from tests.support.fake_model import FakeModel
from tests.support.loopback_server import moshi_server
from tests.support.running import until

FACTS = {"facts": "1"}
SLOTS = 2
SETTINGS = CallSettings(Persona("NATF2", "Be kind."), record=False)


@pytest.fixture
async def url(call_manager: CallManager) -> AsyncIterator[str]:
    async with moshi_server(call_manager, lambda query: SETTINGS) as url:
        yield url


def page(url: str, **options: Any) -> Any:
    return chat(url, FACTS, tells_state=False, **options)


def only_call(call_manager: CallManager) -> LiveCall:
    (call,) = call_manager.calls.values()
    assert isinstance(call, LiveCall)
    return call


async def send(client: MoshiClient, message: dict[str, object]) -> None:
    await client.send(b"\x04" + json.dumps(message).encode())


def told(client: MoshiClient, kind: str) -> list[dict[str, Any]]:
    return [state for state in client.states if state["type"] == kind]


def phases(client: MoshiClient) -> list[str]:
    return [facts["phase"] for facts in told(client, "facts")]


async def test_the_facts_of_a_call_from_its_beginning_to_its_end(url: str, call_manager: CallManager):
    async with page(url) as client:
        await client.until(lambda: "live" in phases(client) and len(client.texts) > 2)
        call = only_call(call_manager)
        await client.until(lambda: any(facts["lines"] for facts in told(client, "facts")))
        call.hang_up("Calls end after 10 minutes.", End.TIME_LIMIT)
        await client.until(lambda: client.closed)
    facts = told(client, "facts")
    assert [each["seq"] for each in facts] == list(range(1, len(facts) + 1))
    assert {each["call_id"] for each in facts} == {call.call_id}
    assert (facts[-1]["phase"], facts[-1]["end"]) == ("ended", "time_limit")
    assert facts[-1]["reason"] == "Calls end after 10 minutes."
    assert all("state" not in state for state in client.states)
    assert client.close_code == 1000


async def test_who_waits_is_told_the_place_and_that_the_connection_lives(
    url: str, call_manager: CallManager, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("personaplex_ui.channels.moshi.session.SIGN_OF_LIFE_EVERY_SEC", 0.05)
    held = [call_manager.open(SETTINGS) for _ in range(SLOTS)]
    async with page(url) as client:
        await client.until(lambda: any(facts["place"] == 1 for facts in told(client, "facts")))
        await client.until(lambda: client.kinds.count(0x06) > 2)
        held[0].hang_up("Goodbye.")
        await client.until(lambda: client.ready)


async def test_typed_text_is_spoken_and_stands_in_the_conversation(url: str, model: FakeModel):
    async with page(url) as client:
        await client.until(lambda: client.ready)
        await send(client, {"type": "say", "text": " Good morning! "})
        await until(lambda: [text for _, text in model.spoken] == ["Good morning!"])
        await client.until(
            lambda: any(
                line["who"] == "typed" and line["text"] == "Good morning!"
                for facts in told(client, "facts")
                for line in facts["lines"]
            )
        )


async def test_the_temperature_changes_during_the_call(url: str, call_manager: CallManager):
    async with page(url) as client:
        await client.until(lambda: client.ready)
        await send(client, {"type": "sampling", "text_temperature": 0.31})
        await until(lambda: only_call(call_manager).settings.sampling.text_temperature == 0.31)


@pytest.mark.parametrize(
    ("message", "words"),
    [
        ({"type": "say", "text": ""}, "no text"),
        ({"type": "sampling", "text_temperature": 9}, "text temperature"),
        ({"type": "dance"}, "say, sampling and bye"),
        ({"type": "ping", "at": "noon", "heard": 1}, "numbers"),
        ({}, "say, sampling and bye"),
    ],
)
async def test_what_cannot_be_done_is_told_and_the_call_goes_on(
    url: str, message: dict[str, object], words: str
):
    async with page(url) as client:
        await client.until(lambda: client.ready)
        await send(client, message)
        await client.until(lambda: bool(told(client, "error")))
        assert words in told(client, "error")[0]["sentence"]
        assert not client.closed
        assert client.errors == []


async def test_a_flood_of_messages_is_told_once(url: str):
    async with page(url) as client:
        await client.until(lambda: client.ready)
        for _ in range(40):
            await send(client, {"type": "sampling"})
        await client.until(lambda: bool(told(client, "error")))
        await asyncio.sleep(0.1)
        assert len(told(client, "error")) == 1


@pytest.mark.parametrize("says_goodbye", [True, False])
async def test_the_page_hangs_up(url: str, call_manager: CallManager, says_goodbye: bool):
    async with page(url) as client:
        await client.until(lambda: client.ready)
        call = only_call(call_manager)
        if says_goodbye:
            await send(client, {"type": "bye"})
            await client.until(lambda: client.closed)
            assert client.close_code == 1000
    await call_manager.ended(call)
    assert (call.reason, call.end) == ("You hung up.", End.HUNG_UP)


async def test_a_refused_page_is_told_why(url: str, call_manager: CallManager):
    await call_manager.close("We are closing.")
    async with page(url) as client:
        await client.until(lambda: client.closed)
    assert client.errors == ["We are closing."]
    assert client.close_code == 1013


async def test_a_page_that_hears_nothing_is_sent_no_more_until_it_does(url: str, call_manager: CallManager):
    """As on a network that is slower than the sound."""
    async with page(url) as client:
        await client.until(lambda: client.ready)
        await send(client, {"type": "ping", "at": 12.5, "heard": 0})
        await client.until(lambda: told(client, "pong") == [{"type": "pong", "at": 12.5}])
        await until(lambda: only_call(call_manager).stats.dropped_said > 0)
        assert client.kinds.count(0x01) == MOST_UNHEARD_FRAMES
        await send(client, {"type": "ping", "at": 13, "heard": MOST_UNHEARD_FRAMES})
        await client.until(lambda: client.kinds.count(0x01) > MOST_UNHEARD_FRAMES + 5)


async def test_the_end_comes_to_a_page_that_hears_nothing(url: str, call_manager: CallManager):
    async with page(url) as client:
        await client.until(lambda: client.ready)
        await send(client, {"type": "ping", "at": 0, "heard": -1_000})
        await client.until(lambda: bool(told(client, "pong")))
        only_call(call_manager).hang_up("Goodbye.", End.TIME_LIMIT)
        await client.until(lambda: client.closed)
    assert phases(client)[-1] == "ended"
