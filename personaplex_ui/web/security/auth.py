"""The auth middleware: if a password is set, every route needs it except a short list of public ones.

Handles paths, credentials shown and refusals; secrets are left to ``credentials`` and addresses to
``proxy_headers``. Without a password everybody comes in, except other sites' pages at our websockets.

Accepted are the password (``?password=``, ``X-App-Password``, ``Authorization: Bearer`` or ``Basic``), the
API key, and the cookie that ``POST /login`` and ``?password=`` in a browser set. Browsers send the cookie
automatically, so it counts only if a request comes from one of our pages. That is why there are no CSRF
tokens.
"""

from collections.abc import Callable
from dataclasses import replace

from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException
from starlette.requests import ClientDisconnect, HTTPConnection, Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocket

from personaplex_ui.web.methods import method_not_allowed
from personaplex_ui.web.security.credentials import (
    COOKIE,
    COOKIE_SEC,
    Credentials,
    Shown,
    TooManyFailures,
    cookie_of,
    take_shown,
)
from personaplex_ui.web.security.origin_check import OriginCheck
from personaplex_ui.web.security.proxy_headers import client_address, cookie_site
from personaplex_ui.web.security.public_routes import public_methods, public_route
from personaplex_ui.web.security.refusals import (
    FOREIGN,
    NO_LOGIN,
    NO_PASSWORD,
    WRONG,
    Refusal,
    go_to,
    is_browser,
    later,
    place_before_login,
    query_of,
    refuse,
    refuse_websocket,
    same_place,
)
from personaplex_ui.web.small_body import read_small_body

NO_PASSWORD_CODE = 4001
FOREIGN_CODE = 4003
MACHINE_KEY = "personaplex_ui.is_machine"
STRANGER_KEY = "personaplex_ui.is_stranger"


def is_machine(connection: HTTPConnection) -> bool:
    """Whether the request shows the API key (``Authorization: Bearer``). Wrong keys count as failures.

    Raises:
        HTTPException: 429 without a check, because too many wrong keys came from the same address.
    """
    ask: Callable[[], bool] | None = connection.scope.get(MACHINE_KEY)
    try:
        return ask is not None and ask()
    except TooManyFailures as error:
        raise HTTPException(429, str(error), {"Retry-After": str(error.wait_sec)}) from error


def is_stranger(connection: HTTPConnection) -> bool:
    """Whether a password is needed and the client of a public route has not logged in."""
    return bool(connection.scope.get(STRANGER_KEY))


class AuthMiddleware:
    def __init__(self, app: ASGIApp, credentials: Credentials, origins: OriginCheck) -> None:
        self._app = app
        self._credentials = credentials
        self._origins = origins

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        match scope["type"]:
            case "http":
                shown = take_shown(scope)
                is_open = not self._credentials.are_needed
                answer = None if is_open else await self._own_answer(Request(scope, receive), shown)
                if answer is None:
                    self._let_ask_for_machine(scope, shown)
                await (answer or self._app)(scope, receive, send)
            case "websocket":
                await self._websocket(scope, receive, send)
            case _:
                await self._app(scope, receive, send)

    async def _own_answer(self, request: Request, shown: Shown) -> Response | None:
        """This middleware's own answer, or None if the app should answer."""
        scope, method, path = request.scope, request.method, request.scope["path"]
        public = public_route(method, path)
        if public and not public.shows_less:
            # Credentials are not even checked: a browser that sends a name and a password meant for a proxy
            # in front of us would use up its attempts.
            return None
        if method == "POST" and path in ("/login", "/login/"):
            return await self._log_in(request)
        if method == "GET" and path == "/logout":
            return self._log_out(request)
        if refusal := self._refusal(request, shown):
            if public and path == "/":
                return replace(refusal, status=200, headers={}).as_login(scope)
            if public:
                scope[STRANGER_KEY] = True
                return None
            allowed = public_methods(path)
            return method_not_allowed(allowed) if allowed else refuse(refusal, request, shown)
        if shown.in_query and method == "GET" and is_browser(request):
            return self._give_cookie(go_to(same_place(scope)), request)
        place = place_before_login(scope) if path == "/" else ""
        return go_to(place) if place else None

    async def _websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        websocket = WebSocket(scope, receive, send)
        shown = take_shown(scope)
        is_open = not self._credentials.are_needed or public_route("WEBSOCKET", scope["path"])
        if not self._origins.include(websocket):
            await refuse_websocket(websocket, Refusal(403, FOREIGN), FOREIGN_CODE)
        elif not is_open and (refusal := self._refusal(websocket, shown)):
            await refuse_websocket(websocket, refusal, NO_PASSWORD_CODE)
        else:
            self._let_ask_for_machine(scope, shown)
            await self._app(scope, receive, send)

    def _refusal(self, connection: HTTPConnection, shown: Shown) -> Refusal | None:
        """None if the client may come in."""
        has_cookie = self._credentials.is_cookie(cookie_of(connection))
        if has_cookie and self._origins.include(connection):
            return None
        try:
            if self._credentials.admits(shown, client_address(connection)):
                return None
        except TooManyFailures as error:
            return later(error)
        if has_cookie and not shown:
            return Refusal(403, FOREIGN)
        return Refusal(401, WRONG if shown else NO_PASSWORD, {"WWW-Authenticate": "Bearer"})

    def _let_ask_for_machine(self, scope: Scope, shown: Shown) -> None:
        address = client_address(HTTPConnection(scope))
        scope[MACHINE_KEY] = lambda: self._credentials.admits_machine(shown, address)

    async def _log_in(self, request: Request) -> Response:
        """Answer like Gradio's login for its clients; a person who sent our form is redirected to the
        page."""
        if refusal := await self._login_refusal(request):
            return refusal.as_login(request.scope) if is_browser(request) else refusal.in_json()
        home = go_to(f"./{query_of(request.scope)}")
        return self._give_cookie(home if is_browser(request) else JSONResponse({"success": True}), request)

    async def _login_refusal(self, request: Request) -> Refusal | None:
        address = client_address(request)
        try:
            self._credentials.check_wait(address)
            password = await _password_of(request)
            right = self._credentials.admits(Shown(password.encode()), address)
        except TooManyFailures as error:
            return later(error)
        except (HTTPException, MultiPartException, ClientDisconnect, ValueError):
            return Refusal(422, NO_LOGIN)
        return None if right else Refusal(400, WRONG)

    def _log_out(self, request: Request) -> Response:
        if not self._origins.include_change(request):
            return Refusal(403, FOREIGN).in_json()
        self._credentials.revoke_cookie(cookie_of(request))
        return self._give_cookie(go_to("./"), request, keep_sec=0)

    def _give_cookie(
        self, answer: Response, connection: HTTPConnection, keep_sec: int = COOKIE_SEC
    ) -> Response:
        """``keep_sec``: 0 deletes the cookie."""
        value = self._credentials.new_cookie() if keep_sec else ""
        cookie = f"{COOKIE}={value}; Path=/; HttpOnly; Max-Age={keep_sec}{cookie_site(connection)}"
        answer.headers.append("set-cookie", cookie)
        answer.headers["cache-control"] = "no-store"
        return answer


async def _password_of(request: Request) -> str:
    """The field ``password`` of a form, or an empty string.

    Raises:
        HTTPException, MultiPartException, ValueError: it is not a form, or is too large or too slow.
        ClientDisconnect: the client disconnected.
    """
    if "charset" in request.headers.get("content-type", "").lower():
        raise ValueError("some charsets take long to decode")
    body = await read_small_body(request)

    async def receive() -> Message:
        return {"type": "http.request", "body": body}

    async with Request(request.scope, receive).form(max_files=1, max_fields=10) as form:
        password = form.get("password")
        return password if isinstance(password, str) else ""
