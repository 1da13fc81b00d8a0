"""``GET /visitor``: what a visitor has left of the day's minutes."""

import math

from fastapi import APIRouter, Request

from personaplex_ui.calls.allowance import SHORTEST_CALL_SEC, Allowance
from personaplex_ui.web.api_responses import NEEDS_VISITOR, Responses, record, told
from personaplex_ui.web.security.visitors import VisitorOf

NUMBER_OR_NULL = {"type": ["number", "null"]}
LEFT: Responses = {
    200: told(
        "Null where there is no limit.", record({"minutes_left": NUMBER_OR_NULL, "again_at": NUMBER_OR_NULL})
    )
}


def build_visitor_router(allowance: Allowance, visitor_of: VisitorOf) -> APIRouter:
    router = APIRouter()

    @router.get("/visitor", summary="Your minutes", responses=LEFT, openapi_extra=NEEDS_VISITOR)
    async def minutes_left(request: Request) -> dict[str, float | None]:
        """`minutes_left`: of calls today; 0 if it is too little for a call. `again_at`: when all are there
        again, in seconds since 1970."""
        left = allowance.left_sec(visitor_of(request))
        if math.isinf(left):
            return {"minutes_left": None, "again_at": None}
        minutes = round(left / 60, 1) if left >= SHORTEST_CALL_SEC else 0.0
        return {"minutes_left": minutes, "again_at": allowance.again_at}

    return router
