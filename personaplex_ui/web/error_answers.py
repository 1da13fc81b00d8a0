"""How errors with a sentence for the client become answers in JSON."""

from fastapi.responses import JSONResponse

from personaplex_ui.errors import (
    EngineUnavailable,
    InvalidInput,
    MinutesUsedUp,
    NoFreeSlot,
    PersonaplexError,
    TooManyCalls,
)

RETRY_AFTER_SEC = 5
STATUSES: dict[type[PersonaplexError], int] = {
    InvalidInput: 422,
    TooManyCalls: 429,
    MinutesUsedUp: 429,
    EngineUnavailable: 503,
    NoFreeSlot: 503,
}


def refusal(error: PersonaplexError, status: int = 0, code: str = "") -> JSONResponse:
    """The sentence of ``error``. ``status`` and ``code``: instead of those of its kind."""
    status = status or STATUSES.get(type(error), 503)
    field = {"field": error.field} if isinstance(error, InvalidInput) else {}
    headers = {"Retry-After": str(RETRY_AFTER_SEC)} if status in (429, 503) else None
    return JSONResponse({"detail": str(error), "error": code or error.code, **field}, status, headers)
