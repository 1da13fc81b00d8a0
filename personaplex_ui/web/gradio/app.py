"""Gradio's app as this server lets it be seen: mounted, with only what is needed of it.

Knows in which order Gradio's app is wrapped, and nothing of what the page shows.
"""

from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import gradio as gr
from fastapi import FastAPI
from gradio.utils import get_upload_folder
from starlette.middleware import Middleware

from personaplex_ui.compat.gradio import mount_page
from personaplex_ui.web.gradio.bodies import GradioBodies
from personaplex_ui.web.gradio.failures import GradioFailures
from personaplex_ui.web.gradio.files import GradioFiles
from personaplex_ui.web.gradio.routes import GradioRoutes


def mount(app: FastAPI, page: gr.Blocks, server_url: str | None, **options: Any) -> None:
    """Mount ``page`` at "/", last: routes added later would not be found. ``server_url``: where the outside
    reaches this server; ``options``: of ``gr.mount_gradio_app``."""
    # A path in it is cut off by the proxy. Without one, whoever asks is answered at the host that they asked.
    root = server_url if server_url and urlsplit(server_url).path.strip("/") else None
    uploads = Path(get_upload_folder())
    middleware = [
        Middleware(GradioRoutes),
        Middleware(GradioFailures, page=page),
        Middleware(GradioFiles, uploads=uploads),
        Middleware(GradioBodies, page=page, uploads=uploads),
    ]
    mount_page(app, page, root, middleware, **options)
