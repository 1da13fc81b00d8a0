"""The messages of the Moshi websocket: what is read of any bytes, and what is written."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from personaplex_ui.calls.settings import MAX_SPOKEN_CHARACTERS
from personaplex_ui.channels.moshi.protocol import (
    MAX_AUDIO_BYTES,
    MAX_MESSAGE_BYTES,
    MAX_METADATA_BYTES,
    MAX_SPEAK_BYTES,
    Audio,
    Control,
    Error,
    Event,
    Handshake,
    Metadata,
    Ping,
    Speak,
    Text,
    build,
    parse,
)
from personaplex_ui.errors import ProtocolError

EVERY_KIND: list[tuple[bytes, Event]] = [
    (b"\x00", Handshake()),
    (b"\x01OggS", Audio(b"OggS")),
    (b"\x01", Audio(b"")),
    (b"\x02 Gr\xc3\xbc\xc3\x9fe", Text(" Grüße")),
    (b"\x03\x01", Control(1)),
    (b'\x04{"state": "live"}', Metadata({"state": "live"})),
    (b"\x05TTS queue full", Error("TTS queue full")),
    (b"\x06", Ping()),
    (b"\x07Good morning!", Speak("Good morning!")),
]


@pytest.mark.parametrize(("message", "event"), EVERY_KIND)
def test_every_kind_is_read_and_written(message: bytes, event: Event):
    assert parse(message) == event
    assert build(event) == message


@pytest.mark.parametrize(
    ("message", "event"),
    [
        (b"\x00\x00\x00", Handshake()),  # the official client's: version and model
        (b"\x06anything", Ping()),
        (b"\x03\xff", Control(255)),
        (b"\x03\x01more", Control(1)),
        (b"\x07 \n Good morning! \t", Speak("Good morning!")),
    ],
)
def test_what_means_nothing_is_ignored(message: bytes, event: Event):
    assert parse(message) == event


@pytest.mark.parametrize(
    ("message", "words"),
    [
        (b"", "empty"),
        ("", "text message"),
        ("\x00", "text message"),
        ('{"type": "ping"}', "text message"),
        (b"\x08", "kind 08"),
        (b"\xff\xff", "kind ff"),
        (b"\x02\xff\xfe", "not valid UTF-8"),
        (b"\x02\xc3", "not valid UTF-8"),
        (b"\x05\x80", "not valid UTF-8"),
        (b"\x07\xed\xa0\x80", "not valid UTF-8"),  # half of a surrogate pair
        (b"\x03", "the action"),
        (b"\x04", "not a JSON object"),
        (b"\x04[]", "not a JSON object"),
        (b'\x04{"state":', "not a JSON object"),
        (b"\x04" + b"[" * 60_000, "not a JSON object"),
        (b"\x04" + b"9" * 60_000, "not a JSON object"),
        (b"\x07", "no text"),
        (b"\x07 \n\t ", "no text"),
        (b"\x07Hello\x00", "control characters"),
        (b"\x07Hello\x1b[2J", "control characters"),
    ],
)
def test_what_is_no_message_is_refused_with_a_sentence(message: bytes | str, words: str):
    with pytest.raises(ProtocolError, match=words) as refused:
        parse(message)
    assert str(refused.value).endswith(".")


@pytest.mark.parametrize(
    ("kind", "most_bytes"), [(1, MAX_AUDIO_BYTES), (4, MAX_METADATA_BYTES), (7, MAX_SPEAK_BYTES)]
)
def test_a_long_message_is_refused_by_its_kind(kind: int, most_bytes: int):
    with pytest.raises(ProtocolError, match=f"{most_bytes + 1:,} bytes; at most {most_bytes:,}"):
        parse(bytes([kind]) + b"a" * (most_bytes + 1))


@pytest.mark.parametrize("kind", range(9))
def test_a_message_of_ten_megabytes_is_refused_whatever_it_is(kind: int):
    with pytest.raises(ProtocolError, match="too long"):
        parse(bytes([kind]) * 10_000_000)


def test_the_longest_messages_are_read():
    assert parse(b"\x01" + b"a" * MAX_AUDIO_BYTES) == Audio(b"a" * MAX_AUDIO_BYTES)
    assert parse(b"\x02" + b"a" * (MAX_MESSAGE_BYTES - 1)) == Text("a" * (MAX_MESSAGE_BYTES - 1))
    longest = "é" * MAX_SPOKEN_CHARACTERS
    assert parse(build(Speak(longest))) == Speak(longest)
    with pytest.raises(ProtocolError, match="2,001 characters"):
        parse(build(Speak(longest + "é")))


def is_event_or_refused(message: bytes | str) -> None:
    try:
        event = parse(message)
    except ProtocolError:
        return
    assert parse(build(event)) == event


@given(st.binary(max_size=200) | st.text(max_size=200))
def test_anything_is_an_event_or_refused(message: bytes | str):
    is_event_or_refused(message)


@given(st.integers(0, 7), st.binary(max_size=60))
def test_any_content_of_a_kind_is_an_event_or_refused(kind: int, content: bytes):
    is_event_or_refused(bytes([kind]) + content)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters(codec="utf-8")),
    lambda inner: st.lists(inner, max_size=3),
    max_leaves=5,
)
EVENTS = st.one_of(
    st.just(Handshake()),
    st.just(Ping()),
    st.builds(Audio, st.binary(max_size=100)),
    st.builds(Text, st.text(st.characters(codec="utf-8"))),
    st.builds(Error, st.text(st.characters(codec="utf-8"))),
    st.builds(Control, st.integers(0, 255)),
    st.builds(Metadata, st.dictionaries(st.text(st.characters(codec="utf-8")), JSON, max_size=3)),
)


@given(EVENTS)
def test_what_is_written_is_read_again(event: Event):
    assert parse(build(event)) == event


def test_half_a_character_does_not_stop_a_message():
    assert build(Text("a\ud800b")) == b"\x02a?b"
