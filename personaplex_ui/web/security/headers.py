"""Security headers for every answer: content type, framing and referrer policy."""

from collections.abc import Iterable

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

SPACES = ("https://huggingface.co", "https://*.huggingface.co", "https://hf.co", "https://*.hf.space")
"""Sites that show Spaces in a frame."""


class SecurityHeaders:
    """The outermost ASGI middleware. ``allowed_origins``: sites that may show our pages in a frame, besides
    our own and those of Spaces; ``*`` for all."""

    def __init__(self, app: ASGIApp, allowed_origins: Iterable[str] = ()) -> None:
        self._app = app
        framing = " ".join(["frame-ancestors 'self'", *SPACES, *allowed_origins])
        self._headers = {
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "same-origin",
            **({} if "*" in allowed_origins else {"Content-Security-Policy": framing}),
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message.setdefault("headers", [])
                headers = MutableHeaders(raw=message["headers"])
                for name, value in self._headers.items():
                    headers.setdefault(name, value)
            await send(message)

        await self._app(scope, receive, with_headers)
