"""Reads the bodies of requests: a form with a sound file, bounded as it arrives, or a JSON object."""

import contextlib
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass
from typing import BinaryIO, cast

from fastapi import HTTPException, Request
from pydantic_core import from_json
from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException as AnyHttpException
from starlette.formparsers import MultiPartException
from starlette.types import Message

from personaplex_ui.channels.rest.values import MAX_HISTORY_CHARACTERS
from personaplex_ui.errors import InvalidInput
from personaplex_ui.web.security.uploads import MB
from personaplex_ui.web.small_body import read_small_body

MOST_FIELDS = 16
FORM_BYTES = 1_000_000
"""For all that is not the file."""

MOST_JSON_BYTES = 128 * 1024
NO_JSON = "Please send a JSON object, with Content-Type: application/json."
NO_FORM = "Please send multipart/form-data, with a sound file in the field audio."
NO_AUDIO = "audio: please send a sound file in this field."


@dataclass(frozen=True, slots=True)
class SoundForm:
    """``sound``: the file, on the disk if it is large; ``fields``: the others."""

    sound: BinaryIO
    fields: Mapping[str, str]


@contextlib.asynccontextmanager
async def sound_form(request: Request, max_bytes: int) -> AsyncGenerator[SoundForm]:
    """The form of ``request``, whose file is deleted in the end.

    Raises:
        HTTPException: it is not a form (415), cannot be read (400), or is too large (413).
        InvalidInput: there is no file in ``audio``, or there is one in another field.
    """
    media_type, _, parameters = request.headers.get("content-type", "").partition(";")
    if media_type.strip().lower() != "multipart/form-data" or "charset" in parameters.lower():
        raise HTTPException(415, NO_FORM)  # some charsets take long to decode
    received, most_bytes = 0, max_bytes + FORM_BYTES
    too_large = f"The file is over {max_bytes // MB} MB. Please send a smaller one."

    async def receive() -> Message:
        nonlocal received
        message = await request.receive()
        received += len(message.get("body", b""))
        if received > most_bytes:
            raise MultiPartException(too_large)  # for which the form's files are closed
        return message

    try:
        form = await Request(request.scope, receive).form(
            max_files=1, max_fields=MOST_FIELDS, max_part_size=MAX_HISTORY_CHARACTERS * 4
        )
    except AnyHttpException as error:
        if received > most_bytes:
            raise HTTPException(413, too_large) from error
        raise
    try:
        yield _sound_form(form)
    finally:
        await form.close()


def _sound_form(form: FormData) -> SoundForm:
    sound = form.get("audio")
    if not isinstance(sound, UploadFile) or len(form.getlist("audio")) > 1:
        raise InvalidInput("audio", NO_AUDIO)
    fields = {name: value for name, value in form.multi_items() if isinstance(value, str)}
    return SoundForm(sound.file, fields)


async def json_object(request: Request) -> Mapping[str, object]:
    """Raises HTTPException: the body is not a JSON object (400), or not said to be JSON (415), or too large
    (413) or too slow (408)."""
    text = await read_small_body(request, MOST_JSON_BYTES)
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise HTTPException(415, NO_JSON)
    try:
        value = cast(object, from_json(text))
    except ValueError as error:
        raise HTTPException(400, NO_JSON) from error
    if not isinstance(value, dict):
        raise HTTPException(422, NO_JSON)
    return cast(Mapping[str, object], value)
