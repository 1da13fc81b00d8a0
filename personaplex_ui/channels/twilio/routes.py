"""Twilio's webhooks and the websocket of its media streams. Only signed requests are passed on."""

from typing import Any

from fastapi import APIRouter, HTTPException, Query, Request, Response, WebSocket

from personaplex_ui.calls.manager import CallManager
from personaplex_ui.channels.close_codes import NOT_ALLOWED
from personaplex_ui.channels.twilio.api import IsMachine, PhoneApi
from personaplex_ui.channels.twilio.media_stream.admission import Lobby
from personaplex_ui.channels.twilio.media_stream.session import serve_stream
from personaplex_ui.channels.twilio.service import PhoneService
from personaplex_ui.channels.twilio.signatures import NOT_SET_UP, PublicUrl, TwilioSignatures
from personaplex_ui.channels.twilio.twiml import MEDIA_TYPE
from personaplex_ui.web import twilio_paths as paths
from personaplex_ui.web.api_responses import NEEDS_SIGNATURE, TEXT, Schema, errors, form, told
from personaplex_ui.web.instance_path import instance_path
from personaplex_ui.web.security.proxy_headers import client_address

FIELDS: dict[str, Schema] = {
    "CallSid": TEXT | {"description": "Twilio's identifier of the call."},
    "From": TEXT | {"description": "The caller's number."},
    "To": TEXT | {"description": "The called number."},
    "CallStatus": TEXT | {"description": "The status of the call."},
    "Direction": TEXT | {"description": "`inbound` for an incoming call."},
}
REFUSED = errors(
    e400="CallSid is missing.",
    e403="The signature is missing or wrong.",
    e408="The request is too slow.",
    e413="The form is too large.",
    e503="The telephone is not set up.",
)
SIGNED: dict[str, Any] = {
    "responses": REFUSED,
    "openapi_extra": NEEDS_SIGNATURE | form(FIELDS, required=("CallSid",)),
}
ANSWERS_TWIML: dict[str, Any] = SIGNED | {
    "response_class": Response,
    "responses": {200: told("TwiML.", TEXT, MEDIA_TYPE), **REFUSED},
}

DIALLED = TEXT | {
    "description": "How dialling ended: `completed`, `busy`, `no-answer`, `failed`, `canceled`."
}
ANSWERS_TWIML_AFTER_DIAL: dict[str, Any] = ANSWERS_TWIML | {
    "openapi_extra": NEEDS_SIGNATURE | form(FIELDS | {"DialCallStatus": DIALLED}, required=("CallSid",)),
}


MOST_TURNS = 2
"""So often a call is sent on; then the caller hears a sentence."""


def build_twilio_router(
    phone: PhoneService,
    call_manager: CallManager,
    public_url: PublicUrl,
    is_machine: IsMachine,
    has_api_key: bool,
) -> APIRouter:
    """``is_machine``: whether a request carries the API key; ``has_api_key``: whether there is one."""
    router = APIRouter(tags=["Telephone"])
    _add_webhooks(router, phone, call_manager, TwilioSignatures(phone.account.auth_token, public_url))
    lobby = Lobby()

    @router.websocket(paths.STREAM_PATH)
    async def media_stream(websocket: WebSocket) -> None:
        if not phone.configured:
            await websocket.close(NOT_ALLOWED, NOT_SET_UP)
            return
        await serve_stream(websocket, call_manager, phone.streams.admit, lobby, client_address(websocket))

    PhoneApi(phone, call_manager.store, public_url, is_machine, has_api_key).add_to(router)
    return router


def _add_webhooks(
    router: APIRouter, phone: PhoneService, call_manager: CallManager, signatures: TwilioSignatures
) -> None:
    @router.post(paths.INBOUND_PATH, summary="Twilio: a call comes in", **ANSWERS_TWIML)
    async def inbound(request: Request, turn: int = Query(0, include_in_schema=False)) -> Response:
        """Answers TwiML. Only with Twilio's signature."""
        fields, url = await signatures.read(request)
        numbers = (fields.get("From", ""), fields.get("To", ""))
        elsewhere = _elsewhere(url, instance_path(request), turn)
        with call_manager.working():
            return _twiml(await phone.answers.inbound(_call_sid(fields), *numbers, url, elsewhere))

    @router.post(paths.ANSWERED_PATH, summary="Twilio: an outbound call was answered", **ANSWERS_TWIML)
    async def answered(request: Request, key: str = "") -> Response:
        """Answers TwiML. Only with Twilio's signature."""
        fields, url = await signatures.read(request)
        with call_manager.working():
            return _twiml(await phone.answers.outbound(_call_sid(fields), fields.get("To", ""), key, url))

    @router.post(paths.ENDED_PATH, summary="Twilio: a call's stream is over", **ANSWERS_TWIML)
    async def ended(request: Request) -> Response:
        """Answers with TwiML that says why the call ended, or puts the caller through to a person. Needs
        Twilio's signature."""
        fields, url = await signatures.read(request)
        ours = fields.get("To" if fields.get("Direction") == "inbound" else "From", "")
        return _twiml(phone.endings.ended(_call_sid(fields), fields.get("CallStatus", ""), url, ours))

    @router.post(
        paths.TRANSFERRED_PATH, summary="Twilio: a call to a person is over", **ANSWERS_TWIML_AFTER_DIAL
    )
    async def transferred(request: Request) -> Response:
        """Answers TwiML: the end, or the assistant again if nobody answered. Only with Twilio's signature."""
        fields, url = await signatures.read(request)
        dialled, status = fields.get("DialCallStatus", ""), fields.get("CallStatus", "")
        return _twiml(phone.endings.transferred(_call_sid(fields), dialled, status, url))

    @router.post(paths.STATUS_PATH, summary="Twilio: status of a call", status_code=204, **SIGNED)
    async def status(request: Request) -> Response:
        """Needs Twilio's signature."""
        fields, _ = await signatures.read(request)
        told = [fields.get(name, "") for name in ("CallStatus", "Direction", "From", "To")]
        phone.endings.note_status(_call_sid(fields), *told)
        return Response(status_code=204)


def _elsewhere(url: str, instance: str, turn: int) -> str:
    """Where another server may take the call, which this is the ``turn``-th to be asked for; empty where
    there is none, or enough were asked."""
    everybody = url.removesuffix(instance)
    return f"{everybody}{paths.INBOUND_PATH}?turn={turn + 1}" if instance and 0 <= turn < MOST_TURNS else ""


def _call_sid(fields: dict[str, str]) -> str:
    call_sid = fields.get("CallSid", "")
    if not 0 < len(call_sid) <= 64:
        raise HTTPException(400, "CallSid is missing in this request.")
    return call_sid


def _twiml(document: str) -> Response:
    return Response(document, media_type=MEDIA_TYPE, headers={"Cache-Control": "no-store"})
