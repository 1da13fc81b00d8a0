"""Gradio's app as this server lets it be seen: mounted, with only what is needed of it.

Knows in which order Gradio's app is wrapped, and nothing of what the page shows.
"""

# Gradio is typed in part only:
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import gradio as gr
from fastapi import FastAPI
from gradio.routes import App
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse
from starlette.routing import Mount
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from personaplex_ui.web.gradio.bodies import GradioBodies
from personaplex_ui.web.gradio.files import GradioFiles
from personaplex_ui.web.gradio.routes import GradioRoutes
from personaplex_ui.web.gradio.streams import GradioStreams

FAILED = "Something failed on our side. Please reload the page and try again."


def mount(app: FastAPI, page: gr.Blocks, server_url: str | None, **options: Any) -> None:
    """Mount ``page`` at "/", last: routes added later would not be found. ``server_url``: where the outside
    reaches this server; ``options``: of ``gr.mount_gradio_app``."""
    # A path in it is cut off by the proxy. Without one, whoever asks is answered at the host that they asked.
    root = server_url if server_url and urlsplit(server_url).path.strip("/") else None
    gr.mount_gradio_app(app, page, path="/", root_path=root, **options)
    gradio = next(
        route.app for route in app.routes if isinstance(route, Mount) and isinstance(route.app, App)
    )
    gradio.debug = False  # Gradio sets it: tracebacks would be shown to everybody
    uploads = Path(gradio.uploaded_file_dir)
    # Between Gradio's own: outside is what tells pages of other sites that they may read the answers; inside,
    # what compresses, because parts of a file cannot be.
    compressing, telling = gradio.user_middleware
    gradio.user_middleware = [
        telling,
        Middleware(GradioRoutes),
        Middleware(GradioFailures),
        Middleware(GradioFiles, uploads=uploads),
        Middleware(GradioStreams, page=page),
        Middleware(GradioBodies, page=page, uploads=uploads),
        compressing,
    ]


class GradioFailures:
    """An ASGI middleware: who asked is told a sentence if nothing was sent yet. The log tells more."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        has_begun = False

        async def noted(message: Message) -> None:
            nonlocal has_begun
            has_begun = True
            await send(message)

        try:
            await self._app(scope, receive, noted)
        except ClientDisconnect:
            return  # nobody is there to be told
        except Exception:
            if scope["type"] == "http" and not has_begun:
                await JSONResponse({"detail": FAILED}, 500)(scope, receive, send)
            raise
