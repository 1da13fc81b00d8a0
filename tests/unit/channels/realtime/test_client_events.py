"""What a client sends: each event as it is documented, and whatever else may come."""

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from personaplex_ui.channels.realtime import client_events as client
from personaplex_ui.channels.realtime.client_events import ClientEvent, parse
from personaplex_ui.channels.realtime.faults import RealtimeFault
from personaplex_ui.channels.realtime.items import Item, Kind, Role

PCM = b"\x01\x02" * 10
SOUND = base64.b64encode(PCM).decode()

huge = st.integers(10**309, 10**401) | st.integers(-(10**401), -(10**309))
"""Whole numbers that no float can hold."""

json_values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | huge | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)
field_names = st.sampled_from(
    (
        *("event_id", "session", "audio", "item", "id", "role", "content", "text", "call_id", "output"),
        *("name", "arguments", "item_id", "content_index", "audio_end_ms", "response", "response_id"),
        *("extra", "say"),
    )
)
TYPES = (
    "session.update",
    "input_audio_buffer.append",
    "input_audio_buffer.commit",
    "input_audio_buffer.clear",
    "output_audio_buffer.clear",
    "conversation.item.create",
    "conversation.item.truncate",
    "conversation.item.delete",
    "conversation.item.retrieve",
    "response.create",
    "response.cancel",
)


def message(kind: str, **values: Any) -> str:
    return json.dumps({"type": kind, **values})


def fault_of(text: str | bytes) -> RealtimeFault:
    with pytest.raises(RealtimeFault) as caught:
        parse(text)
    return caught.value


def outcome_of(anything: str | bytes) -> ClientEvent | RealtimeFault:
    try:
        return parse(anything)
    except RealtimeFault as fault:
        return fault


@pytest.mark.parametrize(
    ("text", "event"),
    [
        (message("session.update", session={"voice": "a"}), client.SessionUpdate({"voice": "a"})),
        (message("input_audio_buffer.append", audio=SOUND), client.AudioAppend(PCM)),
        (message("input_audio_buffer.commit", event_id="e1"), client.AudioCommit("e1")),
        (message("input_audio_buffer.clear"), client.AudioClear()),
        (message("output_audio_buffer.clear"), client.ResponseCancel()),
        (message("response.cancel", response_id=None, event_id=None), client.ResponseCancel()),
        (message("response.create", event_id=None, response=None), client.ResponseCreate()),
        (message("response.create", response={"extra": {"say": None}}), client.ResponseCreate()),
        (message("response.cancel", response_id="r"), client.ResponseCancel("r")),
        (message("response.create"), client.ResponseCreate()),
        (message("response.create", response={"output_modalities": ["audio"]}), client.ResponseCreate()),
        (message("response.create", response={"extra": {"say": "Hi"}}), client.ResponseCreate("Hi")),
        (message("conversation.item.delete", item_id="i"), client.ItemDelete("i")),
        (message("conversation.item.retrieve", item_id="i"), client.ItemRetrieve("i")),
        (
            message("conversation.item.truncate", item_id="i", content_index=0, audio_end_ms=9),
            client.ItemTruncate("i", 0, 9),
        ),
    ],
)
def test_each_event_is_read(text: str, event: ClientEvent):
    assert parse(text) == event
    assert parse(text.encode()) == event


@pytest.mark.parametrize(
    ("given_item", "item"),
    [
        (
            {"role": "user", "content": [{"type": "input_text", "text": "a"}, {"type": "text", "text": "b"}]},
            Item("", text="a\nb"),
        ),
        (
            {"id": None, "type": None, "role": None, "content": [{"type": "input_text", "text": "a"}]},
            Item("", text="a"),
        ),
        (
            {"type": "function_call", "call_id": "c", "name": "f", "arguments": None},
            Item("", Kind.FUNCTION_CALL, call_id="c", name="f"),
        ),
        (
            {"role": "assistant", "content": [{"type": "output_audio", "transcript": "Hi"}]},
            Item("", role=Role.ASSISTANT, text="Hi"),
        ),
        (
            {"role": "developer", "content": [{"type": "input_text", "text": "a"}]},
            Item("", role=Role.SYSTEM, text="a"),
        ),
        (
            {"id": "x", "content": [{"type": "input_audio", "audio": SOUND}]},
            Item("x", spoken=True, sounds=(("item.content[0].audio", PCM),)),
        ),
        (
            {"type": "function_call_output", "call_id": "c", "output": "{}"},
            Item("", Kind.FUNCTION_CALL_OUTPUT, call_id="c", output="{}"),
        ),
        (
            {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
            Item("", Kind.FUNCTION_CALL, call_id="c", name="f", arguments="{}"),
        ),
    ],
)
def test_each_item_is_read(given_item: dict[str, Any], item: Item):
    given_item.setdefault("type", "message")
    assert parse(message("conversation.item.create", item=given_item)) == client.ItemCreate(item)


@pytest.mark.parametrize(
    ("text", "fault", "param"),
    [
        ("", "invalid_json", ""),
        ("[1]", "invalid_json", ""),
        (b"\xff\xfe", "invalid_json", ""),
        ("9" * 5_000, "invalid_json", ""),
        ("[" * 100_000, "invalid_json", ""),
        ("{" + " " * 1_048_576, "too_long", ""),
        ("[" * 4_000_000, "too_long", ""),
        (message("input_audio_buffer.append", audio="A" * 4 * 1_048_576), "too_long", ""),
        ("{}", "missing_required_parameter", "type"),
        (message("session.wish"), "invalid_value", "type"),
        (message("session.update"), "invalid_value", "session"),
        (message("session.update", session=[]), "invalid_value", "session"),
        (message("input_audio_buffer.append"), "invalid_value", "audio"),
        (message("input_audio_buffer.append", audio="no base64!"), "invalid_value", "audio"),
        (message("input_audio_buffer.append", audio="é"), "invalid_value", "audio"),
        (message("conversation.item.create", item={"type": "wish"}), "invalid_value", "item.type"),
        (message("conversation.item.create", item={"type": "message"}), "invalid_value", "item.content"),
        (
            message("conversation.item.create", item={"role": "king", "content": [{}]}),
            "invalid_value",
            "item.role",
        ),
        (
            message("conversation.item.create", item={"content": [{"type": "input_image"}]}),
            "invalid_value",
            "item.content[0].type",
        ),
        (
            message("conversation.item.create", item={"content": [{"type": "text", "text": "a" * 10_001}]}),
            "invalid_value",
            "item.content",
        ),
        (
            message("conversation.item.create", item={"type": "function_call_output", "call_id": "c"}),
            "invalid_value",
            "item.output",
        ),
        (message("conversation.item.delete"), "invalid_value", "item_id"),
        (
            message("conversation.item.truncate", item_id="i", content_index=True, audio_end_ms=0),
            "invalid_value",
            "content_index",
        ),
        (message("response.create", response={"extra": {"say": 1}}), "invalid_value", "response.extra.say"),
        *(
            (
                message(
                    "conversation.item.create",
                    item={"role": role, "content": [{"type": "input_audio", "audio": SOUND}]},
                ),
                "invalid_value",
                "item.content[0].audio",
            )
            for role in ("assistant", "system", "developer")
        ),
        (message("response.cancel", event_id="a" * 513), "invalid_value", "event_id"),
    ],
)
def test_what_is_no_event_is_told_with_its_place(text: str | bytes, fault: str, param: str):
    found = fault_of(text)
    assert (found.fault, found.param) == (fault, param)
    assert str(found).endswith(".")


def test_the_events_own_name_is_told_with_its_fault():
    assert fault_of(message("session.wish", event_id="mine")).event_id == "mine"
    assert fault_of(message("session.update", event_id="mine")).event_id == "mine"
    assert fault_of("no JSON").event_id == ""


@given(st.binary(max_size=200) | st.text(max_size=200))
def test_any_bytes_are_read_or_are_a_fault(anything: bytes | str):
    assert isinstance(outcome_of(anything), ClientEvent | RealtimeFault)


@given(
    st.sampled_from(TYPES) | st.text(max_size=10),
    st.dictionaries(field_names | st.text(max_size=8), json_values),
)
def test_any_json_is_read_or_is_a_fault(kind: str, values: dict[str, Any]):
    assert isinstance(outcome_of(json.dumps({**values, "type": kind})), ClientEvent | RealtimeFault)


@given(st.binary(max_size=500), st.text(alphabet=st.characters(codec="ascii"), max_size=20))
def test_sound_and_names_come_as_they_were_sent(sound: bytes, event_id: str):
    text = message("input_audio_buffer.append", audio=base64.b64encode(sound).decode(), event_id=event_id)
    assert parse(text) == client.AudioAppend(sound, event_id)


def test_a_minute_of_sound_may_come_in_one_message():
    minute = bytes(60 * 48_000)
    sound = base64.b64encode(minute).decode()
    assert parse(message("input_audio_buffer.append", audio=sound)) == client.AudioAppend(minute)
