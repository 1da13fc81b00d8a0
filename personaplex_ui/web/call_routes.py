"""The routes of a visitor's ended calls: the list, each call with both sides' lines, its recording and
transcript, and deletion. They serve only the browser that made the calls, known by its cookie."""

import asyncio
from collections.abc import Callable
from typing import Any

from fastapi import APIRouter, HTTPException, Request, Response
from fastapi.responses import JSONResponse

from personaplex_ui.calls import transcript
from personaplex_ui.calls.call_reports import CallReports, Report
from personaplex_ui.calls.record import readable, record_of, spoken, summary_of
from personaplex_ui.calls.snapshot import EndedCall
from personaplex_ui.calls.store import CallStore
from personaplex_ui.calls.transcript import Utterance
from personaplex_ui.errors import CallInProgress, PersonaplexError, StorageFailed
from personaplex_ui.web.api_responses import (
    NEEDS_VISITOR,
    NUMBER,
    TEXT,
    WHOLE,
    Responses,
    Schema,
    errors,
    record,
    sound,
    told,
)
from personaplex_ui.web.byte_ranges import RangeResponse
from personaplex_ui.web.error_answers import refusal
from personaplex_ui.web.report_schema import REPORT
from personaplex_ui.web.security.session_cookie import session_key


def _said(call: EndedCall) -> tuple[Utterance, ...]:
    return spoken(call.utterances, call.lines)


FORMATS: dict[str, tuple[Callable[[EndedCall], str], str]] = {
    "json": (lambda call: transcript.to_json(_said(call)), "application/json"),
    "txt": (lambda call: transcript.to_txt(readable(call)), "text/plain; charset=utf-8"),
    "srt": (lambda call: transcript.to_srt(_said(call)), "application/x-subrip; charset=utf-8"),
    "vtt": (lambda call: transcript.to_vtt(_said(call)), "text/vtt; charset=utf-8"),
}

REPORT_WITHIN_SEC = 4.0
"""A call is told without its report if that takes longer."""

GONE = (
    "You have no such call, or it is no longer kept. "
    "Calls are kept for a limited time, and only for the browser that made them."
)


UNREADABLE = "The recording cannot be read."
NOT_YET = "The report is being made; see `Retry-After`."


def listed(schema: Schema) -> Schema:
    return {"type": "array", "items": schema}


YES_NO: Schema = {"type": "boolean"}
NUMBER_OR_NULL: Schema = {"type": ["number", "null"]}
TEXT_OR_NULL: Schema = {"type": ["string", "null"]}
SEGMENTS = listed({**listed(NUMBER), "minItems": 2, "maxItems": 2})
UTTERANCES = listed(record({"start_sec": NUMBER, "end_sec": NUMBER, "text": TEXT, "speaker": TEXT}))
SUMMARY = record(
    {"call_id": TEXT, "started_at": NUMBER, "duration_sec": NUMBER, "voice": TEXT, "recorded": YES_NO},
    {"title": TEXT},
)
LINE = record(
    {
        "n": WHOLE,
        "who": {"type": "string", "enum": ["assistant", "caller", "typed"]},
        "start_sec": NUMBER,
        "end_sec": NUMBER,
        "text": TEXT,
        "cut": YES_NO,
        "interrupts": YES_NO,
        "levels": listed({"type": "integer", "minimum": 0, "maximum": 9}),
        "open": YES_NO,
    }
)
RECORD = record(
    {
        "call_id": TEXT,
        "started_at": NUMBER,
        "duration_sec": NUMBER,
        "voice": TEXT,
        "text_prompt": TEXT,
        "reason": TEXT,
        "notes": listed(TEXT),
        "recorded": YES_NO,
        "keep_until": NUMBER,
        "lines": listed(LINE),
        "turns": record({"caller": SEGMENTS, "assistant": SEGMENTS, "overlaps": SEGMENTS}),
        "figures": record(
            {"answer_sec": NUMBER_OR_NULL, "caller_share": NUMBER_OR_NULL, "interruptions": WHOLE}
        ),
        "report": {"anyOf": [REPORT, {"type": "null"}]},
        "files": record(
            {
                "recording": TEXT_OR_NULL,
                "report": TEXT_OR_NULL,
                "face": TEXT_OR_NULL,
                "txt": TEXT,
                "srt": TEXT,
                "vtt": TEXT,
                "json": TEXT,
            }
        ),
    }
)
CALLS: Responses = {200: told("The newest first.", record({"calls": listed(SUMMARY)}))}
CALL: Responses = {200: told("The call.", RECORD), **errors(e404=GONE)}
DELETED: Responses = {
    204: {"description": "It is deleted, or was before."},
    **errors(
        e404=GONE,
        e409="The call has not ended.",
        e503="The disk refuses, so the call is not, or not wholly, deleted.",
    ),
}
TRANSCRIPT: Responses = {
    200: {
        "description": "The file.",
        "content": {
            "application/json": {"schema": UTTERANCES},
            "text/plain": {"schema": TEXT},
            "application/x-subrip": {"schema": TEXT},
            "text/vtt": {"schema": TEXT},
        },
    }
}


def add_call_routes(router: APIRouter, store: CallStore, reports: CallReports) -> None:
    _add_calls(router, store, reports)
    _add_deletion(router, store)
    _add_report(router, reports)
    _add_files(router, store)


def _add_calls(router: APIRouter, store: CallStore, reports: CallReports) -> None:
    @router.get("/calls", summary="Your calls", responses=CALLS, openapi_extra=NEEDS_VISITOR)
    async def list_calls(request: Request) -> dict[str, Any]:
        """The ended calls of this browser that are still kept, at most 50. Without a cookie there are none.

        `started_at` is in seconds since 1970. `title`: the first words that the assistant said.
        """
        owner = session_key(request.cookies)
        if owner:
            await asyncio.to_thread(store.refresh)
        return {"calls": [summary_of(call) for call in store.calls_of(owner)]}

    @router.get("/calls/{call_id}", summary="A call of yours", responses=CALL, openapi_extra=NEEDS_VISITOR)
    async def get_call(call_id: str, request: Request) -> dict[str, Any]:
        """The ended call with the lines of both sides. Only for the browser that made it.

        `keep_until`: when it expires, in seconds since 1970. `turns`: when each side spoke, as `[start, end]`
        in seconds since the call went live, like all times in it. `lines`: what the assistant said, when the
        caller spoke (with a small picture of its loudness in `levels`) and what was typed, in the order they
        appeared; `cut`: the caller interrupted the assistant in it; `interrupts`: the caller did so with it.
        `figures`: the median time to an answer, the caller's share of the speech, and the number of
        interruptions. `report`: how both sides took turns; null without a recording, and as long as it is
        being measured, which takes a second for ten minutes. `files`: relative to the app; no `recording`,
        `report` and `face` if there is none.
        """
        owner = session_key(request.cookies)
        call = await _find(store, owner, call_id)
        if call is None:
            raise HTTPException(404, GONE)
        recorded = store.recording_of(owner, call_id) is not None
        report = await _report_if_ready(reports, owner, call_id) if recorded else None
        return await asyncio.to_thread(record_of, call, recorded, store.keep_until(call), report)


def _add_deletion(router: APIRouter, store: CallStore) -> None:
    @router.delete(
        "/calls/{call_id}",
        summary="Delete a call of yours",
        status_code=204,
        responses=DELETED,
        openapi_extra=NEEDS_VISITOR,
    )
    async def delete_call(call_id: str, request: Request) -> Response:
        """Recording, transcript and all; only for the browser that made the call. Deleting it again is
        answered with 204 too, and with 404 once the server has forgotten that there was such a call. A call
        in progress has to be ended first (409)."""
        try:
            known = await asyncio.to_thread(store.delete, session_key(request.cookies), call_id)
        except CallInProgress as error:
            raise HTTPException(409, str(error)) from error
        except StorageFailed as error:
            raise HTTPException(503, str(error)) from error
        if not known:
            raise HTTPException(404, GONE)
        return Response(status_code=204)


async def _report_if_ready(reports: CallReports, owner: str, call_id: str) -> Report | None:
    try:
        return await reports.of_call(owner, call_id, REPORT_WITHIN_SEC)
    except PersonaplexError:
        return None


def _add_report(router: APIRouter, reports: CallReports) -> None:
    @router.get(
        "/calls/{call_id}/report.json",
        summary="The duplex report of a call of yours",
        responses={200: told("The report.", REPORT), **errors(e404=GONE, e422=UNREADABLE, e503=NOT_YET)},
        openapi_extra=NEEDS_VISITOR,
    )
    async def report(call_id: str, request: Request) -> Response:
        """How both sides of the recording took turns: response gaps, stop latencies, overlaps, dead air,
        take-overs, backchannels, talk share and self-echo. Measured when it is first asked for, and kept as
        long as the recording. Only for the browser that made the call."""
        try:
            measured = await reports.of_call(session_key(request.cookies), call_id)
        except PersonaplexError as error:
            return refusal(error)
        if measured is None:
            raise HTTPException(404, GONE)
        return JSONResponse(measured)


def _add_files(router: APIRouter, store: CallStore) -> None:
    @router.get(
        "/calls/{call_id}/recording.wav",
        summary="The recording of a call of yours",
        response_class=Response,
        responses=sound(e404=GONE),
        openapi_extra=NEEDS_VISITOR,
    )
    async def recording(call_id: str, request: Request, download: bool = False) -> Response:
        """Stereo WAV: caller left, assistant right. Only for the browser that made the call."""
        owner = session_key(request.cookies)
        await _find(store, owner, call_id)
        path = store.recording_of(owner, call_id)
        if path is None:
            raise HTTPException(404, GONE)
        return RangeResponse(path, "audio/wav", download_name=_name(call_id, "wav"), inline=not download)

    @router.get(
        "/calls/{call_id}/transcript.{extension}",
        summary="The transcript of a call of yours",
        response_class=Response,
        responses=TRANSCRIPT | errors(e404=GONE),
        openapi_extra=NEEDS_VISITOR,
    )
    async def download_transcript(call_id: str, extension: str, request: Request) -> Response:
        """As `json`, `txt`, `srt` (SubRip) or `vtt` (WebVTT). Only for the browser that made the call."""
        call = await _find(store, session_key(request.cookies), call_id)
        if call is None or extension not in FORMATS:
            raise HTTPException(404, GONE)
        write, media_type = FORMATS[extension]
        headers = {"Content-Disposition": f'attachment; filename="{_name(call_id, extension)}"'}
        return Response(write(call), media_type=media_type, headers=headers)


async def _find(store: CallStore, owner: str, call_id: str) -> EndedCall | None:
    """Also one that another server on the same folder has kept."""
    call = store.get(owner, call_id)
    if call is None and owner:
        await asyncio.to_thread(store.refresh)
        call = store.get(owner, call_id)
    return call


def _name(call_id: str, extension: str) -> str:
    return f"personaplex-{call_id[:8]}.{extension}"
