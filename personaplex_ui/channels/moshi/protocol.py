"""The messages of the Moshi websocket, both ways.

Depends on bytes, kinds and limits, not on a socket, Opus or a call. Source: the official server and web
client of Kyutai's Moshi and NVIDIA's PersonaPlex; kind 07 comes from older PersonaPlex servers.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from personaplex_ui.calls.settings import check_spoken_text
from personaplex_ui.errors import InvalidInput, ProtocolError

HANDSHAKE, AUDIO, TEXT, CONTROL, METADATA, ERROR, PING, SPEAK = range(8)
"""The first byte of a message."""

MAX_MESSAGE_BYTES = 1_048_576
"""For any kind, including the kind byte. The limits below exclude it."""
MAX_AUDIO_BYTES = 65_536
MAX_METADATA_BYTES = 65_536
MAX_SPEAK_BYTES = 8_192

SPEAK_QUEUE_FULL = "TTS queue full"
"""The exact words with which older servers refuse a text; clients look for them."""


@dataclass(frozen=True, slots=True)
class Handshake:
    """The persona is ready; sound is heard from now on. Official clients append two bytes, which mean
    nothing."""


@dataclass(frozen=True, slots=True)
class Audio:
    """A piece of one Ogg/Opus stream, cut anywhere; or whole samples of PCM (``query.AudioFormat``)."""

    sound: bytes


@dataclass(frozen=True, slots=True)
class Text:
    """A piece of what the assistant says; one that begins a word begins with a space."""

    piece: str


@dataclass(frozen=True, slots=True)
class Control:
    """What a client's buttons do; 0 start, 1 end of turn, 2 pause, 3 restart in the official client."""

    action: int


@dataclass(frozen=True, slots=True)
class Metadata:
    values: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Error:
    sentence: str


@dataclass(frozen=True, slots=True)
class Ping:
    """Keep-alive."""


@dataclass(frozen=True, slots=True)
class Speak:
    """Make the assistant say this text."""

    text: str


Event: TypeAlias = Handshake | Audio | Text | Control | Metadata | Error | Ping | Speak


def parse(message: bytes | str) -> Event:
    """Parse one websocket message; a ``str`` is the content of a text frame.

    Raises:
        ProtocolError: the message does not belong to this protocol; the sentence says why.
    """
    if isinstance(message, str):
        raise ProtocolError("This is a text message; all messages here are binary, the first byte the kind.")
    if not message:
        raise ProtocolError("The message is empty; its first byte must be its kind, 00 to 07.")
    if len(message) > MAX_MESSAGE_BYTES:
        raise ProtocolError(f"The message is too long: at most {MAX_MESSAGE_BYTES:,} bytes are read.")
    kind, content = message[0], message[1:]
    match kind:
        case 0x00:
            return Handshake()
        case 0x01:
            return Audio(_within(content, MAX_AUDIO_BYTES, "audio (01)"))
        case 0x02:
            return Text(_decode(content, "text (02)"))
        case 0x03:
            return _parse_control(content)
        case 0x04:
            return _parse_metadata(_within(content, MAX_METADATA_BYTES, "metadata (04)"))
        case 0x05:
            return Error(_decode(content, "error (05)"))
        case 0x06:
            return Ping()
        case 0x07:
            return _parse_speak(_within(content, MAX_SPEAK_BYTES, "speak-this (07)"))
        case _:
            raise ProtocolError(f"There is no message of kind {kind:02x}; the kinds are 00 to 07.")


def build(event: Event) -> bytes:
    """The binary message for ``event``; the inverse of ``parse``."""
    match event:
        case Handshake():
            return bytes([HANDSHAKE])
        case Audio(sound):
            return bytes([AUDIO]) + sound
        case Text(piece):
            return bytes([TEXT]) + _encode(piece)
        case Control(action):
            return bytes([CONTROL, action])
        case Metadata(values):
            return bytes([METADATA]) + _encode(json.dumps(dict(values), ensure_ascii=False))
        case Error(sentence):
            return bytes([ERROR]) + _encode(sentence)
        case Ping():
            return bytes([PING])
        case Speak(text):
            return bytes([SPEAK]) + _encode(text)


def _within(content: bytes, most_bytes: int, what: str) -> bytes:
    if len(content) > most_bytes:
        raise ProtocolError(
            f"The {what} message has {len(content):,} bytes; at most {most_bytes:,} are allowed. "
            "Send it in smaller pieces."
        )
    return content


def _decode(content: bytes, what: str) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError:
        raise ProtocolError(f"The {what} message is not valid UTF-8.") from None


def _encode(text: str) -> bytes:
    return text.encode(errors="replace")


def _parse_control(content: bytes) -> Control:
    if not content:
        raise ProtocolError("The control (03) message lacks its second byte, the action.")
    return Control(content[0])


def _parse_metadata(content: bytes) -> Metadata:
    try:
        values = json.loads(_decode(content, "metadata (04)"))
    except (ValueError, RecursionError):  # also for numbers with thousands of digits, and for deep nesting
        values = None
    if not isinstance(values, dict):
        raise ProtocolError("The metadata (04) message is not a JSON object.")
    return Metadata(values)  # pyright: ignore[reportUnknownArgumentType]  JSON keys are strings


def _parse_speak(content: bytes) -> Speak:
    text = _decode(content, "speak-this (07)")
    if not text.strip():
        raise ProtocolError("The speak-this (07) message holds no text.")
    try:
        return Speak(check_spoken_text(text))
    except InvalidInput as error:
        raise ProtocolError(str(error)) from None
