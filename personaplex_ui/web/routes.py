"""The plain HTTP of the app: health, voices, and what is left of a visitor's calls."""

from collections.abc import Callable
from typing import Any

from fastapi import APIRouter, HTTPException, Request, Response
from fastapi.responses import JSONResponse

from personaplex_ui.calls import transcript
from personaplex_ui.calls.manager import CallManager
from personaplex_ui.calls.snapshot import EndedCall
from personaplex_ui.channels.clips.preview import Previews
from personaplex_ui.engine.engine import EngineState
from personaplex_ui.errors import EngineUnavailable, InvalidInput, PersonaplexError
from personaplex_ui.voices.library import VoiceLibrary
from personaplex_ui.web.api_responses import (
    NEEDS_VISITOR,
    NUMBER,
    TEXT,
    WHOLE,
    Responses,
    errors,
    record,
    sound,
    told,
)
from personaplex_ui.web.byte_ranges import RangeResponse
from personaplex_ui.web.methods import answer_all_methods
from personaplex_ui.web.security.session_cookie import visitor_key

FORMATS: dict[str, tuple[Callable[[tuple[transcript.Utterance, ...]], str], str]] = {
    "json": (transcript.to_json, "application/json"),
    "txt": (transcript.to_txt, "text/plain; charset=utf-8"),
    "srt": (transcript.to_srt, "application/x-subrip; charset=utf-8"),
}

GONE = (
    "There is no such call of yours any more. "
    "Calls are kept for a limited time, for the browser that made them."
)
NAMES = {"type": "array", "items": TEXT}
LINES = {"type": "array", "items": record({"start_sec": NUMBER, "end_sec": NUMBER, "text": TEXT})}
HEALTH: Responses = {
    200: told(
        "Calls can be taken. Strangers are told the status alone.",
        record(
            {"status": TEXT},
            {
                "model": TEXT,
                "device": TEXT,
                "gpu_memory_allocated_mb": NUMBER,
                "message": TEXT,
                "lines": WHOLE,
                "lines_free": WHOLE,
                "waiting": WHOLE,
            },
        ),
    ),
    503: told("They cannot, and why.", record({"status": TEXT}, {"message": TEXT, "progress": NUMBER})),
}
VOICES: Responses = {200: told("Their names.", record({"voices": NAMES, "default": TEXT}))}
TRANSCRIPT: Responses = {
    200: {
        "description": "The file.",
        "content": {
            "application/json": {"schema": LINES},
            "text/plain": {"schema": TEXT},
            "application/x-subrip": {"schema": TEXT},
        },
    }
}


ASK_AGAIN_SEC = {
    EngineState.LOADING: 10,
    EngineState.READY: 1,  # it became ready while we looked
    EngineState.DEGRADED: 10,
    EngineState.FAILED: 60,  # somebody has to do something
    EngineState.DRAINING: 10,
}


def build_router(call_manager: CallManager, previews: Previews, voices: VoiceLibrary) -> APIRouter:
    router = APIRouter()
    engine = call_manager.engine

    @router.get("/health", summary="Whether calls can be taken", responses=HEALTH)
    async def health() -> JSONResponse:
        """200 when calls can be taken; else 503 with the state, the reason, and when to ask again."""
        told = engine.health
        try:
            model = engine.model
        except EngineUnavailable:
            body = {"status": told.state.value, "message": told.message, "progress": round(told.progress, 3)}
            return JSONResponse(body, 503, {"Retry-After": str(ASK_AGAIN_SEC[told.state])})
        note = told.failure or model.clips_only
        return JSONResponse(
            {
                "status": "healthy",
                "model": model.name,
                "device": model.device,
                "gpu_memory_allocated_mb": round(model.memory_allocated_mb(), 1),
                "lines": engine.slots.capacity,
                "lines_free": engine.slots.free,
                "waiting": engine.slots.waiting,
            }
            | ({"message": note} if note else {})
        )

    @router.get("/voices", summary="The voices to choose from", responses=VOICES)
    async def list_voices() -> dict[str, Any]:
        return {"voices": [f"{name}.pt" for name in voices.names()], "default": f"{voices.default}.pt"}

    @router.get(
        "/voices/{name}/preview.wav",
        summary="A few seconds of one voice",
        response_class=Response,
        responses=sound(e404="There is no such voice.", e503="The model cannot speak now."),
    )
    async def preview(name: str) -> Response:
        try:
            wav = await previews.wav_of(name)
        except InvalidInput as error:
            raise HTTPException(404, str(error)) from error
        except PersonaplexError as error:
            raise HTTPException(503, str(error)) from error
        caching = "no-store" if voices.is_upload(name) else "max-age=3600"
        return RangeResponse(wav, "audio/wav", {"Cache-Control": caching})

    @router.get(
        "/calls/{call_id}/recording.wav",
        summary="The recording of a call of yours",
        response_class=Response,
        responses=sound(e404=GONE),
        openapi_extra=NEEDS_VISITOR,
    )
    async def recording(call_id: str, request: Request, download: bool = False) -> Response:
        """Stereo WAV: left the caller, right the assistant. Only for the browser that made the call."""
        path = call_manager.store.recording_of(visitor_key(request.cookies), call_id)
        if path is None:
            raise HTTPException(404, GONE)
        name = f"personaplex-{call_id[:8]}.wav"
        return RangeResponse(path, "audio/wav", download_name=name, inline=not download)

    @router.get(
        "/calls/{call_id}/transcript.{extension}",
        summary="The transcript of a call of yours",
        response_class=Response,
        responses=TRANSCRIPT | errors(e404=GONE),
        openapi_extra=NEEDS_VISITOR,
    )
    async def download_transcript(call_id: str, extension: str, request: Request) -> Response:
        """As ``json``, ``txt`` or ``srt``. Only for the browser that made the call."""
        call = call_manager.store.get(visitor_key(request.cookies), call_id)
        if call is None or extension not in FORMATS:
            raise HTTPException(404, GONE)
        return _transcript(call, extension)

    answer_all_methods(router)
    return router


def _transcript(call: EndedCall, extension: str) -> Response:
    write, media_type = FORMATS[extension]
    name = f"personaplex-{call.call_id[:8]}.{extension}"
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return Response(write(call.utterances), media_type=media_type, headers=headers)
