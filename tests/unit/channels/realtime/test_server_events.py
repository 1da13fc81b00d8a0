"""What the server sends, in both dialects. The ``openai`` package reads it in tests/e2e/clients."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from personaplex_ui.channels.realtime import server_events as server
from personaplex_ui.channels.realtime.items import Dialect, Item, Kind, Role, Status
from personaplex_ui.channels.realtime.server_events import Part, Place, Response, ServerEvent, build

PLACE = Place("resp", "item", 1, 0)
SPOKEN = Item("item", role=Role.ASSISTANT, text="Hi", spoken=True)


def built(event: ServerEvent, dialect: Dialect = Dialect.GA) -> dict[str, Any]:
    text = build(event, dialect, "event_1")
    assert text is not None
    return json.loads(text)


def test_sound_goes_as_base64_with_its_place():
    assert built(server.AudioDelta(PLACE, b"abc")) == {
        "type": "response.output_audio.delta",
        "event_id": "event_1",
        "response_id": "resp",
        "item_id": "item",
        "output_index": 1,
        "content_index": 0,
        "delta": "YWJj",
    }


@pytest.mark.parametrize(
    ("event", "ga", "beta"),
    [
        (server.AudioDelta(PLACE, b""), "response.output_audio.delta", "response.audio.delta"),
        (server.AudioDone(PLACE), "response.output_audio.done", "response.audio.done"),
        (
            server.TranscriptDelta(PLACE, "a"),
            "response.output_audio_transcript.delta",
            "response.audio_transcript.delta",
        ),
        (
            server.TranscriptDone(PLACE, "a"),
            "response.output_audio_transcript.done",
            "response.audio_transcript.done",
        ),
        (server.TextDelta(PLACE, "a"), "response.output_text.delta", "response.text.delta"),
        (server.TextDone(PLACE, "a"), "response.output_text.done", "response.text.done"),
        (server.ItemAdded(None, SPOKEN), "conversation.item.added", "conversation.item.created"),
        (server.Cleared(), "input_audio_buffer.cleared", "input_audio_buffer.cleared"),
    ],
)
def test_each_dialect_has_its_names(event: ServerEvent, ga: str, beta: str):
    assert built(event)["type"] == ga
    assert built(event, Dialect.BETA)["type"] == beta


def test_the_beta_knows_no_end_of_an_item():
    assert build(server.ItemDone(None, SPOKEN), Dialect.BETA, "e") is None


def test_items_are_told_as_each_dialect_has_them():
    assert SPOKEN.record(Dialect.GA)["content"] == [{"type": "output_audio", "transcript": "Hi"}]
    assert SPOKEN.record(Dialect.BETA)["content"] == [{"type": "audio", "transcript": "Hi"}]
    begun = Item("item", role=Role.ASSISTANT, status=Status.IN_PROGRESS)
    assert begun.record(Dialect.GA)["content"] == []
    assert Item("i", spoken=True).record(Dialect.GA)["content"] == [
        {"type": "input_audio", "transcript": None}
    ]
    wanted = Item("i", Kind.FUNCTION_CALL, call_id="c", name="f", arguments="{}").record(Dialect.GA)
    assert (wanted["call_id"], wanted["name"], wanted["arguments"]) == ("c", "f", "{}")


def test_a_response_says_how_it_ended():
    done = Response("resp", "conv", "cancelled", "turn_detected", (SPOKEN,), "NATF2")
    told = built(server.ResponseDone(done))["response"]
    assert told["status_details"] == {"type": "cancelled", "reason": "turn_detected"}
    assert told["output_modalities"] == ["audio"]
    assert [item["id"] for item in told["output"]] == ["item"]
    old = built(server.ResponseDone(done), Dialect.BETA)["response"]
    assert (old["modalities"], old["voice"]) == (["audio", "text"], "NATF2")
    assert built(server.ResponseCreated(Response("resp", "conv")))["response"]["status_details"] is None


def test_an_error_tells_its_cause():
    error = built(server.ErrorTold("Bad.", "invalid_request_error", "invalid_value", "session", "mine"))[
        "error"
    ]
    assert error == {
        "type": "invalid_request_error",
        "code": "invalid_value",
        "message": "Bad.",
        "param": "session",
        "event_id": "mine",
    }


@given(st.text(), st.text(), st.sampled_from(Dialect))
def test_any_words_are_carried(words: str, item_id: str, dialect: Dialect):
    place = Place("resp", item_id)
    assert built(server.TranscriptDelta(place, words), dialect)["delta"] == words
    part = built(server.PartDone(place, Part(True, words)), dialect)
    assert (part["part"], part["item_id"]) == ({"type": "audio", "transcript": words}, item_id)
