"""What distributes callers over several processes asks and tells: the free lines, and that a process takes no
more calls."""

from collections.abc import Callable
from dataclasses import asdict, replace
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, HTTPException, Query, Request
from fastapi.responses import JSONResponse
from starlette.requests import HTTPConnection

from personaplex_ui.calls.capacity import Capacity, capacity_now
from personaplex_ui.calls.manager import CallManager
from personaplex_ui.engine.engine import EngineState
from personaplex_ui.web.api_responses import (
    NEEDS_API_KEY,
    TEXT,
    WHOLE,
    Responses,
    Schema,
    errors,
    record,
    told,
)
from personaplex_ui.web.instance_path import instance_path
from personaplex_ui.web.security.auth import is_stranger

LONGEST_DRAIN_SEC = 86_400
FULL_ASK_AGAIN_SEC = 5
ASK_AGAIN_SEC = {
    EngineState.LOADING: 10,
    EngineState.READY: 1,  # it became ready meanwhile
    EngineState.DEGRADED: 10,
    EngineState.FAILED: 60,  # somebody has to act
    EngineState.DRAINING: 10,
}
SERVES_CALLS = (EngineState.READY, EngineState.DRAINING)

NO_API_KEY = (
    "Only the owner of this server may drain it, and it has no API key to know them by. Set API_KEY and send "
    "it as “Authorization: Bearer …”, or run “personaplex-ui drain” where the server runs."
)
WRONG_KEY = "Please send the server's API key as “Authorization: Bearer …”."
IS_ENDING = "The server is shutting down, which cannot be taken back."
ENDS_SOONER = "The server is shutting down and ends sooner than that. The time can only be made shorter."
YES_NO: Schema = {"type": "boolean"}
CAPACITY = record(
    {
        "status": TEXT,
        "message": TEXT,
        "model": TEXT,
        "lines": WHOLE,
        "lines_free": WHOLE,
        "waiting": WHOLE,
        "max_waiting": WHOLE,
        "live_calls": WHOLE,
        "accepting": YES_NO,
        "draining": YES_NO,
        "drain_seconds_left": {"type": ["number", "null"]},
        "instance_path": TEXT,
    }
)
ASKED: Responses = {
    200: told("A new call would be taken.", CAPACITY),
    404: told("The same as 503, where `busy=404` asks for it and calls go on here.", CAPACITY),
    503: told("A new call would not be taken; `Retry-After` says when to ask again.", CAPACITY),
}
DRAINED: Responses = {
    200: told("The capacity now.", CAPACITY),
    **errors(e401=WRONG_KEY, e409=IS_ENDING, e503=NO_API_KEY),
}
Seconds = Annotated[
    int | None, Query(ge=0, le=LONGEST_DRAIN_SEC, description="How long the calls may go on.")
]
IsMachine = Callable[[HTTPConnection], bool]
"""Whether a request carries the API key. May raise HTTPException after too many wrong keys."""


def build_capacity_router(
    manager: CallManager, drain_sec: float, is_machine: IsMachine, has_api_key: bool
) -> APIRouter:
    """``drain_sec``: how long calls may go on if nobody says."""
    router = APIRouter()

    @router.get("/capacity", summary="How many calls can be taken", responses=ASKED)
    async def capacity(
        request: Request, free: bool = False, busy: Literal["404", "503"] = "503"
    ) -> JSONResponse:
        """200 if a new call would get a line or a place in the queue; with `free=1`, if it would begin at
        once. Otherwise 503, or `busy`, where calls go on here."""
        now = capacity_now(manager)
        if is_stranger(request):
            now = replace(now, message="", model="")
        if now.accepting and (now.lines_free or not free):
            return JSONResponse(_record(now, request))
        status = int(busy) if now.status in SERVES_CALLS else 503
        wait_sec = FULL_ASK_AGAIN_SEC if now.status is EngineState.READY else ASK_AGAIN_SEC[now.status]
        return JSONResponse(_record(now, request), status, {"Retry-After": str(wait_sec)})

    def check_key(request: Request) -> None:
        if not has_api_key:
            raise HTTPException(503, NO_API_KEY)
        if not is_machine(request):
            raise HTTPException(401, WRONG_KEY, {"WWW-Authenticate": "Bearer"})

    needs_key: dict[str, Any] = {"dependencies": [Depends(check_key)], "openapi_extra": NEEDS_API_KEY}

    @router.post("/drain", summary="Take no new calls (needs the API key)", responses=DRAINED, **needs_key)
    async def drain(request: Request, seconds: Seconds = None) -> JSONResponse:
        """Those that go on may end by themselves, for so many seconds at most. Asked again, it changes the
        time if `seconds` is given, and otherwise nothing. Where the process itself ends, which it does when
        its own time is up, the time can only be made shorter."""
        end = manager.quiet_end
        if end.is_final and seconds is not None and seconds > (end.left_sec or 0.0):
            raise HTTPException(409, ENDS_SOONER)
        if seconds is not None or not end.is_on:
            end.begin(drain_sec if seconds is None else seconds)
        return JSONResponse(_record(capacity_now(manager), request))

    @router.delete("/drain", summary="Take calls again (needs the API key)", responses=DRAINED, **needs_key)
    async def take_back(request: Request) -> JSONResponse:
        """Also after all calls have ended, as long as the process itself does not end."""
        if manager.quiet_end.is_final or manager.is_closed:
            raise HTTPException(409, IS_ENDING)
        manager.quiet_end.take_back()
        return JSONResponse(_record(capacity_now(manager), request))

    return router


def _record(capacity: Capacity, request: Request) -> dict[str, Any]:
    status = "healthy" if capacity.status is EngineState.READY else capacity.status.value
    left_sec = capacity.drain_seconds_left
    return asdict(capacity) | {
        "status": status,
        "drain_seconds_left": None if left_sec is None else round(left_sec, 1),
        "instance_path": instance_path(request),
    }
