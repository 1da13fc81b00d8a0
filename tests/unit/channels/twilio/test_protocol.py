"""Twilio's messages: what it documents, what may be missing, and anything else that could come."""

import base64
import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from personaplex_ui.channels.twilio import protocol as twilio
from personaplex_ui.channels.twilio.protocol import (
    Connected,
    Dtmf,
    Event,
    Mark,
    Media,
    Start,
    Stop,
    Unknown,
    UnusableStart,
    clear_message,
    mark_message,
    media_message,
    parse,
)
from personaplex_ui.errors import ProtocolError

SID = "MZ18ad3ab5a668481ce02b83e7395059f0"
FORMAT = {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1}
START: dict[str, Any] = {
    "event": "start",
    "sequenceNumber": "1",
    "start": {
        "accountSid": "AC0123456789abcdef0123456789abcdef",
        "streamSid": SID,
        "callSid": "CA0123456789abcdef0123456789abcdef",
        "tracks": ["inbound"],
        "mediaFormat": FORMAT,
        "customParameters": {"token": "shibboleth", "voice_prompt": "NATF2"},
    },
    "streamSid": SID,
}
MEDIA: dict[str, Any] = {
    "event": "media",
    "sequenceNumber": "4",
    "media": {"track": "inbound", "chunk": "2", "timestamp": "5", "payload": "f/8="},
    "streamSid": SID,
}
EVENTS = ["connected", "start", "media", "mark", "dtmf", "stop"]


def changed(message: dict[str, Any], part: str, **values: Any) -> str:
    """``message`` with other values in its part; None leaves one out."""
    fields = {name: value for name, value in {**message[part], **values}.items() if value is not None}
    return json.dumps({**message, part: fields})


@pytest.mark.parametrize(
    ("message", "event"),
    [
        ({"event": "connected", "protocol": "Call", "version": "1.0.0"}, Connected()),
        (
            START,
            Start(
                SID, "CA0123456789abcdef0123456789abcdef", {"token": "shibboleth", "voice_prompt": "NATF2"}
            ),
        ),
        (MEDIA, Media("inbound", b"\x7f\xff", 5)),
        ({"event": "mark", "sequenceNumber": "4", "streamSid": SID, "mark": {"name": "7"}}, Mark("7")),
        ({"event": "dtmf", "streamSid": SID, "dtmf": {"track": "inbound_track", "digit": "#"}}, Dtmf("#")),
        ({"event": "stop", "sequenceNumber": "5", "streamSid": SID, "stop": {"callSid": "CA"}}, Stop()),
        ({"event": "transcription", "text": "…"}, Unknown("transcription")),
    ],
)
def test_what_twilio_documents_is_understood(message: dict[str, Any], event: Event) -> None:
    assert parse(json.dumps(message)) == event


@pytest.mark.parametrize(
    ("message", "event"),
    [
        (changed(START, "start", streamSid=None, callSid=None, customParameters=None), Start(SID)),
        (json.dumps({"event": "start", "start": {"streamSid": SID}}), Start(SID)),
        (json.dumps({"event": "start", "start": {"streamSid": SID, "mediaFormat": {}}}), Start(SID)),
        (changed(MEDIA, "media", track=None, timestamp=None), Media("inbound", b"\x7f\xff")),
        (changed(MEDIA, "media", track="outbound", payload=""), Media("outbound", b"", 5)),
        (changed(MEDIA, "media", timestamp=160), Media("inbound", b"\x7f\xff", 160)),
        ('{"event": "stop"}', Stop()),
    ],
)
def test_what_is_not_needed_may_be_missing(message: str, event: Event) -> None:
    assert parse(message) == event


@pytest.mark.parametrize(
    ("message", "told"),
    [
        (b'{"event": "stop"}', "binary"),
        (b"", "binary"),
        ("", "empty"),
        (" \n", "empty"),
        ("nonsense", "not valid JSON"),
        ('{"event": "stop"', "not valid JSON"),
        ('{"event": "stop", "n": NaN}', "not valid JSON"),
        ('{"event": "stop", "n": -Infinity}', "not valid JSON"),
        ('{"event": "stop", "n": ' + "9" * 5000 + "}", "not valid JSON"),
        ("[" * 200_000, "JSON"),
        ('{"event":' * 100_000, "JSON"),
        ("null", "not an object"),
        ('["event"]', "not an object"),
        ('"stop"', "not an object"),
        ("{}", "event"),
        ('{"event": null}', "event"),
        ('{"event": 7}', "event"),
        ('{"event": ""}', "event"),
        ('{"event": "\\ud800"}', "event"),
        (json.dumps({"event": "x" * 257}), "event"),
        ('{"event": "start"}', "start"),
        ('{"event": "start", "start": "MZ"}', "start"),
        (json.dumps({"event": "start", "start": {}}), "streamSid"),
        (changed(START, "start", streamSid=7), "streamSid"),
        (changed(START, "start", callSid=["CA"]), "callSid"),
        (changed(START, "start", mediaFormat="mulaw"), "mediaFormat"),
        (changed(START, "start", mediaFormat={**FORMAT, "encoding": "audio/l16"}), "format"),
        (changed(START, "start", mediaFormat={**FORMAT, "sampleRate": 16000}), "format"),
        (changed(START, "start", mediaFormat={**FORMAT, "channels": 2}), "format"),
        (changed(START, "start", customParameters=["token"]), "customParameters"),
        (changed(START, "start", customParameters={"token": 7}), "parameter"),
        (changed(START, "start", customParameters={"token": "\ud800"}), "parameter"),
        ('{"event": "media"}', "media"),
        ('{"event": "media", "media": []}', "media"),
        (changed(MEDIA, "media", payload=None), "payload"),
        (changed(MEDIA, "media", payload=[255]), "payload"),
        (changed(MEDIA, "media", payload="f/8"), "base64"),
        (changed(MEDIA, "media", payload="f/8=\n"), "base64"),
        (changed(MEDIA, "media", payload="§§§§"), "base64"),
        (changed(MEDIA, "media", payload="A" * 87_388), "64 KiB"),
        (changed(MEDIA, "media", payload="A" * 500_000), "64 KiB"),
        (changed(MEDIA, "media", track=3), "track"),
        ('{"event": "mark"}', "mark"),
        ('{"event": "mark", "mark": {}}', "name"),
        ('{"event": "mark", "mark": {"name": 7}}', "name"),
        ('{"event": "dtmf", "dtmf": {"digit": "12"}}', "key"),
        ('{"event": "dtmf", "dtmf": {"digit": 1}}', "digit"),
        (" " * (1 << 20) + "{}", "1 MiB"),
        (json.dumps({"event": "x" * 10_000_000}), "1 MiB"),
    ],
    ids=lambda value: value[:24] if isinstance(value, str) else None,
)
def test_what_is_wrong_is_told_in_a_sentence_without_its_content(message: str | bytes, told: str) -> None:
    with pytest.raises(ProtocolError, match=told) as error:
        parse(message)
    assert len(str(error.value)) < 120


def test_the_longest_payload_is_taken() -> None:
    sound = bytes(range(256)) * 256
    message = changed(MEDIA, "media", payload=base64.b64encode(sound).decode())
    assert parse(message) == Media("inbound", sound, 5)


def test_what_may_be_secret_is_not_printed() -> None:
    printed = repr([parse(json.dumps(START)), Dtmf("#"), Media("inbound", b"sound")])
    assert not any(secret in printed for secret in ["shibboleth", "NATF2", "#", "sound"])


@given(st.one_of(st.text(), st.binary(), st.text(alphabet='{}[]":,0123456789eE.-+\\u dEvnt')))
@example("\ud800")
@example('{"event": "mark", "mark": {"name": "\ud800"}}')
def test_any_message_is_an_event_or_a_protocol_error(message: str | bytes) -> None:
    parse_or_refuse(message)


def json_values() -> st.SearchStrategy[Any]:
    scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters())
    names = st.sampled_from(
        ["streamSid", "callSid", "customParameters", "mediaFormat", "payload", "timestamp", "name", "digit"]
    )
    return st.recursive(scalars, lambda inner: st.lists(inner) | st.dictionaries(names, inner), max_leaves=10)


@given(st.sampled_from(EVENTS) | json_values(), json_values(), json_values())
def test_any_json_is_an_event_or_a_protocol_error(event: object, part: object, other: object) -> None:
    parse_or_refuse(json.dumps({"event": event, str(event): part, "streamSid": other}))
    parse_or_refuse(json.dumps(part))


@given(st.sampled_from([json.dumps(START), json.dumps(MEDIA)]), st.data())
def test_any_truncated_message_is_an_event_or_a_protocol_error(message: str, data: st.DataObject) -> None:
    parse_or_refuse(message[: data.draw(st.integers(0, len(message)))])


def parse_or_refuse(message: str | bytes) -> None:
    try:
        event = parse(message)
    except ProtocolError:
        return
    assert isinstance(event, Event)


@given(st.binary(max_size=2000), st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=256))
def test_what_is_sent_is_what_is_read(sound: bytes, name: str) -> None:
    assert parse(media_message(SID, sound)) == Media("inbound", sound)
    assert parse(mark_message(SID, name)) == Mark(name)
    assert parse(clear_message(SID)) == Unknown("clear")


def test_what_is_sent_has_the_fields_that_twilio_documents() -> None:
    assert json.loads(media_message(SID, b"\x7f\xff")) == {
        "event": "media",
        "streamSid": SID,
        "media": {"payload": "f/8="},
    }
    assert json.loads(mark_message(SID, "7")) == {"event": "mark", "streamSid": SID, "mark": {"name": "7"}}
    assert json.loads(clear_message(SID)) == {"event": "clear", "streamSid": SID}
    assert twilio.SAMPLE_RATE_HZ == 8000


def test_a_start_that_cannot_be_used_is_told_from_other_faults() -> None:
    with pytest.raises(UnusableStart, match="customParameters"):
        parse(changed(START, "start", customParameters=[]))
    with pytest.raises(ProtocolError) as fault:
        parse(changed(MEDIA, "media", payload=7))
    assert not isinstance(fault.value, UnusableStart)
