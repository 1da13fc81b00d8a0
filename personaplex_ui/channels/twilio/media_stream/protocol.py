"""Twilio's media stream messages: parses JSON text to events and formats the messages sent back.

Depends on the fields that Twilio documents
(https://www.twilio.com/docs/voice/media-streams/websocket-messages), not on sockets, sound or the order of
messages. Input is not trusted: it becomes an event or a ``ProtocolError``, never anything else. Only the
fields that a call needs are checked: ``null`` counts as missing, and other fields may hold anything.
"""

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Final, TypeAlias, TypeVar, cast

from pydantic import BaseModel, StringConstraints, ValidationError
from pydantic.alias_generators import to_camel

from personaplex_ui.errors import ProtocolError

SAMPLE_RATE_HZ: Final = 8_000
ENCODING: Final = "audio/x-mulaw"
INBOUND: Final = "inbound"

LONGEST_MESSAGE = 1 << 20
"""Characters."""

LONGEST_PAYLOAD_BYTES = 64 << 10
"""8 s of sound; Twilio sends 20 ms."""

Text = Annotated[str, StringConstraints(min_length=1, max_length=256)]
"""Identifiers, names and event names."""


@dataclass(frozen=True, slots=True)
class Start:
    """The stream begins: mu-law, 8 kHz, mono. ``parameters``: the ``<Parameter>`` elements of the TwiML.

    The peer chose these values. The parameters hold the call's token, so ``repr`` omits them.
    """

    stream_sid: str
    call_sid: str = ""
    parameters: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)


@dataclass(frozen=True, slots=True)
class Media:
    """Sound. ``payload``: mu-law, one byte per sample; may be empty."""

    track: str
    payload: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Mark:
    """All sound that was sent before the mark ``name`` has been played or cleared."""

    name: str


@dataclass(frozen=True, slots=True)
class Dtmf:
    """A telephone key: 0 to 9, A to D, ``*``, ``#``. It may be part of a secret, so do not print it."""

    digit: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Stop:
    """The stream is over: the caller hung up, or the TwiML went on."""


@dataclass(frozen=True, slots=True)
class Other:
    """An event to ignore: ``connected``, and anything a newer protocol may add."""

    event: str


class Negligible(ProtocolError):
    """A malformed key or mark. Nothing is lost with it, so it may come any number of times."""


class UnusableStart(ProtocolError):
    """A ``start`` message that cannot begin a call; no later message can make up for it."""


Event: TypeAlias = Start | Media | Mark | Dtmf | Stop | Other


class _Wire(BaseModel, alias_generator=to_camel):
    """Names and values as received; fields without a name here are ignored."""


class _Message(_Wire):
    event: Text
    stream_sid: Any = None
    start: Any = None
    media: Any = None
    mark: Any = None
    dtmf: Any = None


class _Start(_Wire):
    stream_sid: Text
    call_sid: Text | None = None
    media_format: dict[str, Any] | None = None
    custom_parameters: dict[str, str | None] | None = None


class _Media(_Wire):
    track: Annotated[str, StringConstraints(max_length=256)] | None = None
    payload: str


class _Mark(_Wire):
    name: Text


class _Dtmf(_Wire):
    digit: Annotated[str, StringConstraints(pattern=r"^[0-9A-D*#]$")]


def parse(message: str | bytes) -> Event:
    """Parse a websocket message.

    Raises:
        ProtocolError: it is not an event; the text says what is wrong and does not quote the message.
        Negligible: it is a malformed event that can be ignored.
        UnusableStart: it is a ``start`` that cannot begin a call.
    """
    if isinstance(message, bytes):
        raise ProtocolError("The message is binary. Send JSON as text.")
    if len(message) > LONGEST_MESSAGE:
        raise ProtocolError("The message is longer than 1 MiB. Send sound in pieces of 20 ms.")
    fields = _message_in(message)
    match fields.event:
        case "start":
            return _start(fields)
        case "media":
            return _media(_read(_Media, "media", fields.media))
        case "mark":
            return Mark(_read(_Mark, "mark", fields.mark, Negligible).name)
        case "dtmf":
            return Dtmf(_read(_Dtmf, "dtmf", fields.dtmf, Negligible).digit)
        case "stop":
            return Stop()
        case event:
            return Other(event)


def media_message(stream_sid: str, payload: bytes) -> str:
    """Sound to play after everything sent before: mu-law, 8 kHz."""
    encoded = base64.b64encode(payload).decode("ascii")
    return json.dumps({"event": "media", "streamSid": stream_sid, "media": {"payload": encoded}})


def mark_message(stream_sid: str, name: str) -> str:
    """Asks for a ``Mark`` of that name once everything sent before has been played."""
    return json.dumps({"event": "mark", "streamSid": stream_sid, "mark": {"name": name}})


def clear_message(stream_sid: str) -> str:
    """Discards the sound that has not been played yet; all outstanding marks come back at once."""
    return json.dumps({"event": "clear", "streamSid": stream_sid})


_Model = TypeVar("_Model", bound=BaseModel)


def _message_in(text: str) -> _Message:
    try:
        return _Message.model_validate_json(text)
    except ValidationError as error:
        fault = error.errors(include_url=False, include_input=False)[0]
        if fault["type"] in ("json_invalid", "string_unicode"):
            raise ProtocolError("The message is not valid JSON. Send a JSON object.") from None
        if not fault["loc"]:
            raise ProtocolError("The message is JSON, but not an object. Send a JSON object.") from None
        raise ProtocolError("The event name is missing, or is not a string of 1 to 256 characters.") from None


def _read(
    model: type[_Model], name: str, part: object, refused: type[ProtocolError] = ProtocolError
) -> _Model:
    """Validate the field ``name`` of a message, whose value is ``part``. Raises ``refused``."""
    try:
        return model.model_validate(part)
    except ValidationError as error:
        fault = error.errors(include_url=False, include_input=False)[0]
        # Deeper parts of the location may quote the peer.
        where = ".".join([name, *map(str, fault["loc"][:1])])
        raise refused(f"A part is missing or wrong: {where}. {fault['msg']}.") from None


def _start(fields: _Message) -> Start:
    part = fields.start
    if isinstance(part, dict):
        given = {name: value for name, value in cast(dict[str, Any], part).items() if value is not None}
        part = {"streamSid": fields.stream_sid} | given
    start = _read(_Start, "start", part, UnusableStart)
    told, known = (
        start.media_format or {},
        {"encoding": ENCODING, "sampleRate": SAMPLE_RATE_HZ, "channels": 1},
    )
    if not all(_says(told.get(name), value) for name, value in known.items()):
        raise UnusableStart("The stream's format is not known. Send audio/x-mulaw, 8000 Hz, 1 channel.")
    parameters = {name: value for name, value in (start.custom_parameters or {}).items() if value is not None}
    return Start(start.stream_sid, start.call_sid or "", parameters)


def _says(told: object, value: str | int) -> bool:
    """Whether ``told`` is some spelling of ``value``, or empty: Twilio has only one format."""
    return told in (None, "") or str(told).strip().lower().removesuffix(".0") == str(value)


def _media(media: _Media) -> Media:
    try:
        sound = base64.b64decode(media.payload, validate=True)
    except (binascii.Error, ValueError):
        raise ProtocolError("The sound is not valid base64.") from None
    if len(sound) > LONGEST_PAYLOAD_BYTES:
        raise ProtocolError("The sound of one message is longer than 64 KiB. Send pieces of 20 ms.")
    return Media((media.track or INBOUND).removesuffix("_track"), sound)
