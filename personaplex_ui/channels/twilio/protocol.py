"""Twilio's media stream messages: JSON text to events, and what is sent back to JSON text.

Knows the fields that Twilio documents (https://www.twilio.com/docs/voice/media-streams/websocket-messages)
and no socket, no sound and no order of messages. What a peer sent is not trusted: it becomes an event or a
``ProtocolError``, never anything else. Only what a call needs is looked at: ``null`` is as good as missing,
and a field that nothing depends on may be anything.
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
"""Identifiers, names and names of events."""


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
    """Sound. ``payload``: mu-law, a byte a sample, maybe none."""

    track: str
    payload: bytes = field(repr=False)


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
class Other:
    """An event to be ignored: ``connected``, and what a newer protocol may add."""

    event: str


class Negligible(ProtocolError):
    """A key or a mark that says nothing: nothing is lost with it, so it may come any number of times."""


class UnusableStart(ProtocolError):
    """A ``start`` that no call can begin with: no later message makes up for it."""


Event: TypeAlias = Start | Media | Mark | Dtmf | Stop | Other


class _Wire(BaseModel, alias_generator=to_camel):
    """Names and values as they come; what is not named here is not looked at."""


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
    """The event that a websocket message tells.

    Raises:
        ProtocolError: it is none; the text says what is wrong with it and repeats nothing of it.
        Negligible: it is one, but says nothing.
        UnusableStart: it is a start, but not one to begin a call with.
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
    """Sound to play behind what was sent before: mu-law, 8 kHz."""
    encoded = base64.b64encode(payload).decode("ascii")
    return json.dumps({"event": "media", "streamSid": stream_sid, "media": {"payload": encoded}})


def mark_message(stream_sid: str, name: str) -> str:
    """Asks for a ``Mark`` of that name as soon as all that was sent before has been played."""
    return json.dumps({"event": "mark", "streamSid": stream_sid, "mark": {"name": name}})


def clear_message(stream_sid: str) -> str:
    """Throws away what was sent and not played yet; all marks that are outstanding come back at once."""
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
        raise ProtocolError(
            "The name of the event is missing, or not a text of 1 to 256 characters."
        ) from None


def _read(
    model: type[_Model], name: str, part: object, refused: type[ProtocolError] = ProtocolError
) -> _Model:
    """``part`` of a message, which it calls ``name``. Raises ``refused``."""
    try:
        return model.model_validate(part)
    except ValidationError as error:
        fault = error.errors(include_url=False, include_input=False)[0]
        # What comes deeper in its place may be the peer's own words.
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
    """Whether ``told`` is ``value`` in some writing, or nothing: Twilio has one format only."""
    return told in (None, "") or str(told).strip().lower().removesuffix(".0") == str(value)


def _media(media: _Media) -> Media:
    try:
        sound = base64.b64decode(media.payload, validate=True)
    except (binascii.Error, ValueError):
        raise ProtocolError("The sound is not valid base64.") from None
    if len(sound) > LONGEST_PAYLOAD_BYTES:
        raise ProtocolError("The sound of one message is longer than 64 KiB. Send pieces of 20 ms.")
    return Media((media.track or INBOUND).removesuffix("_track"), sound)
