"""Descriptions of our routes' answers in ``/openapi.json``, where FastAPI cannot infer them."""

from collections.abc import Sequence
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse

Schema = dict[str, Any]
Responses = dict[int | str, dict[str, Any]]

TEXT: Schema = {"type": "string"}
NUMBER: Schema = {"type": "number"}
WHOLE: Schema = {"type": "integer"}
BINARY: Schema = {"type": "string", "format": "binary"}
ERROR: Schema = {"$ref": "#/components/schemas/Error"}
NEEDS_API_KEY: Schema = {"security": [{"api_key": []}]}
NEEDS_VISITOR: Schema = {"security": [{"visitor": []}]}
NEEDS_SIGNATURE: Schema = {"security": [{"twilio_signature": []}]}


def record(required: dict[str, Schema], optional: dict[str, Schema] | None = None) -> Schema:
    """The schema of a JSON object."""
    properties = {**required, **(optional or {})}
    return {"type": "object", "properties": properties, "required": list(required)}


def told(description: str, schema: Schema, media_type: str = "application/json") -> dict[str, Any]:
    """One answer."""
    return {"description": description, "content": {media_type: {"schema": schema}}}


def errors(**sentences: str) -> Responses:
    """Answers with a sentence, by status: ``e404="…"``."""
    return {int(status[1:]): told(sentence, ERROR) for status, sentence in sentences.items()}


def sound(**refused: str) -> Responses:
    """A WAV file that supports byte ranges, and the errors."""
    return {
        200: told("The whole file.", BINARY, "audio/wav"),
        206: told("The parts that `Range` requests.", BINARY, "audio/wav"),
        416: {"description": "`Range` lies outside the file."},
        **errors(**refused),
    }


def form(fields: dict[str, Schema], required: tuple[str, ...], or_json: bool = False) -> Schema:
    """A request body with these fields."""
    schema: Schema = {"type": "object", "properties": fields, "required": list(required)}
    kinds = ["application/x-www-form-urlencoded", *(["application/json"] if or_json else [])]
    return {"requestBody": {"required": True, "content": {kind: {"schema": schema} for kind in kinds}}}


def answer_invalid_values_in_words(app: FastAPI) -> None:
    """Answer invalid values with a sentence, instead of FastAPI's list of objects."""

    async def answer(_: Request, error: Exception) -> JSONResponse:
        faults: Sequence[Any] = error.errors() if isinstance(error, RequestValidationError) else ()
        told_of = [f"{fault['loc'][-1]}: {fault['msg']}" for fault in faults]
        return JSONResponse({"detail": f"This cannot be used: {'; '.join(told_of)}."}, 422)

    app.add_exception_handler(RequestValidationError, answer)
