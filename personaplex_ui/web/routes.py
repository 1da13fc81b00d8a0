"""The app's plain HTTP routes: health, voices, and, from ``call_routes``, a visitor's calls."""

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from personaplex_ui.calls.manager import CallManager
from personaplex_ui.engine.reports import capacity_of, runtime_of
from personaplex_ui.engine.speech_model import SpeechModel
from personaplex_ui.errors import EngineUnavailable
from personaplex_ui.voices.library import VoiceLibrary
from personaplex_ui.web.api_responses import NUMBER, TEXT, WHOLE, Responses, record, told
from personaplex_ui.web.call_routes import add_call_routes
from personaplex_ui.web.capacity_routes import ASK_AGAIN_SEC
from personaplex_ui.web.security.auth import is_stranger

NAMES = {"type": "array", "items": TEXT}
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
    "licence": TEXT,
    "capacity": CAPACITY,
    "runtime": RUNTIME,
    "captions": record({}, {"found_by": TEXT, "message": TEXT}),
    "unhealthy_calls": {"type": "object", "additionalProperties": WHOLE},
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


def build_router(call_manager: CallManager, voices: VoiceLibrary) -> APIRouter:
    router = APIRouter()

    @router.get("/health", summary="Whether calls can be taken", responses=HEALTH)
    async def health(request: Request) -> JSONResponse:
        """200 if calls can be taken; otherwise 503 with the state, the reason, and when to ask again."""
        status, body = _health(call_manager)
        headers = {"Retry-After": str(ASK_AGAIN_SEC[call_manager.state])} if status == 503 else None
        return JSONResponse({"status": body["status"]} if is_stranger(request) else body, status, headers)

    @router.get("/voices", summary="The voices to choose from", responses=VOICES)
    async def list_voices() -> dict[str, Any]:
        return {"voices": [f"{name}.pt" for name in voices.names()], "default": f"{voices.default}.pt"}

    add_call_routes(router, call_manager.store, call_manager.reports)
    return router


def _health(call_manager: CallManager) -> tuple[int, dict[str, Any]]:
    """Status and body."""
    engine = call_manager.engine
    told = engine.health
    if call_manager.quiet_end.is_on:
        return 503, _cannot(call_manager)
    try:
        model = engine.model
    except EngineUnavailable:
        return 503, _cannot(call_manager)
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
    licence = {"licence": model.licence_note} if model.licence_note else {}
    captions = call_manager.captions.report(model)
    by = {"found_by": captions.found_by} if captions.found_by else {}
    why_not = {"message": captions.message} if captions.message else {}
    told_of_words = {"captions": by | why_not} if by | why_not else {}
    faults = {fault.value: count for fault, count in call_manager.sound_watch.counts.items() if count}
    told_of_sound = {"unhealthy_calls": faults} if faults else {}
    message = {"message": note} if note else {}
    return 200, body | _reports(model) | told_of_words | told_of_sound | licence | message


def _cannot(call_manager: CallManager) -> dict[str, Any]:
    """Why no calls can be taken."""
    progress = round(call_manager.engine.health.progress, 3)
    return {"status": call_manager.state.value, "message": call_manager.message, "progress": progress}


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
