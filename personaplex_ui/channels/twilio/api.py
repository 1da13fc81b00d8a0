"""The telephone for machines with the API key: make a call, ask how it goes, end it, fetch its recording."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import cast

from fastapi import APIRouter, HTTPException, Query, Request, Response
from starlette.requests import HTTPConnection

from personaplex_ui.calls.settings import MAX_PROMPT_CHARACTERS
from personaplex_ui.calls.store import CallStore
from personaplex_ui.channels.twilio.call_log import PhoneCall
from personaplex_ui.channels.twilio.client import DailyLimitReached
from personaplex_ui.channels.twilio.service import PhoneService, owner_of
from personaplex_ui.channels.twilio.signatures import NO_PUBLIC_URL, PublicUrl
from personaplex_ui.errors import InvalidInput, PersonaplexError, PhoneUnavailable
from personaplex_ui.web.api_responses import (
    NEEDS_API_KEY,
    NUMBER,
    TEXT,
    Responses,
    Schema,
    errors,
    form,
    or_nothing,
    record,
    sound,
    told,
)
from personaplex_ui.web.byte_ranges import RangeResponse
from personaplex_ui.web.small_body import form_fields, read_small_body

IsMachine = Callable[[HTTPConnection], bool]
"""Whether a request carries the API key. May raise HTTPException when too many wrong ones came before."""

NO_API_KEY = (
    "The telephone is only for those who hold the server's API key, and there is none. Set API_KEY and send "
    "it as “Authorization: Bearer …”."
)
WRONG_KEY = "Please send the server's API key as “Authorization: Bearer …”."
UNKNOWN_CALL = "There is no such telephone call. The last 200 are known, since the server was started."
OTHER_BODY = (
    "Only a form (application/x-www-form-urlencoded) or JSON (application/json) is read here. With curl that "
    "is --data-urlencode or --json, and not -F."
)
NO_RECORDING = (
    "There is no recording of this call. Calls are recorded with PHONE_RECORD=1, and kept for a limited time."
)

CHALLENGE = {"WWW-Authenticate": "Bearer"}
FORM = "application/x-www-form-urlencoded"

Values = dict[str, object]

VALUES: dict[str, Schema] = {
    "to": TEXT
    | {"description": "The number in E.164, as in +15551234567.", "pattern": r"^\+[1-9][0-9]{6,14}$"},
    "voice_prompt": TEXT | {"description": "The voice, one of `GET /voices`; without it the default."},
    "text_prompt": TEXT
    | {"description": "The role; without it the default.", "maxLength": MAX_PROMPT_CHARACTERS},
}
DIALLED: Responses = {
    200: told("It is being called.", record({"call_sid": TEXT, "status": TEXT})),
    **errors(
        e401=WRONG_KEY,
        e408="The body is too slow.",
        e413="The body is too large.",
        e415=OTHER_BODY,
        e429="The limit of calls for one day is reached.",
        e503="The telephone is not set up, or Twilio or the model cannot be reached.",
    ),
}
CALL: Responses = {
    200: told(
        "The call.",
        record(
            {
                **dict.fromkeys(("call_sid", "direction", "number", "status", "reason"), TEXT),
                "started_at": NUMBER,
                "ended_at": or_nothing(NUMBER),
                "end": or_nothing(TEXT),
                "recording": or_nothing(TEXT),
            }
        ),
    ),
    **errors(e401=WRONG_KEY, e404=UNKNOWN_CALL, e503="The telephone is not set up, or Twilio is not there."),
}


def add_machine_routes(
    router: APIRouter,
    desk: PhoneService,
    archive: CallStore,
    public_url: PublicUrl,
    is_machine: IsMachine,
    has_api_key: bool,
) -> None:
    """Add ``/twilio/outbound`` and what follows a call by its SID."""

    def check_key(request: Request) -> None:
        if not has_api_key:
            # Who shows nothing is told so first; 503 is for those who have a key that we lack.
            shown = request.headers.get("authorization")
            raise HTTPException(503 if shown else 401, NO_API_KEY, CHALLENGE)
        if not is_machine(request):
            raise HTTPException(401, WRONG_KEY, CHALLENGE)

    def find(call_sid: str) -> PhoneCall:
        call = desk.status(call_sid)
        if call is None:
            raise HTTPException(404, UNKNOWN_CALL)
        return call

    @router.post(
        "/twilio/outbound",
        summary="Call a number (needs the API key)",
        responses=DIALLED,
        openapi_extra=NEEDS_API_KEY | form(VALUES, required=("to",), or_json=True),
    )
    async def outbound(
        request: Request,
        to: str | None = Query(None, include_in_schema=False),
        voice_prompt: str | None = Query(None, include_in_schema=False),
        text_prompt: str | None = Query(None, include_in_schema=False),
    ) -> dict[str, str]:
        """The values stand in the body, a form or a JSON object, or else in the address."""
        check_key(request)
        given: Values = {"to": to, "voice_prompt": voice_prompt, "text_prompt": text_prompt}
        given |= await _body_values(request)
        url = public_url(request)
        if url is None:
            raise HTTPException(503, NO_PUBLIC_URL)
        try:
            call = await desk.dial(given["to"], given["voice_prompt"], given["text_prompt"], url)
        except InvalidInput as error:
            raise HTTPException(422, str(error)) from error
        except DailyLimitReached as error:
            raise HTTPException(429, str(error)) from error
        except PersonaplexError as error:
            raise HTTPException(503, str(error)) from error
        return {"call_sid": call.call_sid, "status": call.status}

    @router.get(
        "/twilio/status/{call_sid}",
        summary="How a telephone call goes (needs the API key)",
        responses=CALL,
        openapi_extra=NEEDS_API_KEY,
    )
    async def status(call_sid: str, request: Request) -> Values:
        check_key(request)
        return _as_json(find(call_sid), archive)

    @router.post(
        "/twilio/hangup/{call_sid}",
        summary="End a telephone call (needs the API key)",
        responses=CALL,
        openapi_extra=NEEDS_API_KEY,
    )
    async def hang_up(call_sid: str, request: Request) -> Values:
        check_key(request)
        find(call_sid)
        try:
            await desk.hang_up(call_sid)
        except PhoneUnavailable as error:
            raise HTTPException(503, str(error)) from error
        return _as_json(find(call_sid), archive)

    @router.get(
        "/twilio/recordings/{call_sid}.wav",
        summary="The recording of a telephone call (needs the API key)",
        response_class=Response,
        responses=sound(e401=WRONG_KEY, e404=NO_RECORDING, e503=NO_API_KEY),
        openapi_extra=NEEDS_API_KEY,
    )
    async def recording(call_sid: str, request: Request) -> Response:
        """Stereo WAV: left the caller, right the assistant."""
        check_key(request)
        path = _recording(call_sid, archive)
        if path is None:
            raise HTTPException(404, NO_RECORDING)
        return RangeResponse(path, "audio/wav", download_name=f"personaplex-{call_sid[:10]}.wav")


async def _body_values(request: Request) -> Values:
    body = await read_small_body(request)
    if not body.strip():
        return {}
    kind = request.headers.get("content-type", FORM).partition(";")[0].strip().lower()
    if kind == FORM:
        return dict(form_fields(body))
    if kind != "application/json":
        raise HTTPException(415, OTHER_BODY)
    try:
        values: object = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise HTTPException(422, "The body is no valid JSON.") from error
    if not isinstance(values, dict):
        raise HTTPException(422, 'The body must be a JSON object, as in {"to": "+15551234567"}.')
    return cast(Values, values)


def _recording(call_sid: str, archive: CallStore) -> Path | None:
    owner = owner_of(call_sid)
    paths = (archive.recording_of(owner, call.call_id) for call in archive.calls_of(owner))
    return next((path for path in paths if path is not None), None)


def _as_json(call: PhoneCall, archive: CallStore) -> Values:
    recorded = _recording(call.call_sid, archive) is not None
    return {
        "call_sid": call.call_sid,
        "direction": call.direction,
        "number": call.number,
        "status": call.status,
        "started_at": call.started_at,
        "ended_at": call.ended_at,
        "end": call.end.value if call.end else None,
        "reason": call.reason,
        "recording": f"/twilio/recordings/{call.call_sid}.wav" if recorded else None,
    }
