"""The app's plain HTTP routes: health, voices, and recordings and transcripts of a visitor's calls."""

from collections.abc import Callable
from typing import Any

from fastapi import APIRouter, HTTPException, Request, Response
from fastapi.responses import JSONResponse

from personaplex_ui.calls import transcript
from personaplex_ui.calls.manager import CallManager
from personaplex_ui.calls.store import CallStore
from personaplex_ui.engine.engine import Engine, EngineState
from personaplex_ui.engine.reports import capacity_of, runtime_of
from personaplex_ui.engine.speech_model import SpeechModel
from personaplex_ui.errors import EngineUnavailable
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
from personaplex_ui.web.security.auth import is_stranger
from personaplex_ui.web.security.session_cookie import session_key

FORMATS: dict[str, tuple[Callable[[tuple[transcript.Utterance, ...]], str], str]] = {
    "json": (transcript.to_json, "application/json"),
    "txt": (transcript.to_txt, "text/plain; charset=utf-8"),
    "srt": (transcript.to_srt, "application/x-subrip; charset=utf-8"),
}

GONE = (
    "You have no such call, or it is no longer kept. "
    "Calls are kept for a limited time, and only for the browser that made them."
)
NAMES = {"type": "array", "items": TEXT}
UTTERANCES = {"type": "array", "items": record({"start_sec": NUMBER, "end_sec": NUMBER, "text": TEXT})}
CAPACITY = record(
    {"lines": WHOLE, "reason": TEXT},
    {"by_memory": WHOLE, "measured_ms": {"type": "object", "additionalProperties": NUMBER}},
)
RUNTIME = record(
    {"graphs": TEXT, "kernels": TEXT, "reasons": NAMES, "warnings": NAMES},
    {"weights": TEXT, "key_values": TEXT, "persona": TEXT},
)
OF_MODEL = {
    "model": TEXT,
    "device": TEXT,
    "gpu_memory_allocated_mb": NUMBER,
    "message": TEXT,
    "capacity": CAPACITY,
    "runtime": RUNTIME,
}
OF_QUEUE = {"lines": WHOLE, "lines_free": WHOLE, "waiting": WHOLE}
HEALTH: Responses = {
    200: told(
        "Calls can be taken. Strangers see only the status.",
        record({"status": TEXT}, OF_MODEL | OF_QUEUE),
    ),
    503: told("Calls cannot be taken.", record({"status": TEXT}, {"message": TEXT, "progress": NUMBER})),
}
VOICES: Responses = {200: told("Their names.", record({"voices": NAMES, "default": TEXT}))}
TRANSCRIPT: Responses = {
    200: {
        "description": "The file.",
        "content": {
            "application/json": {"schema": UTTERANCES},
            "text/plain": {"schema": TEXT},
            "application/x-subrip": {"schema": TEXT},
        },
    }
}

ASK_AGAIN_SEC = {
    EngineState.LOADING: 10,
    EngineState.READY: 1,  # it became ready meanwhile
    EngineState.DEGRADED: 10,
    EngineState.FAILED: 60,  # somebody has to act
    EngineState.DRAINING: 10,
}


def build_router(call_manager: CallManager, voices: VoiceLibrary) -> APIRouter:
    router = APIRouter()
    engine = call_manager.engine

    @router.get("/health", summary="Whether calls can be taken", responses=HEALTH)
    async def health(request: Request) -> JSONResponse:
        """200 if calls can be taken; otherwise 503 with the state, the reason, and when to ask again."""
        status, body = _health(engine)
        headers = {"Retry-After": str(ASK_AGAIN_SEC[engine.health.state])} if status == 503 else None
        return JSONResponse({"status": body["status"]} if is_stranger(request) else body, status, headers)

    @router.get("/voices", summary="The voices to choose from", responses=VOICES)
    async def list_voices() -> dict[str, Any]:
        return {"voices": [f"{name}.pt" for name in voices.names()], "default": f"{voices.default}.pt"}

    _add_call_routes(router, call_manager.store)
    return router


def _health(engine: Engine) -> tuple[int, dict[str, Any]]:
    """Status and body."""
    told = engine.health
    try:
        model = engine.model
    except EngineUnavailable:
        return 503, {
            "status": told.state.value,
            "message": told.message,
            "progress": round(told.progress, 3),
        }
    note = told.failure or model.clips_only
    body: dict[str, Any] = {
        "status": "healthy",
        "model": model.name,
        "device": model.device,
        "gpu_memory_allocated_mb": round(model.memory_allocated_mb(), 1),
        "lines": engine.slots.capacity,
        "lines_free": engine.slots.free,
        "waiting": engine.slots.waiting,
    }
    return 200, body | _reports(model) | ({"message": note} if note else {})


def _reports(model: SpeechModel) -> dict[str, Any]:
    """What the model tells about itself; nothing of one that tells nothing."""
    capacity, runtime = capacity_of(model), runtime_of(model)
    told: dict[str, Any] = {}
    if capacity is not None:
        memory = {} if capacity.by_memory is None else {"by_memory": capacity.by_memory}
        ticks = {str(callers): ms for callers, ms in capacity.measured_ms.items()}
        numbers = {"lines": capacity.lines, **memory, "measured_ms": ticks}
        told["capacity"] = {**numbers, "reason": capacity.reason}
    if runtime is not None:
        told["runtime"] = {
            **runtime.facts(),
            "reasons": list(runtime.reasons),
            "warnings": list(runtime.warnings),
        }
    return told


def _add_call_routes(router: APIRouter, store: CallStore) -> None:
    """Add the routes that serve only the browser that made the call."""

    @router.get(
        "/calls/{call_id}/recording.wav",
        summary="The recording of a call of yours",
        response_class=Response,
        responses=sound(e404=GONE),
        openapi_extra=NEEDS_VISITOR,
    )
    async def recording(call_id: str, request: Request, download: bool = False) -> Response:
        """Stereo WAV: caller left, assistant right. Only for the browser that made the call."""
        path = store.recording_of(session_key(request.cookies), call_id)
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
        """As ``json``, ``txt`` or ``srt``. Only for the browser that made the call."""
        call = store.get(session_key(request.cookies), call_id)
        if call is None or extension not in FORMATS:
            raise HTTPException(404, GONE)
        write, media_type = FORMATS[extension]
        headers = {"Content-Disposition": f'attachment; filename="{_name(call_id, extension)}"'}
        return Response(write(call.utterances), media_type=media_type, headers=headers)


def _name(call_id: str, extension: str) -> str:
    return f"personaplex-{call_id[:8]}.{extension}"
