"""Twilio's messages: what it documents, and anything else that could come. What may vary: field case A13."""

import base64
import contextlib
import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from personaplex_ui.channels.twilio.media_stream.protocol import (
    Dtmf,
    Event,
    Mark,
    Media,
    Other,
    Start,
    Stop,
    UnusableStart,
    clear_message,
    mark_message,
    media_message,
    parse,
)
from personaplex_ui.errors import ProtocolError

SID = "MZ18ad3ab5a668481ce02b83e7395059f0"
CALL = "CA0123456789abcdef0123456789abcdef"
FORMAT = {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1}
PARAMETERS = {"token": "shibboleth", "voice_prompt": "NATF2"}
START: dict[str, Any] = {
    "event": "start",
    "sequenceNumber": "1",
    "start": {
        "accountSid": "AC0123456789abcdef0123456789abcdef",
        "streamSid": SID,
        "callSid": CALL,
        "tracks": ["inbound"],
        "mediaFormat": FORMAT,
        "customParameters": PARAMETERS,
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
        ({"event": "connected", "protocol": "Call", "version": "1.0.0"}, Other("connected")),
        (START, Start(SID, CALL, PARAMETERS)),
        ({**START, "start": {"callSid": CALL, "customParameters": {}}}, Start(SID, CALL)),
        (MEDIA, Media("inbound", b"\x7f\xff")),
        ({"event": "media", "media": {"track": "outbound", "payload": ""}}, Media("outbound", b"")),
        ({"event": "mark", "sequenceNumber": "4", "streamSid": SID, "mark": {"name": "7"}}, Mark("7")),
        ({"event": "dtmf", "streamSid": SID, "dtmf": {"track": "inbound_track", "digit": "#"}}, Dtmf("#")),
        ({"event": "stop", "sequenceNumber": "5", "streamSid": SID, "stop": {"callSid": "CA"}}, Stop()),
        ({"event": "transcription", "text": "…"}, Other("transcription")),
    ],
)
def test_what_twilio_documents_is_understood(message: dict[str, Any], event: Event) -> None:
    assert parse(json.dumps(message)) == event


@pytest.mark.parametrize(
    ("message", "told"),
    [
        (b'{"event": "stop"}', "binary"),
        ("", "not valid JSON"),
        ("nonsense", "not valid JSON"),
        ('{"event": "stop"', "not valid JSON"),
        ('{"event": "\\ud800"}', "not valid JSON"),
        ("[" * 200_000, "JSON"),
        ('{"event":' * 100_000, "JSON"),
        ("null", "not an object"),
        ('["event"]', "not an object"),
        ("{}", "event name is missing"),
        ('{"event": null}', "event name is missing"),
        ('{"event": 7}', "event name is missing"),
        ('{"event": ""}', "event name is missing"),
        (json.dumps({"event": "x" * 257}), "event name is missing"),
        ('{"event": "start"}', "start"),
        ('{"event": "start", "start": "MZ"}', "start"),
        (json.dumps({"event": "start", "start": {}}), r"start\.streamSid"),
        (changed(START, "start", streamSid=7), r"start\.streamSid"),
        (changed(START, "start", callSid=["CA"]), r"start\.callSid"),
        (changed(START, "start", mediaFormat="mulaw"), r"start\.mediaFormat"),
        (changed(START, "start", customParameters=["token"]), r"start\.customParameters"),
        (changed(START, "start", customParameters={"never this": 7}), r"start\.customParameters"),
        ('{"event": "media"}', "media"),
        ('{"event": "media", "media": []}', "media"),
        (changed(MEDIA, "media", payload=None), r"media\.payload"),
        (changed(MEDIA, "media", payload=[255]), r"media\.payload"),
        (changed(MEDIA, "media", payload="f/8"), "base64"),
        (changed(MEDIA, "media", payload="f/8=\n"), "base64"),
        (changed(MEDIA, "media", payload="§§§§"), "base64"),
        (changed(MEDIA, "media", payload="A" * 87_388), "64 KiB"),
        (changed(MEDIA, "media", track=3), r"media\.track"),
        ('{"event": "mark"}', "mark"),
        ('{"event": "dtmf", "dtmf": {"digit": "12"}}', r"dtmf\.digit"),
        (" " * (1 << 20) + "{}", "1 MiB"),
    ],
    ids=lambda value: value[:24] if isinstance(value, str) else None,
)
def test_what_is_wrong_is_told_in_a_sentence_without_its_content(message: str | bytes, told: str) -> None:
    with pytest.raises(ProtocolError, match=told) as error:
        parse(message)
    assert len(str(error.value)) < 120
    assert "never this" not in str(error.value)
    is_start = isinstance(message, str) and '"event": "start"' in message
    assert isinstance(error.value, UnusableStart) is is_start


def test_the_longest_payload_is_taken() -> None:
    sound = bytes(range(256)) * 256
    message = changed(MEDIA, "media", payload=base64.b64encode(sound).decode())
    assert parse(message) == Media("inbound", sound)


def test_what_may_be_secret_is_not_printed() -> None:
    printed = repr([parse(json.dumps(START)), Dtmf("#"), Media("inbound", b"sound")])
    assert not any(secret in printed for secret in ["shibboleth", "NATF2", "#", "sound"])


def parse_or_refuse(message: str | bytes) -> None:
    with contextlib.suppress(ProtocolError):
        assert isinstance(parse(message), Event)


@given(st.one_of(st.text(), st.binary(), st.text(alphabet='{}[]":,0123456789eE.-+\\u dEvnt')))
@example("\ud800")
@example('{"event": "mark", "mark": {"name": "\ud800"}}')
@example('{"event": "stop", "n": ' + "9" * 5000 + "}")
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


@given(st.binary(max_size=2000), st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=256))
def test_what_is_sent_is_what_is_read(sound: bytes, name: str) -> None:
    assert parse(media_message(SID, sound)) == Media("inbound", sound)
    assert parse(mark_message(SID, name)) == Mark(name)
    assert parse(clear_message(SID)) == Other("clear")


def test_what_is_sent_has_the_fields_that_twilio_documents() -> None:
    sent = [json.loads(text) for text in (media_message(SID, b"\x7f\xff"), mark_message(SID, "7"))]
    assert sent == [
        {"event": "media", "streamSid": SID, "media": {"payload": "f/8="}},
        {"event": "mark", "streamSid": SID, "mark": {"name": "7"}},
    ]
    assert json.loads(clear_message(SID)) == {"event": "clear", "streamSid": SID}
