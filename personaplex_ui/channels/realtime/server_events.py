"""The events of the server: frozen events in, JSON out, in either dialect. Depends on no socket and no call.

Named as OpenAI names them since 2025. ``session.waiting`` is our own.
"""

import base64
import json
from dataclasses import dataclass, fields
from typing import Any, ClassVar

from personaplex_ui.channels.realtime.items import Dialect, Item

BETA_NAMES = {
    "response.output_audio.delta": "response.audio.delta",
    "response.output_audio.done": "response.audio.done",
    "response.output_audio_transcript.delta": "response.audio_transcript.delta",
    "response.output_audio_transcript.done": "response.audio_transcript.done",
    "response.output_text.delta": "response.text.delta",
    "response.output_text.done": "response.text.done",
    "conversation.item.added": "conversation.item.created",
}
NOT_IN_BETA = ("conversation.item.done",)


@dataclass(frozen=True, slots=True)
class Place:
    """Where in a response something is; its fields are fields of the event."""

    response_id: str
    item_id: str
    output_index: int = 0
    content_index: int | None = 0
    """None for events that have none."""


@dataclass(frozen=True, slots=True)
class Part:
    """``sounds``: of sound, whose transcript is ``text``; else the text itself."""

    sounds: bool
    text: str = ""

    def record(self) -> dict[str, Any]:
        return (
            {"type": "audio", "transcript": self.text} if self.sounds else {"type": "text", "text": self.text}
        )


@dataclass(frozen=True, slots=True)
class Response:
    """``status``: in_progress, completed, cancelled, incomplete or failed; ``because``: why it was cancelled
    or is incomplete."""

    response_id: str
    conversation_id: str
    status: str = "in_progress"
    because: str = ""
    output: tuple[Item, ...] = ()
    voice: str = ""
    sounds: bool = True

    def record(self, dialect: Dialect) -> dict[str, Any]:
        ended = self.status != "in_progress"
        details: dict[str, Any] | None = {"type": self.status} if ended else None
        if details is not None and self.because:
            details["reason"] = self.because
        told: dict[str, Any] = {
            "object": "realtime.response",
            "id": self.response_id,
            "conversation_id": self.conversation_id,
            "status": self.status,
            "status_details": details,
            "output": [item.record(dialect) for item in self.output],
            "metadata": None,
            "usage": None,
        }
        if dialect is Dialect.BETA:
            modalities = ["audio", "text"] if self.sounds else ["text"]
            return {**told, "modalities": modalities, "voice": self.voice}
        audio = {"output": {"voice": self.voice}}
        return {**told, "output_modalities": ["audio"] if self.sounds else ["text"], "audio": audio}


@dataclass(frozen=True, slots=True)
class ServerEvent:
    """One event; its fields are named as in JSON."""

    kind: ClassVar[str] = ""

    def values(self, dialect: Dialect) -> dict[str, Any]:
        told: dict[str, Any] = {}
        for field in fields(self):
            value: object = getattr(self, field.name)
            match value:
                case Place():
                    told |= {f.name: getattr(value, f.name) for f in fields(value)}
                    if value.content_index is None:
                        del told["content_index"]
                case bytes():
                    told[field.name] = base64.b64encode(value).decode()
                case Item() | Response():
                    told[field.name] = value.record(dialect)
                case Part():
                    told[field.name] = value.record()
                case _:
                    told[field.name] = value
        return told


def build(event: ServerEvent, dialect: Dialect, event_id: str) -> str | None:
    """The JSON of ``event``; None if ``dialect`` does not have it."""
    kind = event.kind
    if dialect is Dialect.BETA:
        if kind in NOT_IN_BETA:
            return None
        kind = BETA_NAMES.get(kind, kind)
    values = {"type": kind, "event_id": event_id, **event.values(dialect)}
    # Lone surrogates, which UTF-8 cannot encode, are escaped like all that is not ASCII.
    return json.dumps(values, allow_nan=False, separators=(",", ":"))


# The session -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SessionCreated(ServerEvent):
    """``session``: see ``session_config.SessionConfig.record``."""

    kind = "session.created"
    session: dict[str, Any]


@dataclass(frozen=True, slots=True)
class SessionUpdated(ServerEvent):
    kind = "session.updated"
    session: dict[str, Any]


@dataclass(frozen=True, slots=True)
class SessionWaiting(ServerEvent):
    """All lines are taken: the place in the queue, from 1, and how many wait."""

    kind = "session.waiting"
    place: int
    waiting: int


@dataclass(frozen=True, slots=True)
class ErrorTold(ServerEvent):
    """``fault``, ``param``, ``cause``: see ``RealtimeFault``."""

    kind = "error"
    sentence: str
    error_type: str
    fault: str = ""
    param: str = ""
    cause: str = ""

    def values(self, dialect: Dialect) -> dict[str, Any]:
        error = {
            "type": self.error_type,
            "code": self.fault or None,
            "message": self.sentence,
            "param": self.param or None,
            "event_id": self.cause or None,
        }
        return {"error": error}


# The caller --------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SpeechStarted(ServerEvent):
    kind = "input_audio_buffer.speech_started"
    audio_start_ms: int
    item_id: str


@dataclass(frozen=True, slots=True)
class SpeechStopped(ServerEvent):
    kind = "input_audio_buffer.speech_stopped"
    audio_end_ms: int
    item_id: str


@dataclass(frozen=True, slots=True)
class Committed(ServerEvent):
    kind = "input_audio_buffer.committed"
    previous_item_id: str | None
    item_id: str


@dataclass(frozen=True, slots=True)
class Cleared(ServerEvent):
    kind = "input_audio_buffer.cleared"


@dataclass(frozen=True, slots=True)
class WordsHeard(ServerEvent):
    kind = "conversation.item.input_audio_transcription.delta"
    item_id: str
    content_index: int
    delta: str


@dataclass(frozen=True, slots=True)
class AllWordsHeard(ServerEvent):
    kind = "conversation.item.input_audio_transcription.completed"
    item_id: str
    content_index: int
    transcript: str
    sec: float

    def values(self, dialect: Dialect) -> dict[str, Any]:
        told = {name: getattr(self, name) for name in ("item_id", "content_index", "transcript")}
        return {**told, "usage": {"type": "duration", "seconds": round(self.sec, 2)}}


# Items -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ItemAdded(ServerEvent):
    kind = "conversation.item.added"
    previous_item_id: str | None
    item: Item


@dataclass(frozen=True, slots=True)
class ItemDone(ServerEvent):
    kind = "conversation.item.done"
    previous_item_id: str | None
    item: Item


@dataclass(frozen=True, slots=True)
class ItemRetrieved(ServerEvent):
    kind = "conversation.item.retrieved"
    item: Item


@dataclass(frozen=True, slots=True)
class ItemTruncated(ServerEvent):
    kind = "conversation.item.truncated"
    item_id: str
    content_index: int
    audio_end_ms: int


@dataclass(frozen=True, slots=True)
class ItemDeleted(ServerEvent):
    kind = "conversation.item.deleted"
    item_id: str


# Responses ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ResponseCreated(ServerEvent):
    kind = "response.created"
    response: Response


@dataclass(frozen=True, slots=True)
class ResponseDone(ServerEvent):
    kind = "response.done"
    response: Response


@dataclass(frozen=True, slots=True)
class OutputItemAdded(ServerEvent):
    kind = "response.output_item.added"
    response_id: str
    output_index: int
    item: Item


@dataclass(frozen=True, slots=True)
class OutputItemDone(ServerEvent):
    kind = "response.output_item.done"
    response_id: str
    output_index: int
    item: Item


@dataclass(frozen=True, slots=True)
class PartAdded(ServerEvent):
    kind = "response.content_part.added"
    place: Place
    part: Part


@dataclass(frozen=True, slots=True)
class PartDone(ServerEvent):
    kind = "response.content_part.done"
    place: Place
    part: Part


@dataclass(frozen=True, slots=True)
class AudioDelta(ServerEvent):
    kind = "response.output_audio.delta"
    place: Place
    delta: bytes


@dataclass(frozen=True, slots=True)
class AudioDone(ServerEvent):
    kind = "response.output_audio.done"
    place: Place


@dataclass(frozen=True, slots=True)
class TranscriptDelta(ServerEvent):
    kind = "response.output_audio_transcript.delta"
    place: Place
    delta: str


@dataclass(frozen=True, slots=True)
class TranscriptDone(ServerEvent):
    kind = "response.output_audio_transcript.done"
    place: Place
    transcript: str


@dataclass(frozen=True, slots=True)
class TextDelta(ServerEvent):
    kind = "response.output_text.delta"
    place: Place
    delta: str


@dataclass(frozen=True, slots=True)
class TextDone(ServerEvent):
    kind = "response.output_text.done"
    place: Place
    text: str


@dataclass(frozen=True, slots=True)
class ArgumentsDelta(ServerEvent):
    kind = "response.function_call_arguments.delta"
    place: Place
    call_id: str
    delta: str


@dataclass(frozen=True, slots=True)
class ArgumentsDone(ServerEvent):
    kind = "response.function_call_arguments.done"
    place: Place
    call_id: str
    name: str
    arguments: str
