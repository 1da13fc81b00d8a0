"""The events of a client: JSON in, frozen events out. Depends on no socket, no sound and no call.

Source: OpenAI's reference of the Realtime API, and ``openai.types.realtime`` of its Python package.
"""

import base64
import binascii
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias, cast

from personaplex_ui.channels.realtime.faults import RealtimeFault
from personaplex_ui.channels.realtime.items import Item, Json, Kind, Role

MAX_MESSAGE_BYTES = 4 * 1_048_576
"""The websocket itself refuses longer ones: 65 s of PCM fit, more than is held."""

MAX_SILENT_BYTES = 1_048_576
"""Of a message that is no sound: JSON can take many times its length in memory."""

SOUND_EVENT = "input_audio_buffer.append"

MAX_TEXT_CHARACTERS = 10_000
"""Of all texts in one item."""

MAX_OUTPUT_CHARACTERS = 64_000
"""Of what a function returned."""

MAX_ID_CHARACTERS = 512
MOST_PARTS = 32
MAX_MS = 2**31


@dataclass(frozen=True, slots=True)
class SessionUpdate:
    """``values``: what is to change, unchecked (``session_config``)."""

    values: Json
    event_id: str = ""


@dataclass(frozen=True, slots=True)
class AudioAppend:
    """``sound``: in the session's input format."""

    sound: bytes
    event_id: str = ""


@dataclass(frozen=True, slots=True)
class AudioCommit:
    event_id: str = ""


@dataclass(frozen=True, slots=True)
class AudioClear:
    event_id: str = ""


@dataclass(frozen=True, slots=True)
class ItemCreate:
    """``item``: its id is empty if the client gave none."""

    item: Item
    event_id: str = ""


@dataclass(frozen=True, slots=True)
class ItemTruncate:
    item_id: str
    content_index: int
    audio_end_ms: int
    event_id: str = ""


@dataclass(frozen=True, slots=True)
class ItemDelete:
    item_id: str
    event_id: str = ""


@dataclass(frozen=True, slots=True)
class ItemRetrieve:
    item_id: str
    event_id: str = ""


@dataclass(frozen=True, slots=True)
class ResponseCreate:
    """``say``: our extension, a text that the assistant is to say word for word."""

    say: str = ""
    event_id: str = ""


@dataclass(frozen=True, slots=True)
class ResponseCancel:
    """Also ``output_audio_buffer.clear``. ``response_id``: empty for the one under way."""

    response_id: str = ""
    event_id: str = ""


ClientEvent: TypeAlias = (
    SessionUpdate
    | AudioAppend
    | AudioCommit
    | AudioClear
    | ItemCreate
    | ItemTruncate
    | ItemDelete
    | ItemRetrieve
    | ResponseCreate
    | ResponseCancel
)


def parse(message: bytes | str) -> ClientEvent:
    """Parse one websocket message, text or binary.

    Raises:
        RealtimeFault: it is no event of this protocol; with the event's id, if it has one.
    """
    values = _object_in(message)
    event_id = _or(values.get("event_id"), "")
    if not isinstance(event_id, str) or len(event_id) > MAX_ID_CHARACTERS:
        raise RealtimeFault(
            f"event_id must be a text of at most {MAX_ID_CHARACTERS} characters.", param="event_id"
        )
    try:
        kind = values.get("type")
        if not isinstance(kind, str):
            raise RealtimeFault("The event has no type.", "missing_required_parameter", "type")
        if kind not in _PARSERS:
            known = ", ".join(_PARSERS)
            raise RealtimeFault(f"There is no event {kind[:60]!r}. There are: {known}.", param="type")
        return _PARSERS[kind](values, event_id)
    except RealtimeFault as fault:
        fault.event_id = event_id
        raise


def is_sound(message: bytes | str) -> bool:
    """Whether ``message`` may be an ``input_audio_buffer.append``, without reading it."""
    return SOUND_EVENT in message if isinstance(message, str) else SOUND_EVENT.encode() in message


def _object_in(message: bytes | str) -> Json:
    most = MAX_MESSAGE_BYTES if is_sound(message) else MAX_SILENT_BYTES
    if len(message) > most:
        raise RealtimeFault(f"The message is too long: at most {most:,} bytes are read.", "too_long")
    try:
        values: object = json.loads(message)
    except (ValueError, RecursionError):  # also what is not UTF-8, and numbers with thousands of digits
        values = None
    if not isinstance(values, dict):
        raise RealtimeFault("The message is not a JSON object.", "invalid_json")
    return cast(Json, values)


# One parser for each type ------------------------------------------------------------------------------


def _session_update(values: Json, event_id: str) -> ClientEvent:
    return SessionUpdate(_object(values, "session"), event_id)


def _append(values: Json, event_id: str) -> ClientEvent:
    return AudioAppend(_base64(values.get("audio"), "audio"), event_id)


def _item_create(values: Json, event_id: str) -> ClientEvent:
    return ItemCreate(_item(_object(values, "item")), event_id)


def _item_truncate(values: Json, event_id: str) -> ClientEvent:
    index, end_ms = (_number(values, name) for name in ("content_index", "audio_end_ms"))
    return ItemTruncate(_text(values, "item_id"), index, end_ms, event_id)


def _response_create(values: Json, event_id: str) -> ClientEvent:
    response = values.get("response")
    if response is None:
        return ResponseCreate("", event_id)
    extra = _object(values, "response").get("extra")
    say = _or(cast(Json, extra).get("say"), "") if isinstance(extra, dict) else ""
    if not isinstance(say, str):
        raise RealtimeFault("What is to be said must be a text.", param="response.extra.say")
    return ResponseCreate(say, event_id)


def _response_cancel(values: Json, event_id: str) -> ClientEvent:
    return ResponseCancel(_text(values, "response_id", may_lack=True), event_id)


_PARSERS: dict[str, Callable[[Json, str], ClientEvent]] = {
    "session.update": _session_update,
    SOUND_EVENT: _append,
    "input_audio_buffer.commit": lambda _, event_id: AudioCommit(event_id),
    "input_audio_buffer.clear": lambda _, event_id: AudioClear(event_id),
    "conversation.item.create": _item_create,
    "conversation.item.truncate": _item_truncate,
    "conversation.item.delete": lambda values, event_id: ItemDelete(_text(values, "item_id"), event_id),
    "conversation.item.retrieve": lambda values, event_id: ItemRetrieve(_text(values, "item_id"), event_id),
    "response.create": _response_create,
    "response.cancel": _response_cancel,
    "output_audio_buffer.clear": lambda _, event_id: ResponseCancel("", event_id),
}


def _item(values: Json) -> Item:
    kind, item_id = _or(values.get("type"), "message"), _text(values, "id", "item.id", may_lack=True)
    match kind:
        case "message":
            return _message(values, item_id)
        case "function_call_output":
            output = values.get("output")
            if not isinstance(output, str) or len(output) > MAX_OUTPUT_CHARACTERS:
                raise RealtimeFault(
                    f"What a function returned is a text of at most {MAX_OUTPUT_CHARACTERS:,} characters.",
                    param="item.output",
                )
            call_id = _text(values, "call_id", "item.call_id")
            return Item(item_id, Kind.FUNCTION_CALL_OUTPUT, call_id=call_id, output=output)
        case "function_call":
            texts = (_text(values, name, f"item.{name}") for name in ("call_id", "name"))
            arguments = _or(values.get("arguments"), "")
            if not isinstance(arguments, str) or len(arguments) > MAX_OUTPUT_CHARACTERS:
                raise RealtimeFault("The arguments of a function must be a text.", param="item.arguments")
            call_id, name = texts
            return Item(item_id, Kind.FUNCTION_CALL, call_id=call_id, name=name, arguments=arguments)
        case _:
            raise RealtimeFault(
                "An item is a message, a function_call or a function_call_output.", param="item.type"
            )


def _message(values: Json, item_id: str) -> Item:
    roles = {**{str(role): role for role in Role}, "developer": Role.SYSTEM}
    role, parts = roles.get(str(_or(values.get("role"), Role.USER))), values.get("content")
    if role is None:
        raise RealtimeFault("The role of a message is user, assistant or system.", param="item.role")
    if not isinstance(parts, list) or not 0 < len(cast(list[object], parts)) <= MOST_PARTS:
        raise RealtimeFault(f"A message needs a content of 1 to {MOST_PARTS} parts.", param="item.content")
    texts: list[str] = []
    sounds: list[tuple[str, bytes]] = []
    for number, part in enumerate(cast(list[object], parts)):
        where = f"item.content[{number}]"
        told: Json = cast(Json, part) if isinstance(part, dict) else {}
        match told.get("type"):
            case "input_text" | "output_text" | "text":
                texts.append(_words(told.get("text"), f"{where}.text"))
            case "output_audio" | "audio":
                texts.append(_words(told.get("transcript") or "", f"{where}.transcript"))
            case "input_audio":
                if role is not Role.USER:
                    raise RealtimeFault(
                        "Sound is the caller's: only a message of the user may have input_audio.",
                        param=f"{where}.audio",
                    )
                sounds.append((f"{where}.audio", _base64(told.get("audio"), f"{where}.audio")))
            case _:
                raise RealtimeFault(
                    "A part of a message is input_text, input_audio or output_text here; pictures are not "
                    "understood.",
                    param=f"{where}.type",
                )
    text = "\n".join(filter(None, texts))
    if len(text) > MAX_TEXT_CHARACTERS:
        raise RealtimeFault(
            f"The message has {len(text):,} characters; at most {MAX_TEXT_CHARACTERS:,} are read.",
            param="item.content",
        )
    spoken = not text and any(sound for _, sound in sounds)
    return Item(item_id, role=role, text=text or None, spoken=spoken, sounds=tuple(sounds))


# Values ------------------------------------------------------------------------------------------------


def _or(value: object, usual: object) -> object:
    """``usual`` also for null, which some clients write for what they leave out."""
    return usual if value is None else value


def _object(values: Json, name: str) -> Json:
    value = values.get(name)
    if not isinstance(value, dict):
        raise RealtimeFault(f"{name} must be an object.", param=name)
    return cast(Json, value)


def _text(values: Json, name: str, where: str = "", may_lack: bool = False) -> str:
    value = values.get(name)
    if value is None and may_lack:
        return ""
    if not isinstance(value, str) or not 0 < len(value) <= MAX_ID_CHARACTERS:
        raise RealtimeFault(
            f"{where or name} must be a text of 1 to {MAX_ID_CHARACTERS} characters.", param=where or name
        )
    return value


def _words(value: object, where: str) -> str:
    if not isinstance(value, str):
        raise RealtimeFault(f"{where} must be a text.", param=where)
    return value


def _number(values: Json, name: str) -> int:
    value = values.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < MAX_MS:
        raise RealtimeFault(f"{name} must be a whole number, 0 or more.", param=name)
    return value


def _base64(value: object, where: str) -> bytes:
    try:
        if not isinstance(value, str):
            raise ValueError
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):  # ValueError: also if it is not ASCII
        raise RealtimeFault(f"{where} must be sound, encoded as base64.", param=where) from None
