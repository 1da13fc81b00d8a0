"""One process among several behind one address: it answers at its usual paths, and also below a path of its
own, so that what belongs to its calls comes back to it.

The path is taken off here, so that nothing else knows of it but what gives addresses out.
"""

import re
from urllib.parse import quote

from starlette.requests import HTTPConnection
from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from personaplex_ui.web.twilio_paths import FOLLOWING

SCOPE_KEY = "personaplex_ui.instance"

OF_ANY = re.compile(f"(/[A-Za-z0-9-]{{1,40}})(?:{'|'.join(map(re.escape, FOLLOWING))})")
"""What Twilio asks later goes to any process if its own is gone: callers then hear a sentence instead of
"application error"."""


class InstancePath:
    """An ASGI middleware outside of all that look at paths. ``path``: as in ``/gpu-1``; empty where there
    are no others."""

    def __init__(self, app: ASGIApp, path: str) -> None:
        self._app = app
        self._path = path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        app = self._app
        if self._path and scope["type"] in ("http", "websocket"):
            if scope["type"] == "http" and scope["path"] == self._path:
                app = _to_folder(scope)
            else:
                self._take_off(scope)
        await app(scope, receive, send)

    def _take_off(self, scope: Scope) -> None:
        # In place, since the server shares this dictionary, in which a password is hidden from its log later.
        path: str = scope["path"]
        of_any = OF_ANY.fullmatch(path)
        called = self._path if path.startswith(f"{self._path}/") else of_any[1] if of_any else ""
        scope[SCOPE_KEY] = (self._path, called)
        if called:
            scope["path"] = path[len(called) :]
            scope["raw_path"] = quote(scope["path"]).encode()


def _to_folder(scope: Scope) -> RedirectResponse:
    """The page's links are relative to a folder."""
    query = scope["query_string"].decode("latin-1")
    return RedirectResponse(f"{scope['path'].removeprefix('/')}/" + (f"?{query}" if query else ""))


def instance_path(connection: HTTPConnection) -> str:
    """Below which this process is reached among several; empty where there are no others."""
    return _told(connection.scope)[0]


def called_below(scope: Scope) -> str:
    """The path that was taken off this request; empty for none."""
    return _told(scope)[1]


def _told(scope: Scope) -> tuple[str, str]:
    told: tuple[str, str] = scope.get(SCOPE_KEY, ("", ""))
    return told
