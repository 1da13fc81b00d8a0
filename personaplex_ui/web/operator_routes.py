"""``/operator``: gives whoever runs this server the cookie that ``OperatorAccess`` knows them by."""

from fastapi import APIRouter, HTTPException, Request, Response

from personaplex_ui.web.security.credentials import TooManyFailures, take_from_query
from personaplex_ui.web.security.operator import COOKIE, VALID_SEC, OperatorAccess
from personaplex_ui.web.security.origin_check import OriginCheck
from personaplex_ui.web.security.proxy_headers import client_address, cookie_site
from personaplex_ui.web.security.refusals import FOREIGN, go_to
from personaplex_ui.web.small_body import form_fields, read_small_body
from personaplex_ui.web.templates import page

USED = "This link is wrong, has been used or has expired. A new one can be written to the server's log."
WRONG_KEY = "This is not the API_KEY of this server."
LOGGED = "A link is in the server's log now. It works once."
HEADERS = {"Cache-Control": "no-store", "Referrer-Policy": "strict-origin"}
"""The address may hold a token. Without any referrer, a browser sends the form from ``null``."""


def build_operator_router(access: OperatorAccess, origins: OriginCheck) -> APIRouter:
    router = APIRouter()

    # HEAD is not answered like GET: what looks at links before people do would use this one up.
    @router.head("/operator", include_in_schema=False)
    async def look() -> Response:
        return Response(headers=HEADERS)

    @router.get("/operator", include_in_schema=False)
    async def open_link(request: Request) -> Response:
        token = take_from_query(request.scope, b"token").decode(errors="replace")
        try:
            if token and (cookie := access.redeem(token, client_address(request))):
                return _to_page(request, cookie)
        except TooManyFailures as error:
            return _form(access, request, str(error), 429)
        return _form(access, request, USED, 403) if token else _form(access, request)

    @router.post("/operator", include_in_schema=False)
    async def send_form(request: Request) -> Response:
        if not origins.include(request):
            raise HTTPException(403, FOREIGN)
        fields = dict(form_fields(await read_small_body(request)))
        if "leave" in fields:
            access.leave(request)
            return _to_page(request, "")
        if not access.needs_key:
            access.log_link()
            return _form(access, request, LOGGED)
        try:
            cookie = access.log_in(fields.get("key", ""), request)
        except TooManyFailures as error:
            return _form(access, request, str(error), 429)
        return _to_page(request, cookie) if cookie else _form(access, request, WRONG_KEY, 403)

    return router


def _form(access: OperatorAccess, request: Request, sentence: str = "", status: int = 200) -> Response:
    values = {
        "sentence": sentence,
        "is_operator": access.is_operator(request),
        "needs_key": access.needs_key,
    }
    answer = page("operator", values, status)
    answer.headers.update(HEADERS)
    return answer


def _to_page(request: Request, cookie: str) -> Response:
    """``cookie``: empty deletes it."""
    answer = go_to("./")
    kept_sec = VALID_SEC if cookie else 0
    answer.headers.append(
        "set-cookie", f"{COOKIE}={cookie}; Path=/; HttpOnly; Max-Age={kept_sec}{cookie_site(request)}"
    )
    answer.headers.update(HEADERS)
    return answer
