"""Streams of events that nobody has: said in words at once, where Gradio begins an answer and then fails."""

# Gradio is typed in part only:
# pyright: reportUnknownMemberType=false, reportPrivateUsage=false

import json
from urllib.parse import parse_qs

import gradio as gr
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from personaplex_ui.web.gradio.bodies import RELOAD

NO_EVENT = "There is no such event. It is over, or its answer was fetched before."
OF_SESSION, OF_EVENT = "/gradio_api/queue/data", "/gradio_api/call/"


class GradioStreams:
    """An ASGI middleware around Gradio's app. ``page``: its sessions."""

    def __init__(self, app: ASGIApp, page: gr.Blocks) -> None:
        self._app = app
        self._page = page

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        answer = self._answer(scope) if scope["type"] == "http" and scope["method"] == "GET" else None
        await (answer or self._app)(scope, receive, send)

    def _answer(self, scope: Scope) -> Response | None:
        """To those who wait for nothing."""
        path: str = scope["path"]
        if path == OF_SESSION:
            values = parse_qs(scope["query_string"].decode("latin-1"))
            if self._is_waited_for(values.get("session_hash", [""])[0]):
                return None
            message = {
                "msg": "unexpected_error",
                "message": RELOAD,
                "session_not_found": True,
                "success": False,
            }
            return Response(f"data: {json.dumps(message)}\n\n", media_type="text/event-stream")
        if path.startswith(OF_EVENT) and not self._is_waited_for(path.rpartition("/")[2]):
            return JSONResponse({"detail": NO_EVENT}, 404)
        return None

    def _is_waited_for(self, name: str) -> bool:
        return name in self._page._queue.pending_messages_per_session
