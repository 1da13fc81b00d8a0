"""The OpenAPI description at ``/openapi.json``, and a page of it for people at ``/docs``.

The page is made here, because FastAPI's loads its scripts from another host. Knows the description, and
nothing of the routes that are in it.
"""

from collections.abc import Callable
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.responses import HTMLResponse

from personaplex_ui.web.api_responses import TEXT, answer_invalid_values_in_words, errors, record
from personaplex_ui.web.templates import page

Requirement = dict[str, list[str]]
"""Names of schemes, all of which are needed."""

SECURITY_SCHEMES = {
    "bearer": {
        "type": "http",
        "scheme": "bearer",
        "description": "API_KEY, or APP_PASSWORD in its place.",
    },
    "basic": {"type": "http", "scheme": "basic", "description": "Any name, and APP_PASSWORD or API_KEY."},
    "password": {"type": "apiKey", "in": "header", "name": "X-App-Password", "description": "APP_PASSWORD."},
    "password_in_query": {
        "type": "apiKey",
        "in": "query",
        "name": "password",
        "description": "APP_PASSWORD, for browsers' websockets.",
    },
    "login": {
        "type": "apiKey",
        "in": "cookie",
        "name": "personaplex_pass",
        "description": "Given by POST /login.",
    },
    "api_key": {"type": "http", "scheme": "bearer", "description": "API_KEY, and nothing else."},
    "twilio_signature": {
        "type": "apiKey",
        "in": "header",
        "name": "X-Twilio-Signature",
        "description": "Over the public URL and the fields, with TWILIO_AUTH_TOKEN.",
    },
    "visitor": {
        "type": "apiKey",
        "in": "cookie",
        "name": "personaplex_visitor",
        "description": "Given by the page: whose calls they are.",
    },
}
WHO_COMES_IN: list[Requirement] = [
    {name: []} for name in ("bearer", "basic", "password", "password_in_query", "login")
]
OPEN_PATHS = ("/health",)
REFUSALS = errors(
    e400="The request cannot be read.",
    e401="The password or key is missing or wrong.",
    e403="A page of another site asks.",
    e413="The body is too large.",
    e421="The server does not know itself by this name.",
    e422="A value cannot be used.",
    e429="Too much came from this network; `Retry-After` says when to try again.",
)


def add_api_docs(app: FastAPI, server_url: str | None, is_closed: bool) -> None:
    """Describe ``app``, whose own pages of it must be off. ``is_closed``: a password is asked for."""
    described: dict[str, Any] = {}

    def describe() -> dict[str, Any]:
        if not described:
            described.update(_describe(app, server_url, is_closed))
        return described

    app.openapi = describe
    answer_invalid_values_in_words(app)
    app.include_router(_build_router(describe))


def _build_router(describe: Callable[[], dict[str, Any]]) -> APIRouter:
    router = APIRouter(include_in_schema=False)

    @router.get("/openapi.json")
    async def openapi() -> dict[str, Any]:
        return describe()

    @router.get("/docs")
    async def docs() -> HTMLResponse:
        return page("docs", describe())

    return router


def _describe(app: FastAPI, server_url: str | None, is_closed: bool) -> dict[str, Any]:
    description = get_openapi(
        title=app.title,
        version=app.version,
        description=app.description,
        routes=app.routes,
        servers=[{"url": server_url}] if server_url else None,
    )
    schemas = {"Error": record({"detail": TEXT})}
    description["components"] = {"securitySchemes": SECURITY_SCHEMES, "schemas": schemas}
    for path, operations in description["paths"].items():
        for operation in operations.values():
            own: list[Requirement] = operation.get("security", [{}])
            operation["security"] = _with_password(path, own) if is_closed else [r for r in own if r]
            responses = operation["responses"]
            for status, refusal in REFUSALS.items():
                is_fastapis = "HTTPValidationError" in str(responses.get(str(status), ""))
                if is_fastapis or str(status) not in responses:
                    responses[str(status)] = refusal
    return description


def _with_password(path: str, own: list[Requirement]) -> list[Requirement]:
    """What an operation asks for that by itself asks for ``own``, one of them."""
    if path in OPEN_PATHS:
        return []
    if any(name in requirement for requirement in own for name in ("api_key", "twilio_signature")):
        return own  # these open the door too
    return [{**who, **more} for who in WHO_COMES_IN for more in own]
