"""Descriptions of ``/api/v1`` for ``/openapi.json``."""

from typing import Any

from personaplex_ui.calls.settings import MAX_PROMPT_CHARACTERS
from personaplex_ui.channels.rest.values import (
    LANGUAGE,
    LEAST_TOKENS,
    MAX_HISTORY,
    MAX_HISTORY_CHARACTERS,
    MAX_MESSAGE_CHARACTERS,
    MOST_TOKENS,
    USUAL_TOKENS,
)
from personaplex_ui.voices.names import LONGEST_NAME
from personaplex_ui.web.api_responses import (
    BINARY,
    NUMBER,
    TEXT,
    Responses,
    Schema,
    errors,
    record,
    told,
)

TEXT_OR_NULL: Schema = {"type": ["string", "null"]}
GONE = "There is no such answer, or it is no longer kept: answers are kept for an hour."

_AUDIO: Schema = {**BINARY, "description": "Any usual sound file, of up to 120 s."}
_LANGUAGE: Schema = {
    "type": "string",
    "pattern": LANGUAGE,
    "description": "ISO 639 code; detected if left out. The recogniser of this machine knows English only.",
    "example": "en",
}
_MESSAGE = record(
    {
        "role": {"type": "string", "enum": ["user", "assistant"]},
        "content": {"type": "string", "minLength": 1, "maxLength": MAX_MESSAGE_CHARACTERS},
    }
)
_HISTORY: Schema = {"type": ["array", "null"], "items": _MESSAGE, "maxItems": MAX_HISTORY}
_TOKENS: Schema = {
    "type": ["integer", "null"],
    "minimum": LEAST_TOKENS,
    "maximum": MOST_TOKENS,
    "default": USUAL_TOKENS,
    "description": "Of four characters each; the answer ends with the last sentence that fits.",
}
_ROLE: Schema = {
    "maxLength": MAX_PROMPT_CHARACTERS,
    "description": "Who the assistant is, and all facts that it knows; by default the server's role.",
}
_CHAT = record(
    {
        "message": {
            "type": "string",
            "minLength": 1,
            "maxLength": MAX_MESSAGE_CHARACTERS,
            "example": "When do you open?",
        }
    },
    {
        "conversation_history": {
            **_HISTORY,
            "example": [
                {"role": "user", "content": "Hello!"},
                {"role": "assistant", "content": "Hello, this is Alex of City Bikes."},
            ],
        },
        "max_tokens": {**_TOKENS, "example": USUAL_TOKENS},
        "text_prompt": {
            **_ROLE,
            "type": ["string", "null"],
            "example": "You work for City Bikes and your name is Alex. We open at eight in the morning.",
        },
    },
)
_TURN: dict[str, Schema] = {
    "language": _LANGUAGE,
    "voice": {
        "type": "string",
        "minLength": 1,
        "maxLength": LONGEST_NAME + 3,
        "description": "One of `GET /voices`.",
        "example": "NATF2",
    },
    "text_prompt": {**_ROLE, "type": "string", "example": "You work for City Bikes. We open at eight."},
    "conversation_history": {
        "type": "string",
        "maxLength": MAX_HISTORY_CHARACTERS,
        "description": f"The JSON of a list of up to {MAX_HISTORY} {{role, content}}, as in /api/v1/chat.",
        "example": '[{"role": "user", "content": "Hello!"}, {"role": "assistant", "content": "Hello!"}]',
    },
    "max_tokens": {"type": "integer", "minimum": LEAST_TOKENS, "maximum": MOST_TOKENS, "example": 150},
    "video": {"type": "boolean", "description": "Also make the video of a face that says the answer."},
}


def _body(schema: Schema, media_type: str) -> Schema:
    return {"requestBody": {"required": True, "content": {media_type: {"schema": schema}}}}


TRANSCRIBE_BODY = _body(record({"audio": _AUDIO}, {"language": _LANGUAGE}), "multipart/form-data")
CHAT_BODY = _body(_CHAT, "application/json")
TURN_BODY = _body(record({"audio": _AUDIO}, _TURN), "multipart/form-data")

REFUSED = errors(
    e408="The request arrived too slowly.",
    e413="The body is too large.",
    e415="The body is not of the right kind.",
    e422="A value, or the sound, cannot be used; `field` names it.",
    e429="This network, or this visitor, has reached a limit; see `Retry-After`.",
    e503="It cannot be answered now, or too many wait; see `Retry-After`.",
)


def _answered(description: str, schema: Schema, example: dict[str, Any]) -> Responses:
    return {200: told(description, {**schema, "example": example}), **REFUSED}


TRANSCRIBED = _answered(
    "What was said.",
    record({"text": TEXT, "language": TEXT, "duration": NUMBER, "transcribe_time": NUMBER}),
    {"text": "When do you open?", "language": "en", "duration": 1.62, "transcribe_time": 0.21},
)
CHATTED = _answered(
    "The answer.",
    record({"response": TEXT, "llm_time": NUMBER}),
    {"response": "We open at eight in the morning.", "llm_time": 0.004},
)
_TIMES = record(
    {
        "transcribe_time": NUMBER,
        "llm_time": NUMBER,
        "tts_time": NUMBER,
        "video_time": NUMBER,
        "total": NUMBER,
    },
    {"video_real_time_factor": NUMBER},
)
_TURN_ANSWER = record(
    {
        "job_id": TEXT,
        "user_text": TEXT,
        "language": TEXT,
        "response_text": TEXT,
        "audio_url": TEXT,
        "video_url": TEXT_OR_NULL,
        "times": _TIMES,
    }
)
TURN_EXAMPLE = {
    "job_id": "0f3c5e7d9b1a2c4e6f8091a2b3c4d5e6",
    "user_text": "When do you open?",
    "language": "en",
    "response_text": "We open at eight in the morning.",
    "audio_url": "/api/v1/jobs/0f3c5e7d9b1a2c4e6f8091a2b3c4d5e6/audio.wav",
    "video_url": None,
    "times": {"transcribe_time": 0.21, "llm_time": 0.01, "tts_time": 0.5, "video_time": 0.0, "total": 0.74},
}
CONVERSED = _answered("The turn.", _TURN_ANSWER, TURN_EXAMPLE)
STREAMED: Responses = {
    200: told(
        "Server-sent events.", {**TEXT, "example": 'event: sentence\ndata: {"n": 1}\n\n'}, "text/event-stream"
    ),
    **REFUSED,
}


def file(media_type: str, e404: str, **refused: str) -> Responses:
    """A file that supports byte ranges."""
    return {
        200: told("The whole file.", BINARY, media_type),
        206: told("The parts that `Range` requests.", BINARY, media_type),
        416: {"description": "`Range` lies outside the file."},
        **errors(e404=e404, **refused),
    }
