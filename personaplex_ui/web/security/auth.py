"""The middleware before all routes: with a password set, each needs it but for a short list of public ones.

Knows paths, what a client shows and refusals, and leaves secrets to ``credentials`` and addresses to
``proxy_headers``. Without a password everybody comes in, but for other sites' pages at our websockets.

What lets in is the password (``?password=``, ``X-App-Password``, ``Authorization: Bearer`` or ``Basic``), the
API key, or the cookie that ``POST /login`` and ``?password=`` in a browser give. Browsers send the cookie
unasked, so it counts only where a request comes from a page of ours. That is why there are no CSRF tokens.
"""

import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from urllib.parse import parse_qs, quote

from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException
from starlette.requests import ClientDisconnect, HTTPConnection, Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketDisconnect

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
from personaplex_ui.web.small_body import read_small_body
from personaplex_ui.web.templates import page

NO_PASSWORD_CODE = 4001
FOREIGN_CODE = 4003
NEXT = "next"
"""The parameter of the page's address that names what was asked for before the login."""
MACHINE_KEY = "personaplex_ui.is_machine"
STRANGER_KEY = "personaplex_ui.is_stranger"
DENIAL = "websocket.http.response"
"""The ASGI extension by which a server can answer a handshake with a status and a body."""

# The reason that closes a websocket has room for 123 bytes, so each of these is shorter.
NO_PASSWORD = (
    'This server asks for a password: log in on its page, or send "Authorization: Bearer ..." or ?password='
)
WRONG = "That password or key is not right. Please check it and try again."
FOREIGN = "Pages of other sites may not do this. ALLOWED_ORIGINS can allow them; SERVER_URL names our own."
NO_LOGIN = "This is not a login. Send username and password as a form."


@dataclass(frozen=True, slots=True)
class Refusal:
    status: int
    sentence: str
    headers: dict[str, str] = field(default_factory=dict[str, str])

    def in_json(self) -> Response:
        return self._completed(JSONResponse({"detail": self.sentence}, self.status))

    def as_page(self, scope: Scope) -> Response:
        values = {"sentence": self.sentence, "root": _to_root(scope)}
        return self._completed(page("refusal", values, self.status))

    def as_login(self, scope: Scope) -> Response:
        """The login page; the sentence is on it unless nothing was shown yet."""
        sentence = "" if self.sentence == NO_PASSWORD else self.sentence
        return self._completed(page("login", {"sentence": sentence, "query": _query(scope)}, self.status))

    def _completed(self, answer: Response) -> Response:
        answer.headers.update({"Cache-Control": "no-store"} | self.headers)
        return answer


def is_machine(connection: HTTPConnection) -> bool:
    """Whether the request shows the API key (``Authorization: Bearer``). Wrong ones count as failures.

    Raises:
        HTTPException: 429, nothing was looked at, because too many wrong ones came from the same address.
    """
    ask: Callable[[], bool] | None = connection.scope.get(MACHINE_KEY)
    try:
        return ask is not None and ask()
    except TooManyFailures as error:
        raise HTTPException(429, str(error), {"Retry-After": str(error.wait_sec)}) from error


def is_stranger(connection: HTTPConnection) -> bool:
    """Whether a public route is asked by somebody who has not logged in where a password is needed."""
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
        """What is said here in place of the app; None where the app is to answer."""
        scope, method, path = request.scope, request.method, request.scope["path"]
        public = public_route(method, path)
        if public and not public.shows_less:
            # What is shown is not even looked at: a browser that sends a name and a password for a proxy
            # before us would use up its guesses.
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
            return method_not_allowed(allowed) if allowed else _refuse(refusal, request, shown)
        if shown.in_query and method == "GET" and _is_browser(request):
            return self._give_cookie(_go_to(_same_place(scope)), request)
        place = _place_before_login(scope) if path == "/" else ""
        return _go_to(place) if place else None

    async def _websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        websocket = WebSocket(scope, receive, send)
        shown = take_shown(scope)
        is_open = not self._credentials.are_needed or public_route("WEBSOCKET", scope["path"])
        if not self._origins.include(websocket):
            await _refuse_websocket(websocket, Refusal(403, FOREIGN), FOREIGN_CODE)
        elif not is_open and (refusal := self._refusal(websocket, shown)):
            await _refuse_websocket(websocket, refusal, NO_PASSWORD_CODE)
        else:
            self._let_ask_for_machine(scope, shown)
            await self._app(scope, receive, send)

    def _refusal(self, connection: HTTPConnection, shown: Shown) -> Refusal | None:
        """None for those who may come in."""
        has_cookie = self._credentials.is_cookie(cookie_of(connection))
        if has_cookie and self._origins.include(connection):
            return None
        try:
            if self._credentials.admits(shown, client_address(connection)):
                return None
        except TooManyFailures as error:
            return _later(error)
        if has_cookie and not shown:
            return Refusal(403, FOREIGN)
        return Refusal(401, WRONG if shown else NO_PASSWORD, {"WWW-Authenticate": "Bearer"})

    def _let_ask_for_machine(self, scope: Scope, shown: Shown) -> None:
        address = client_address(HTTPConnection(scope))
        scope[MACHINE_KEY] = lambda: self._credentials.admits_machine(shown, address)

    async def _log_in(self, request: Request) -> Response:
        """As Gradio would answer its clients; a person who sent our form is led to the page."""
        if refusal := await self._login_refusal(request):
            return refusal.as_login(request.scope) if _is_browser(request) else refusal.in_json()
        home = _go_to(f"./{_query(request.scope)}")
        return self._give_cookie(home if _is_browser(request) else JSONResponse({"success": True}), request)

    async def _login_refusal(self, request: Request) -> Refusal | None:
        address = client_address(request)
        try:
            self._credentials.check_wait(address)
            password = await _password_of(request)
            right = self._credentials.admits(Shown(password.encode()), address)
        except TooManyFailures as error:
            return _later(error)
        except (HTTPException, MultiPartException, ClientDisconnect, ValueError):
            return Refusal(422, NO_LOGIN)
        return None if right else Refusal(400, WRONG)

    def _log_out(self, request: Request) -> Response:
        if not self._origins.include_change(request):
            return Refusal(403, FOREIGN).in_json()
        self._credentials.revoke_cookie(cookie_of(request))
        return self._give_cookie(_go_to("./"), request, keep_sec=0)

    def _give_cookie(
        self, answer: Response, connection: HTTPConnection, keep_sec: int = COOKIE_SEC
    ) -> Response:
        """``keep_sec``: 0 takes it away."""
        value = self._credentials.new_cookie() if keep_sec else ""
        cookie = f"{COOKIE}={value}; Path=/; HttpOnly; Max-Age={keep_sec}{cookie_site(connection)}"
        answer.headers.append("set-cookie", cookie)
        answer.headers["cache-control"] = "no-store"
        return answer


def _later(error: TooManyFailures) -> Refusal:
    return Refusal(429, str(error), {"Retry-After": str(error.wait_sec)})


def _refuse(refusal: Refusal, request: Request, shown: Shown) -> Response:
    """Who comes to an address in person is shown where to log in, or a page; others are told in JSON."""
    is_script = request.headers.get("sec-fetch-mode", "navigate") != "navigate"
    if request.method != "GET" or not _is_browser(request) or is_script:
        return refusal.in_json()
    if refusal.status == 401 and not shown:
        return _go_to(_login_page(request.scope))
    return refusal.as_page(request.scope)


def _go_to(location: str) -> Response:
    return Response(status_code=303, headers={"Location": location})


def _same_place(scope: Scope) -> str:
    """Relative, since a proxy may have cut the path's beginning; ``take_shown`` has cut the password."""
    path: str = scope["path"]
    return f"./{quote(path.rpartition('/')[2])}{_query(scope)}"


def _login_page(scope: Scope) -> str:
    """Where the page is, which asks for the password and leads back from there; relative as above."""
    asked = scope["path"][1:] + _query(scope)
    return f"{_to_root(scope)}?{NEXT}={quote(asked, safe='')}"


def _query(scope: Scope) -> str:
    query: bytes = scope["query_string"]
    return f"?{query.decode('latin-1')}" if query else ""


def _to_root(scope: Scope) -> str:
    path: str = scope["path"]
    return "../" * (path.count("/") - 1) or "./"


def _place_before_login(scope: Scope) -> str:
    """What was asked for before the login, or an empty text. Never another host's."""
    values = parse_qs(scope["query_string"].decode("latin-1"))
    path, mark, query = values.get(NEXT, [""])[0].partition("?")
    if not path or ".." in path.split("/") or path.startswith("/"):
        return ""
    return f"./{quote(path)}" + mark + quote(query, safe="=&%+,;:@/")


def _is_browser(connection: HTTPConnection) -> bool:
    return "text/html" in connection.headers.get("accept", "")


async def _password_of(request: Request) -> str:
    """What a form gives as ``password``, or an empty text.

    Raises:
        HTTPException, MultiPartException, ValueError: this is not a form, or a large or slow one.
        ClientDisconnect: the client left.
    """
    if "charset" in request.headers.get("content-type", "").lower():
        raise ValueError("there are charsets that take long to decode")
    body = await read_small_body(request)

    async def receive() -> Message:
        return {"type": "http.request", "body": body}

    async with Request(request.scope, receive).form(max_files=1, max_fields=10) as form:
        password = form.get("password")
        return password if isinstance(password, str) else ""


async def _refuse_websocket(websocket: WebSocket, refusal: Refusal, code: int) -> None:
    """A program (no ``Origin``) sees the answer to its handshake, and need not come again. A browser tells a
    page nothing of that answer, so it is accepted first, and then closed with ``code`` and the sentence."""
    # A client that has left meanwhile shows as any of these, depending on when.
    with contextlib.suppress(WebSocketDisconnect, RuntimeError, OSError):
        if "origin" in websocket.headers:
            await websocket.accept()
            await websocket.close(code, refusal.sentence)
        elif DENIAL in websocket.scope.get("extensions", {}):
            await websocket.send_denial_response(refusal.in_json())
        else:
            await websocket.close()  # before it was accepted: the server answers 403
