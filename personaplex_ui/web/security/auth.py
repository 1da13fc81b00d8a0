"""The wall around all doors: with a password set, each is closed but for a short list.

An ASGI middleware. Knows paths, passes and refusals, and leaves secrets to ``keys`` and addresses to
``address``. Without a password it stands open, but for other sites' pages that would open our websockets.

A pass is the password (``?password=``, ``X-App-Password``, ``Authorization: Bearer`` or ``Basic``), the API
key, or the cookie that ``POST /login`` and ``?password=`` in a browser give. Browsers send the cookie
unasked, so it counts only where a request comes from a page of ours. That is why there are no CSRF tokens.
"""

import contextlib
import html
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import parse_qs, quote

from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException
from starlette.requests import ClientDisconnect, HTTPConnection, Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketDisconnect

from personaplex_ui.web.methods import MethodNotAllowed
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
from personaplex_ui.web.security.proxy_headers import client_address, is_encrypted
from personaplex_ui.web.security.public_routes import OPEN_DOORS, PublicRoute
from personaplex_ui.web.small_body import read_small_body

NO_PASS_CODE = 4001
FOREIGN_CODE = 4003
NEXT = "next"
"""The parameter of the page's address that names what was asked for before the login."""
MACHINE_KEY = "personaplex_ui.is_machine"
DENIAL = "websocket.http.response"
"""The ASGI extension by which a server can answer a handshake with a status and a body."""

# The reason that closes a websocket has room for 123 bytes, so each of these is shorter.
NO_PASS = (
    'This server asks for a password: log in on its page, or send "Authorization: Bearer ..." or ?password='
)
WRONG = "That password or key is not right. Please check it and try again."
FOREIGN = "Pages of other sites may not do this. ALLOWED_ORIGINS can allow them; SERVER_URL names our own."
PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>PersonaPlex</title><p>{sentence}</p><p><a href="{root}">To the login</a></p></html>"""
NO_LOGIN = "This is no login. Send username and password as a form."


@dataclass(frozen=True, slots=True)
class Refusal:
    status: int
    sentence: str
    headers: dict[str, str] = field(default_factory=dict[str, str])

    def answer(self) -> Response:
        return JSONResponse(
            {"detail": self.sentence}, self.status, {"Cache-Control": "no-store"} | self.headers
        )

    def page(self, root: str) -> Response:
        """``root``: the address of the login page."""
        text = PAGE.format(sentence=html.escape(self.sentence), root=html.escape(root))
        return HTMLResponse(text, self.status, {"Cache-Control": "no-store"} | self.headers)


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


class AuthMiddleware:
    """``let_in``: called with the scope of each request that has a pass, for who checks again behind us."""

    def __init__(
        self,
        app: ASGIApp,
        keys: Credentials,
        origins: OriginCheck,
        let_in: Callable[[Scope], None],
        open_doors: tuple[PublicRoute, ...] = OPEN_DOORS,
    ) -> None:
        self._app = app
        self._keys = keys
        self._origins = origins
        self._let_in = let_in
        self._open_doors = open_doors

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        match scope["type"]:
            case "http":
                await self._request(scope, receive, send)
            case "websocket":
                await self._websocket(scope, receive, send)
            case _:
                await self._app(scope, receive, send)

    async def _request(self, scope: Scope, receive: Receive, send: Send) -> None:
        connection = HTTPConnection(scope)
        shown = take_shown(scope)
        answer: Response | None = None
        door = self._open_door(scope["method"], scope["path"])
        if self._keys.are_needed and door and door.edit is None:
            # The same for all, so what is shown is not even looked at: a browser that sends a name and a
            # password for a proxy before us would use up its guesses while the login page loads.
            await door.serve(self._app, scope, receive, send)
            return
        if self._keys.are_needed:
            if scope["method"] == "POST" and scope["path"] in ("/login", "/login/"):
                answer = await self._login(Request(scope, receive))
            elif scope["method"] == "GET" and scope["path"] == "/logout":
                answer = self._log_out(connection)
            elif refusal := self._refusal(connection, shown):
                if door:
                    await door.serve(self._app, scope, receive, send)
                    return
                if allowed := self._other_methods(scope["path"]):
                    await MethodNotAllowed(allowed)(scope, receive, send)
                    return
                answer = self._refuse(refusal, connection, shown)
            elif shown.in_query and scope["method"] == "GET" and _is_browser(connection):
                answer = self._give_cookie(_go_to(_same_place(scope)), connection)
            elif scope["path"] == "/" and (place := _place_before_login(scope)):
                answer = _go_to(place)
        if answer is not None:
            await answer(scope, receive, send)
            return
        self._pass(connection, shown)
        await self._app(scope, receive, send)

    async def _websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        websocket = WebSocket(scope, receive, send)
        shown = take_shown(scope)
        if not self._origins.include(websocket):
            await _refuse(websocket, Refusal(403, FOREIGN), FOREIGN_CODE)
        elif self._open_door("WEBSOCKET", scope["path"]):
            await self._app(scope, receive, send)
        elif self._keys.are_needed and (refusal := self._refusal(websocket, shown)):
            await _refuse(websocket, refusal, NO_PASS_CODE)
        else:
            self._pass(websocket, shown)
            await self._app(scope, receive, send)

    def _refusal(self, connection: HTTPConnection, shown: Shown) -> Refusal | None:
        """None for who has a pass."""
        has_cookie = self._keys.is_cookie(cookie_of(connection))
        if has_cookie and self._origins.include(connection):
            return None
        try:
            if self._keys.admits(shown, client_address(connection)):
                return None
        except TooManyFailures as error:
            return _later(error)
        if has_cookie and not shown:
            return Refusal(403, FOREIGN)
        return Refusal(401, WRONG if shown else NO_PASS, {"WWW-Authenticate": "Bearer"})

    def _pass(self, connection: HTTPConnection, shown: Shown) -> None:
        address = client_address(connection)
        connection.scope[MACHINE_KEY] = lambda: self._keys.admits_machine(shown, address)
        if self._keys.are_needed:
            self._let_in(connection.scope)

    async def _login(self, request: Request) -> Response:
        """As Gradio answers it. The password is looked at here, because here the failures are counted."""
        address = client_address(request)
        try:
            self._keys.check_wait(address)
            password = await _password_of(request)
            if self._keys.admits(Shown(password.encode()), address):
                return self._give_cookie(JSONResponse({"success": True}), request)
        except TooManyFailures as error:
            return _later(error).answer()
        except (HTTPException, MultiPartException, ClientDisconnect, ValueError):
            return Refusal(422, NO_LOGIN).answer()
        return Refusal(400, WRONG).answer()

    def _refuse(self, refusal: Refusal, connection: HTTPConnection, shown: Shown) -> Response:
        """Who comes to an address in person is shown where to log in, or a page; others are told in JSON."""
        if connection.scope["method"] != "GET" or not _is_visit(connection):
            return refusal.answer()
        if refusal.status == 401 and not shown:
            return _go_to(_login_page(connection.scope))
        return refusal.page(_to_root(connection.scope))

    def _log_out(self, connection: HTTPConnection) -> Response:
        if not self._origins.include_change(connection):
            return Refusal(403, FOREIGN).answer()
        self._keys.revoke_cookie(cookie_of(connection))
        return self._give_cookie(_go_to("./"), connection, keep_sec=0)

    def _give_cookie(
        self, answer: Response, connection: HTTPConnection, keep_sec: int = COOKIE_SEC
    ) -> Response:
        """``keep_sec``: 0 takes it away."""
        cookie = (
            f"{COOKIE}={self._keys.new_cookie() if keep_sec else ''}; Path=/; HttpOnly; Max-Age={keep_sec}"
        )
        # A Space is shown inside a frame of another site: there only a partitioned cookie is kept.
        cookie += "; SameSite=None; Secure; Partitioned" if is_encrypted(connection) else "; SameSite=Lax"
        answer.headers.append("set-cookie", cookie)
        answer.headers["cache-control"] = "no-store"
        return answer

    def _open_door(self, kind: str, path: str) -> PublicRoute | None:
        return next((door for door in self._open_doors if door.fits(kind, path)), None)

    def _other_methods(self, path: str) -> set[str]:
        """Those that would find a door open."""
        kinds = {kind for door in self._open_doors for kind in door.kinds if door.fits(kind, path)}
        return kinds - {"WEBSOCKET"}


def _later(error: TooManyFailures) -> Refusal:
    return Refusal(429, str(error), {"Retry-After": str(error.wait_sec)})


def _go_to(location: str) -> Response:
    return Response(status_code=303, headers={"Location": location})


def _same_place(scope: Scope) -> str:
    """Relative, since a proxy may have cut the path's beginning; ``take_shown`` has cut the password."""
    query: bytes = scope["query_string"]
    path: str = scope["path"]
    return f"./{quote(path.rpartition('/')[2])}" + (f"?{query.decode('latin-1')}" if query else "")


def _login_page(scope: Scope) -> str:
    """Where the page is, which asks for the password and leads back from there; relative as above."""
    path: str = scope["path"]
    query: bytes = scope["query_string"]
    asked = path[1:] + (f"?{query.decode('latin-1')}" if query else "")
    return f"{_to_root(scope)}?{NEXT}={quote(asked, safe='')}"


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


def _is_visit(connection: HTTPConnection) -> bool:
    """A person opens the address, and no script asks for it."""
    return _is_browser(connection) and connection.headers.get("sec-fetch-mode", "navigate") == "navigate"


def _is_browser(connection: HTTPConnection) -> bool:
    return "text/html" in connection.headers.get("accept", "")


async def _password_of(request: Request) -> str:
    """What a form gives as ``password``, or an empty text.

    Raises:
        HTTPException, MultiPartException, ValueError: this is no form, or a large or slow one.
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


async def _refuse(websocket: WebSocket, refusal: Refusal, code: int) -> None:
    """A program (no ``Origin``) sees the answer to its handshake, and need not come again. A browser tells a
    page nothing of that answer, so it is accepted first, and then closed with ``code`` and the sentence."""
    # A client that has left meanwhile shows as any of these, depending on when.
    with contextlib.suppress(WebSocketDisconnect, RuntimeError, OSError):
        if "origin" in websocket.headers:
            await websocket.accept()
            await websocket.close(code, refusal.sentence)
        elif DENIAL in websocket.scope.get("extensions", {}):
            await websocket.send_denial_response(refusal.answer())
        else:
            await websocket.close()  # before it was accepted: the server answers 403
