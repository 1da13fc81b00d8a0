"""The OpenAPI description at ``/openapi.json``, and a readable page of it at ``/docs``.

The page is rendered here because FastAPI's loads its scripts from another host. Depends on the description,
not on the routes in it.
"""

import functools
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.responses import HTMLResponse
from fastapi.security import APIKeyCookie, APIKeyHeader, APIKeyQuery, HTTPBasic, HTTPBearer

from personaplex_ui.web.api_responses import TEXT, answer_invalid_values_in_words, errors, record
from personaplex_ui.web.security.credentials import COOKIE as LOGIN_COOKIE
from personaplex_ui.web.security.session_cookie import COOKIE as SESSION_COOKIE
from personaplex_ui.web.templates import page

Requirement = dict[str, list[str]]
"""Names of schemes that are all needed."""

SCHEMES = (
    HTTPBearer(scheme_name="bearer", description="API_KEY or APP_PASSWORD."),
    HTTPBasic(scheme_name="basic", description="Any user name, with APP_PASSWORD or API_KEY."),
    APIKeyHeader(scheme_name="password", name="X-App-Password", description="APP_PASSWORD."),
    APIKeyQuery(
        scheme_name="password_in_query",
        name="password",
        description="APP_PASSWORD, for browsers' websockets.",
    ),
    APIKeyCookie(scheme_name="login", name=LOGIN_COOKIE, description="Given by POST /login."),
    HTTPBearer(scheme_name="api_key", description="API_KEY only."),
    APIKeyHeader(
        scheme_name="twilio_signature",
        name="X-Twilio-Signature",
        description="Over the public URL and the fields, with TWILIO_AUTH_TOKEN.",
    ),
    APIKeyCookie(
        scheme_name="visitor", name=SESSION_COOKIE, description="Set by the page: the owner of the calls."
    ),
)
WHO_COMES_IN: list[Requirement] = [
    {name: []} for name in ("bearer", "basic", "password", "password_in_query", "login")
]
OPEN_PATHS = ("/health", "/capacity")
REFUSALS = errors(
    e400="The request cannot be read.",
    e401="The password or key is missing or wrong.",
    e403="The request comes from a page of another site.",
    e413="The body is too large.",
    e421="The server does not know this host name.",
    e422="A value cannot be used.",
    e429="Too many requests from this network; `Retry-After` says when to try again.",
)


def add_api_docs(app: FastAPI, server_url: str | None, is_closed: bool) -> None:
    """Describe ``app``, whose built-in documentation must be off. ``is_closed``: a password is needed."""
    describe = functools.cache(functools.partial(_describe, app, server_url, is_closed))
    router = APIRouter(include_in_schema=False)

    @router.get("/openapi.json")
    async def openapi() -> dict[str, Any]:
        return describe()

    @router.get("/docs")
    async def docs() -> HTMLResponse:
        return page("docs", describe())

    app.openapi = describe
    answer_invalid_values_in_words(app)
    app.include_router(router)


def _describe(app: FastAPI, server_url: str | None, is_closed: bool) -> dict[str, Any]:
    description = get_openapi(
        title=app.title,
        version=app.version,
        description=app.description,
        routes=app.routes,
        servers=[{"url": server_url}] if server_url else None,
    )
    schemas = {"Error": record({"detail": TEXT})}
    schemes = {
        s.scheme_name: s.model.model_dump(mode="json", by_alias=True, exclude_none=True) for s in SCHEMES
    }
    description["components"] = {"securitySchemes": schemes, "schemas": schemas}
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
    """The requirements of an operation that itself needs one of ``own``."""
    if path in OPEN_PATHS:
        return []
    if any(name in requirement for requirement in own for name in ("api_key", "twilio_signature")):
        return own  # these also replace the password
    return [{**who, **more} for who in WHO_COMES_IN for more in own]
