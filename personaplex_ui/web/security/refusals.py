"""Refusals for clients that may not come in: in JSON, on a page, on the login page, or in a close frame.

Depends on requests and sentences, not on secrets.
"""

import contextlib
from dataclasses import dataclass, field
from urllib.parse import parse_qs, quote

from starlette.requests import HTTPConnection, Request
from starlette.responses import JSONResponse, Response
from starlette.types import Scope
from starlette.websockets import WebSocket, WebSocketDisconnect

from personaplex_ui.web.security.credentials import Shown, TooManyFailures
from personaplex_ui.web.templates import page

NEXT = "next"
"""The query parameter with the address that was requested before the login."""
DENIAL = "websocket.http.response"
"""The ASGI extension for answering a handshake with a status and a body."""

# A websocket's close reason holds 123 bytes, so each of these is shorter.
NO_PASSWORD = (
    'This server asks for a password: log in on its page, or send "Authorization: Bearer ..." or ?password='
)
WRONG = "The password or key is wrong. Please check it and try again."
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
        """The login page, with the sentence unless no credentials were shown yet."""
        sentence = "" if self.sentence == NO_PASSWORD else self.sentence
        return self._completed(page("login", {"sentence": sentence, "query": query_of(scope)}, self.status))

    def _completed(self, answer: Response) -> Response:
        answer.headers.update({"Cache-Control": "no-store"} | self.headers)
        return answer


def later(error: TooManyFailures) -> Refusal:
    return Refusal(429, str(error), {"Retry-After": str(error.wait_sec)})


def refuse(refusal: Refusal, request: Request, shown: Shown) -> Response:
    """Browsers that open an address are sent to the login or get a page; others get JSON."""
    is_script = request.headers.get("sec-fetch-mode", "navigate") != "navigate"
    if request.method != "GET" or not is_browser(request) or is_script:
        return refusal.in_json()
    if refusal.status == 401 and not shown:
        return go_to(_login_page(request.scope))
    return refusal.as_page(request.scope)


def go_to(location: str) -> Response:
    return Response(status_code=303, headers={"Location": location})


def same_place(scope: Scope) -> str:
    """A relative address, since a proxy may have stripped a prefix; ``take_shown`` has removed the
    password."""
    path: str = scope["path"]
    return f"./{quote(path.rpartition('/')[2])}{query_of(scope)}"


def _login_page(scope: Scope) -> str:
    """The login page, which leads back to this address; relative as above."""
    asked = scope["path"][1:] + query_of(scope)
    return f"{_to_root(scope)}?{NEXT}={quote(asked, safe='')}"


def query_of(scope: Scope) -> str:
    query: bytes = scope["query_string"]
    return f"?{query.decode('latin-1')}" if query else ""


def _to_root(scope: Scope) -> str:
    path: str = scope["path"]
    return "../" * (path.count("/") - 1) or "./"


def place_before_login(scope: Scope) -> str:
    """The address requested before the login, or an empty string. Never on another host."""
    values = parse_qs(scope["query_string"].decode("latin-1"))
    path, mark, query = values.get(NEXT, [""])[0].partition("?")
    if not path or ".." in path.split("/") or path.startswith("/"):
        return ""
    return f"./{quote(path)}" + mark + quote(query, safe="=&%+,;:@/")


def is_browser(connection: HTTPConnection) -> bool:
    return "text/html" in connection.headers.get("accept", "")


async def refuse_websocket(websocket: WebSocket, refusal: Refusal, code: int) -> None:
    """A program (no ``Origin``) gets an answer to its handshake. Browsers hide that answer from pages, so
    their websocket is accepted first and then closed with ``code`` and the sentence."""
    # A client that has disconnected raises any of these, depending on the moment.
    with contextlib.suppress(WebSocketDisconnect, RuntimeError, OSError):
        if "origin" in websocket.headers:
            await websocket.accept()
            await websocket.close(code, refusal.sentence)
        elif DENIAL in websocket.scope.get("extensions", {}):
            await websocket.send_denial_response(refusal.in_json())
        else:
            await websocket.close()  # not accepted yet, so the server answers 403
