"""Answers with a sentence where Gradio fails, or would begin an answer and then fail."""

import json
import logging
from urllib.parse import parse_qs

import gradio as gr
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from personaplex_ui.compat.gradio import is_waited_for
from personaplex_ui.web.gradio.routes import OF_EVENT, OF_SESSION, UPLOAD

log = logging.getLogger(__name__)

FAILED = "Something failed on our side. Please reload the page and try again."
RELOAD = "The server has been restarted since this page was opened. Please reload the page."
NO_EVENT = "There is no such event. It is over, or its answer was already fetched."
NO_FORM = "This upload cannot be read. Send the file in the field “files” of a form (multipart/form-data)."


class GradioFailures:
    """An ASGI middleware around Gradio's app. ``page``: holds the sessions and events."""

    def __init__(self, app: ASGIApp, page: gr.Blocks) -> None:
        self._app = app
        self._page = page

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        has_begun = False

        async def noted(message: Message) -> None:
            nonlocal has_begun
            has_begun = True
            await send(message)

        if scope["type"] == "http" and scope["method"] == "GET" and (answer := self._of_nothing(scope)):
            await answer(scope, receive, send)
            return
        try:
            await self._app(scope, receive, noted)
        except ClientDisconnect:
            return  # nobody is left to answer
        except Exception as error:
            if scope["type"] != "http" or has_begun:
                raise
            if scope["path"] == UPLOAD:  # Gradio's parser may raise anything for malformed input
                log.info("An upload could not be read: %s", type(error).__name__)
                await PlainTextResponse(NO_FORM, 400)(scope, receive, send)
                return
            await JSONResponse({"detail": FAILED}, 500)(scope, receive, send)
            raise  # for the log

    def _of_nothing(self, scope: Scope) -> Response | None:
        """The answer to a request for a stream that has nothing to send."""
        path: str = scope["path"]
        if path == OF_SESSION:
            session = parse_qs(scope["query_string"].decode("latin-1")).get("session_hash", [""])[0]
            if is_waited_for(self._page, session):
                return None
            message = {"msg": "unexpected_error", "message": RELOAD, "session_not_found": True}
            text = f"data: {json.dumps(message | {'success': False})}\n\n"
            return Response(text, media_type="text/event-stream")
        if path.startswith(OF_EVENT) and not is_waited_for(self._page, path.rpartition("/")[2]):
            return JSONResponse({"detail": NO_EVENT}, 404)
        return None
