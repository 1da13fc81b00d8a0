"""The telephone API for clients with the API key: make a call, follow it, end it, fetch its recording."""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Depends, HTTPException, Query, Request, Response
from pydantic import BaseModel, TypeAdapter
from starlette.requests import HTTPConnection

from personaplex_ui.calls.settings import MAX_PROMPT_CHARACTERS
from personaplex_ui.calls.store import CallStore
from personaplex_ui.channels.twilio.call_log import PhoneCall
from personaplex_ui.channels.twilio.pending_dials import DailyLimitReached
from personaplex_ui.channels.twilio.service import PhoneService
from personaplex_ui.channels.twilio.signatures import NO_PUBLIC_URL, PublicUrl
from personaplex_ui.channels.twilio.stream_grants import owner_of
from personaplex_ui.errors import InvalidInput, PersonaplexError
from personaplex_ui.web.api_responses import NEEDS_API_KEY, TEXT, Responses, Schema, errors, form, sound
from personaplex_ui.web.byte_ranges import RangeResponse
from personaplex_ui.web.instance_path import instance_path
from personaplex_ui.web.small_body import form_fields, read_small_body

IsMachine = Callable[[HTTPConnection], bool]
"""Whether a request carries the API key. May raise HTTPException after too many wrong keys."""

NO_API_KEY = (
    "The telephone API needs the server's API key, and none is set. Set API_KEY and send "
    "it as “Authorization: Bearer …”."
)
WRONG_KEY = "Please send the server's API key as “Authorization: Bearer …”."
UNKNOWN_CALL = "There is no such telephone call. The last 200 are known."
OTHER_BODY = (
    "Please send a form (application/x-www-form-urlencoded) or JSON (application/json). With curl that "
    "is --data-urlencode or --json, and not -F."
)
NOT_AN_OBJECT = 'The body must be a JSON object, such as {"to": "+15551234567"}.'
NO_RECORDING = (
    "There is no recording of this call. Calls are recorded with PHONE_RECORD=1, and kept for a limited time."
)
NOT_SET_UP = "The telephone is not set up, or Twilio or the model cannot be reached."

CHALLENGE = {"WWW-Authenticate": "Bearer"}
FORM = "application/x-www-form-urlencoded"
VALUES: dict[str, Schema] = {
    "to": TEXT
    | {"description": "The number in E.164, such as +15551234567.", "pattern": r"^\+[1-9][0-9]{6,14}$"},
    "voice_prompt": TEXT | {"description": "The voice, one of `GET /voices`; the default if omitted."},
    "text_prompt": TEXT
    | {"description": "The role; the default if omitted.", "maxLength": MAX_PROMPT_CHARACTERS},
}
OUTBOUND: Responses = {
    200: {"description": "The call is queued."},
    **errors(
        e401=WRONG_KEY,
        e408="The body is too slow.",
        e413="The body is too large.",
        e415=OTHER_BODY,
        e429="The limit of calls for one day is reached.",
        e503=NOT_SET_UP,
    ),
}
CALL: dict[str, Any] = {
    "responses": {
        200: {"description": "The call."},
        **errors(e401=WRONG_KEY, e404=UNKNOWN_CALL, e503=NOT_SET_UP),
    },
    "openapi_extra": NEEDS_API_KEY,
}
Values = dict[str, object]
_VALUES = TypeAdapter(Values)


class QueuedCall(BaseModel):
    """A call that has been queued."""

    call_sid: str
    status: str


class CallState(BaseModel, from_attributes=True):
    """The state of a telephone call. Times in seconds since 1970; ``recording``: where to fetch it."""

    call_sid: str
    direction: str
    number: str
    status: str
    started_at: float
    ended_at: float | None
    end: str | None
    reason: str
    recording: str | None = None


class PhoneApi:
    """``is_machine``: whether a request carries the API key; ``has_api_key``: whether there is one."""

    def __init__(
        self,
        phone: PhoneService,
        store: CallStore,
        public_url: PublicUrl,
        is_machine: IsMachine,
        has_api_key: bool,
    ) -> None:
        self._phone = phone
        self._store = store
        self._public_url = public_url
        self._is_machine = is_machine
        self._has_api_key = has_api_key

    def add_to(self, router: APIRouter) -> None:
        """Add ``/twilio/outbound`` and the routes for a call by its SID."""
        add_route = functools.partial(router.add_api_route, dependencies=[Depends(self._check_key)])
        add_route(
            "/twilio/outbound",
            self.outbound,
            methods=["POST"],
            summary="Call a number (needs the API key)",
            responses=OUTBOUND,
            openapi_extra=NEEDS_API_KEY | form(VALUES, required=("to",), or_json=True),
        )
        add_route(
            "/twilio/status/{call_sid}",
            self.status,
            summary="Status of a telephone call (needs the API key)",
            **CALL,
        )
        add_route(
            "/twilio/hangup/{call_sid}",
            self.hang_up,
            methods=["POST"],
            summary="End a telephone call (needs the API key)",
            **CALL,
        )
        add_route(
            "/twilio/recordings/{call_sid}.wav",
            self.recording,
            summary="The recording of a telephone call (needs the API key)",
            response_class=Response,
            responses=sound(e401=WRONG_KEY, e404=NO_RECORDING, e503=NO_API_KEY),
            openapi_extra=NEEDS_API_KEY,
        )

    async def outbound(
        self,
        request: Request,
        to: str | None = Query(None, include_in_schema=False),
        voice_prompt: str | None = Query(None, include_in_schema=False),
        text_prompt: str | None = Query(None, include_in_schema=False),
    ) -> QueuedCall:
        """The values are in the body, as a form or a JSON object, or else in the query."""
        given: Values = {"to": to, "voice_prompt": voice_prompt, "text_prompt": text_prompt}
        given |= await _body_values(request)
        url = self._public_url(request)
        if url is None:
            raise HTTPException(503, NO_PUBLIC_URL)
        try:
            call = await self._phone.outbound.dial(
                given["to"], given["voice_prompt"], given["text_prompt"], url + instance_path(request)
            )
        except InvalidInput as error:
            raise HTTPException(422, str(error)) from error
        except DailyLimitReached as error:
            raise HTTPException(429, str(error)) from error
        except PersonaplexError as error:
            raise HTTPException(503, str(error)) from error
        return QueuedCall(call_sid=call.call_sid, status=call.status)

    async def status(self, call_sid: str) -> CallState:
        return self._state_of(self._phone.call_log.get(call_sid))

    async def hang_up(self, call_sid: str) -> CallState:
        try:
            return self._state_of(await self._phone.endings.hang_up(call_sid))
        except PersonaplexError as error:
            raise HTTPException(503, str(error)) from error

    async def recording(self, call_sid: str) -> Response:
        """Stereo WAV: the caller on the left, the assistant on the right."""
        path = self._recording(call_sid)
        if path is None:
            raise HTTPException(404, NO_RECORDING)
        return RangeResponse(path, "audio/wav", download_name=f"personaplex-{call_sid[:10]}.wav")

    async def _check_key(self, request: Request) -> None:
        if not self._has_api_key:
            # Clients without credentials get 401; 503 tells clients with a key that the server has none.
            shown = request.headers.get("authorization")
            raise HTTPException(503 if shown else 401, NO_API_KEY, CHALLENGE)
        if not self._is_machine(request):
            raise HTTPException(401, WRONG_KEY, CHALLENGE)

    def _recording(self, call_sid: str) -> Path | None:
        owner = owner_of(call_sid)
        paths = (self._store.recording_of(owner, call.call_id) for call in self._store.calls_of(owner))
        return next((path for path in paths if path is not None), None)

    def _state_of(self, call: PhoneCall | None) -> CallState:
        if call is None:
            raise HTTPException(404, UNKNOWN_CALL)
        state = CallState.model_validate(call)
        if self._recording(call.call_sid) is not None:
            state.recording = f"/twilio/recordings/{call.call_sid}.wav"
        return state


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
        return _VALUES.validate_json(body)
    except ValueError as error:
        raise HTTPException(422, NOT_AN_OBJECT) from error
