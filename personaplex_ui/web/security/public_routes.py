"""The doors that need no pass, and what strangers see through them.

Knows paths and answers; who has a pass is the ``wall``'s business.
"""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from personaplex_ui.web.gradio.login import login_page


@dataclass(frozen=True, slots=True)
class PublicRoute:
    """Needs no pass. ``path`` must match as a whole; ``edit`` leaves of an answer what strangers may see."""

    kinds: tuple[str, ...]
    path: str
    edit: Callable[[bytes], bytes] | None = None

    def fits(self, kind: str, path: str) -> bool:
        """``kind``: the method of a request, or WEBSOCKET."""
        return kind in self.kinds and re.fullmatch(self.path, path) is not None

    async def serve(self, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        """Let ``app`` answer, and edit what it says."""
        edit = self.edit
        if edit is None:
            await app(scope, receive, send)
            return
        start: Message = {}
        body = b""

        async def edited(message: Message) -> None:
            nonlocal start, body
            if message["type"] == "http.response.start":
                start = message
                return
            body += message.get("body", b"")
            if message.get("more_body"):
                return
            said = edit(body)
            MutableHeaders(raw=start["headers"])["content-length"] = str(len(said))
            await send(start)
            await send({"type": "http.response.body", "body": said})

        # Compressed, it could not be edited.
        scope["headers"] = [(name, value) for name, value in scope["headers"] if name != b"accept-encoding"]
        await app(scope, receive, edited)


def status_only(body: bytes) -> bytes:
    """What strangers are told of our health."""
    try:
        status: object = json.loads(body)["status"]
    except (ValueError, KeyError, TypeError):
        status = "unknown"  # the request was refused
    return json.dumps({"status": status}).encode()


OPEN_DOORS = (
    PublicRoute(("GET",), "/health", status_only),
    # Gradio's login page, and what it loads: files of Gradio itself, the same everywhere, and our colours.
    PublicRoute(("GET", "HEAD"), "/", login_page),
    PublicRoute(("GET",), r"/(assets|static)/.+|/theme\.css|/favicon\.ico|/robots\.txt|/manifest\.json"),
    # Twilio cannot log in. These check its signature, and tokens of our own.
    PublicRoute(("POST",), "/twilio/(inbound|ended|status|outbound/answered)"),
    PublicRoute(("WEBSOCKET",), "/twilio/media-stream"),
)
