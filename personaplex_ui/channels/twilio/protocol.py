"""Twilio's media stream messages: JSON text to events, and what is sent back to JSON text.

Knows the fields that Twilio documents (https://www.twilio.com/docs/voice/media-streams/websocket-messages)
and no socket, no sound and no order of messages. What a peer sent is not trusted: it becomes an event or a
``ProtocolError``, never anything else. Only what a call needs is looked at: ``null`` is as good as missing,
and a field that nothing depends on may be anything.
"""

import base64
import binascii
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, NoReturn, TypeAlias, cast

from personaplex_ui.errors import ProtocolError

SAMPLE_RATE_HZ: Final = 8_000
ENCODING: Final = "audio/x-mulaw"
INBOUND: Final = "inbound"

LONGEST_MESSAGE = 1 << 20
"""Characters."""

LONGEST_PAYLOAD_BYTES = 64 << 10
"""8 s of sound; Twilio sends 20 ms."""

LONGEST_TEXT = 256
"""Of identifiers, names and names of events."""

LATEST_MS = 1 << 53
_NUMBER = re.compile(r" *[0-9]{1,16}(\.[0-9]{1,16})? *")


@dataclass(frozen=True, slots=True)
class Connected:
    """The websocket is there; ``Start`` follows."""


@dataclass(frozen=True, slots=True)
class Start:
    """The stream begins: mu-law, 8 kHz, mono. ``parameters``: the ``<Parameter>`` elements of the TwiML.

    What a peer says of itself: its parameters hold the call's token, so they are left out when printed.
    """

    stream_sid: str
    call_sid: str = ""
    parameters: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)


@dataclass(frozen=True, slots=True)
class Media:
    """Sound. ``payload``: mu-law, a byte a sample, maybe none. ``timestamp_ms``: since the stream's start; 0
    where it is not told."""

    track: str
    payload: bytes = field(repr=False)
    timestamp_ms: int = 0


@dataclass(frozen=True, slots=True)
class Mark:
    """All sound that was sent before the mark ``name`` was played, or cleared."""

    name: str


@dataclass(frozen=True, slots=True)
class Dtmf:
    """A key of the telephone: 0 to 9, A to D, ``*``, ``#``. It may be part of a secret: do not print it."""

    digit: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Stop:
    """The stream is over: the caller hung up, or the TwiML went on."""


@dataclass(frozen=True, slots=True)
class Unknown:
    """An event that this protocol did not have when this was written; to be ignored."""

    event: str


class Negligible(ProtocolError):
    """A key or a mark that says nothing: nothing is lost with it, so it may come any number of times."""


class UnusableStart(ProtocolError):
    """A ``start`` that no call can begin with: no later message makes up for it."""


Event: TypeAlias = Connected | Start | Media | Mark | Dtmf | Stop | Unknown
Fields: TypeAlias = dict[str, object]


def parse(message: str | bytes) -> Event:
    """The event that a websocket message tells.

    Raises:
        ProtocolError: it is none; the text says what is wrong with it and repeats nothing of it.
        Negligible: it is one, but says nothing.
        UnusableStart: it is a start, but not one to begin a call with.
    """
    if isinstance(message, bytes):
        raise ProtocolError("The message is binary. Send JSON as text.")
    fields = _fields_of(message)
    event = _text(fields, "event")
    match event:
        case "connected":
            return Connected()
        case "start":
            try:
                return _start(fields)
            except ProtocolError as error:
                raise UnusableStart(str(error)) from None
        case "media":
            return _media(_part(fields, "media"))
        case "mark":
            return _negligible(_mark, fields)
        case "dtmf":
            return _negligible(_dtmf, fields)
        case "stop":
            return Stop()
        case _:
            return Unknown(event)


def media_message(stream_sid: str, payload: bytes) -> str:
    """Sound to play behind what was sent before: mu-law, 8 kHz."""
    encoded = base64.b64encode(payload).decode("ascii")
    return json.dumps({"event": "media", "streamSid": stream_sid, "media": {"payload": encoded}})


def mark_message(stream_sid: str, name: str) -> str:
    """Asks for a ``Mark`` of that name as soon as all that was sent before has been played."""
    return json.dumps({"event": "mark", "streamSid": stream_sid, "mark": {"name": name}})


def clear_message(stream_sid: str) -> str:
    """Throws away what was sent and not played yet; all marks that are outstanding come back at once."""
    return json.dumps({"event": "clear", "streamSid": stream_sid})


def _fields_of(message: str) -> Fields:
    if not message.strip():
        raise ProtocolError("The message is empty. Send a JSON object.")
    if len(message) > LONGEST_MESSAGE:
        raise ProtocolError("The message is longer than 1 MiB. Send sound in pieces of 20 ms.")
    try:
        value: object = json.loads(message, parse_constant=_refuse_constant)
    except RecursionError:
        raise ProtocolError("The message is nested too deeply. Send a JSON object.") from None
    except ValueError:  # also of a whole number with thousands of digits
        raise ProtocolError("The message is not valid JSON. Send a JSON object.") from None
    if not isinstance(value, dict):
        raise ProtocolError("The message is JSON, but not an object. Send a JSON object.")
    return cast(Fields, value)


def _refuse_constant(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")


def _start(fields: Fields) -> Start:
    start = _part(fields, "start")
    _check_format(start)
    stream_sid = _text(fields if start.get("streamSid") is None else start, "streamSid")
    call_sid = "" if start.get("callSid") is None else _text(start, "callSid")
    return Start(stream_sid, call_sid, _parameters(start))


def _check_format(start: Fields) -> None:
    """Twilio has one format only, so where it is not told it is taken for granted."""
    if start.get("mediaFormat") is None:
        return
    told = _part(start, "mediaFormat")
    known = {"encoding": ENCODING, "sampleRate": SAMPLE_RATE_HZ, "channels": 1}
    if not all(_says(told.get(name), value) for name, value in known.items()):
        raise ProtocolError("The stream's format is not known. Send audio/x-mulaw, 8000 Hz, 1 channel.")


def _says(told: object, value: str | int) -> bool:
    """Whether ``told`` is ``value`` in some writing, or nothing."""
    match told:
        case None | "":
            return True
        case str() if isinstance(value, str):
            return told.strip().lower() == value
        case _:
            return _number(told) == value


def _number(told: object) -> float | None:
    """A number, also one that is written as text."""
    if isinstance(told, str) and _NUMBER.fullmatch(told):
        return float(told)
    return told if isinstance(told, int | float) and not isinstance(told, bool) else None


def _parameters(start: Fields) -> Mapping[str, str]:
    if start.get("customParameters") is None:
        return {}
    found: dict[str, str] = {}
    for name, value in _part(start, "customParameters").items():
        if value is None:
            continue
        if not isinstance(value, str) or not _is_whole(name) or not _is_whole(value):
            raise ProtocolError("A custom parameter is not text. Send names and values as text.")
        found[name] = value
    return found


def _media(media: Fields) -> Media:
    track = INBOUND if media.get("track") in (None, "") else _text(media, "track").removesuffix("_track")
    payload = media.get("payload")
    if not isinstance(payload, str):
        raise ProtocolError("The sound is missing: media.payload should be base64 text.")
    if len(payload) > LONGEST_PAYLOAD_BYTES * 4 // 3 + 4:
        raise ProtocolError("The sound of one message is longer than 64 KiB. Send pieces of 20 ms.")
    try:
        sound = base64.b64decode(payload, validate=True)
    except (binascii.Error, ValueError):
        raise ProtocolError("The sound is not valid base64.") from None
    if len(sound) > LONGEST_PAYLOAD_BYTES:
        raise ProtocolError("The sound of one message is longer than 64 KiB. Send pieces of 20 ms.")
    return Media(track, sound, _milliseconds(media))


def _milliseconds(media: Fields) -> int:
    """Twilio sends it as text; nothing depends on it, so it may be anything."""
    number = _number(media.get("timestamp"))
    return int(number) if number is not None and 0 <= number <= LATEST_MS else 0


def _negligible(read: Callable[[Fields], Event], fields: Fields) -> Event:
    try:
        return read(fields)
    except ProtocolError as error:
        raise Negligible(str(error)) from None


def _mark(fields: Fields) -> Event:
    return Mark(_text(_part(fields, "mark"), "name"))


def _dtmf(fields: Fields) -> Event:
    digit = _text(_part(fields, "dtmf"), "digit")
    if len(digit) != 1 or digit not in "0123456789ABCD*#":
        raise ProtocolError("The key is none of a telephone: dtmf.digit.")
    return Dtmf(digit)


def _part(fields: Fields, name: str) -> Fields:
    value = fields.get(name)
    if not isinstance(value, dict):
        raise ProtocolError(f"A part is missing: {name} should be an object.")
    return cast(Fields, value)


def _text(fields: Fields, name: str) -> str:
    value = fields.get(name)
    if not isinstance(value, str) or not 0 < len(value) <= LONGEST_TEXT or not _is_whole(value):
        raise ProtocolError(f"A part is missing: {name} should be text of 1 to {LONGEST_TEXT} characters.")
    return value


def _is_whole(text: str) -> bool:
    """Whether it can be written as UTF-8: JSON can name half of a character."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
