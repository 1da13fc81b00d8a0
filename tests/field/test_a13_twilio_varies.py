"""What may vary in Twilio's messages, and what others send in its place: the call goes on."""

import json
from collections.abc import AsyncGenerator
from typing import Any

import pytest

from personaplex_ui.calls.manager import CallManager
from personaplex_ui.channels.twilio.media_stream.protocol import (
    Media,
    Negligible,
    Start,
    UnusableStart,
    parse,
)
from personaplex_ui.errors import ProtocolError
from tests.support.running import until
from tests.support.twilio_rig import LOUD, SID, TOKEN, Dial, dialling, media, started

FORMAT = {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1}
ANY: list[Any] = ["", 20.5, "20.5", -1, "soon", True, None, [], {}, "²", "9" * 400, 1e300, 7, "7", 7.0]

MORE_THAN_ARE_FORGIVEN = 150
"""Faults end a call after 100."""


@pytest.fixture
async def dial(call_manager: CallManager) -> AsyncGenerator[Dial]:
    async with dialling(call_manager) as dial:
        yield dial


def start_with(**values: Any) -> str:
    message = started()
    message["start"].update(values)
    return json.dumps(message)


def media_with(**values: Any) -> str:
    message = media()
    message["media"].update(values)
    return json.dumps(message)


@pytest.mark.parametrize("value", ANY, ids=repr)
@pytest.mark.parametrize("name", ["sequenceNumber", "streamSid", "protocol", "anything"])
def test_fields_that_nothing_depends_on_are_not_looked_at(name: str, value: Any) -> None:
    for message in (media(), {"event": "stop"}, {"event": "mark", "mark": {"name": "7"}}, started()):
        assert type(parse(json.dumps({**message, name: value}))) is type(parse(json.dumps(message)))
    assert parse(media_with(chunk=value, timestamp=value, **{name: value})) == Media("inbound", LOUD)


@pytest.mark.parametrize(
    ("told", "is_known"),
    [
        (None, True),
        ({}, True),
        ({"sampleRate": "8000"}, True),
        ({"sampleRate": 8000.0, "channels": 1.0}, True),
        ({"sampleRate": " 8000 ", "channels": "1"}, True),
        ({"sampleRate": "8000.0"}, True),
        ({"encoding": "audio/X-MULAW "}, True),
        ({"encoding": None, "sampleRate": None, "channels": None}, True),
        ({"bitDepth": 8, "sampleRate": ""}, True),
        ({"sampleRate": "16000"}, False),
        ({"sampleRate": "8 kHz"}, False),
        ({"sampleRate": [8000]}, False),
        ({"channels": "2"}, False),
        ({"channels": True}, False),
        ({"encoding": "audio/l16"}, False),
        ({"encoding": 7}, False),
    ],
    ids=repr,
)
def test_the_format_may_be_told_in_other_ways(told: dict[str, Any] | None, is_known: bool) -> None:
    message = start_with(mediaFormat=None if told is None else FORMAT | told)
    if is_known:
        assert isinstance(parse(message), Start)
    else:
        with pytest.raises(UnusableStart, match="8000 Hz"):
            parse(message)


def test_null_is_as_good_as_missing() -> None:
    message: dict[str, Any] = {"streamSid": SID, **started()}
    message["start"] |= {"streamSid": None, "callSid": None, "customParameters": None, "tracks": None}
    assert parse(json.dumps(message)) == Start(SID)
    parameters = {"token": TOKEN, "campaign": None}
    assert parse(start_with(customParameters=parameters)) == Start(SID, "CA1", {"token": TOKEN})
    assert parse(media_with(track=None, timestamp=None)) == Media("inbound", LOUD)


@pytest.mark.parametrize(
    ("track", "read"),
    [("inbound", "inbound"), ("inbound_track", "inbound"), ("", "inbound"), ("outbound", "outbound")],
)
def test_tracks(track: str, read: str) -> None:
    assert parse(media_with(track=track)) == Media(read, LOUD)


@pytest.mark.parametrize(
    ("message", "is_fault"),
    [
        *[(f'{{"event": "mark", "mark": {mark}}}', False) for mark in ("null", "{}", '{"name": 7}')],
        *[(f'{{"event": "dtmf", "dtmf": {dtmf}}}', False) for dtmf in ("null", "{}", '{"digit": "w"}')],
        *[(message, True) for message in ("nonsense", "[]", "{}", '{"event": "media"}')],
    ],
)
def test_a_mark_or_a_key_that_says_nothing_is_told_from_faults(message: str, is_fault: bool) -> None:
    with pytest.raises(ProtocolError) as fault:
        parse(message)
    assert isinstance(fault.value, Negligible) is not is_fault


VARIATIONS: list[str | bytes] = [
    b"",
    b"\x00\xff" * 40,
    json.dumps(media()).encode(),
    *[media_with(timestamp=timestamp, payload="") for timestamp in ANY],
    json.dumps({**media(track="outbound"), "sequenceNumber": ""}),
    json.dumps({"event": "dtmf", "streamSid": SID, "dtmf": {"track": "inbound_track", "digit": None}}),
    json.dumps({"event": "mark", "streamSid": SID, "mark": {"name": 7}}),
    json.dumps({"event": "transcription", "text": None}),
    json.dumps({"event": "connected", "protocol": None, "version": 1.0}),
]


@pytest.mark.parametrize("message", VARIATIONS, ids=lambda message: repr(message)[:60])
async def test_the_call_goes_on(dial: Dial, message: str | bytes) -> None:
    peer = dial()
    call = await peer.start()
    for _ in range(MORE_THAN_ARE_FORGIVEN):
        peer.send(message)
    assert await peer.is_answered()
    assert not call.over.is_set()


async def test_a_call_begins_after_messages_that_say_nothing(dial: Dial) -> None:
    peer = dial()
    for message in VARIATIONS:
        peer.send(message)
    message = started()
    message["start"] |= {"mediaFormat": FORMAT | {"sampleRate": "8000", "channels": "1"}, "tracks": None}
    peer.send({**message, "sequenceNumber": 1})
    await until(lambda: bool(peer.calls))
    await peer.call.live.wait()
    assert await peer.is_answered()
