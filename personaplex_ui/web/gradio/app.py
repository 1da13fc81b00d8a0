"""Mounts Gradio's app and exposes only the parts that are needed.

Depends on the order of the middleware, not on the page's content.
"""

from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import gradio as gr
from fastapi import FastAPI
from gradio.utils import get_upload_folder
from starlette.middleware import Middleware

from personaplex_ui.compat.gradio import lead_below, mount_page
from personaplex_ui.web.gradio.bodies import GradioBodies
from personaplex_ui.web.gradio.failures import GradioFailures
from personaplex_ui.web.gradio.files import GradioFiles
from personaplex_ui.web.gradio.routes import GradioRoutes
from personaplex_ui.web.instance_path import called_below


def mount(app: FastAPI, page: gr.Blocks, server_url: str | None, **options: Any) -> None:
    """Mount ``page`` at "/". Call it last, because routes added later would not be found. ``server_url``: the
    public URL of this server; ``options``: for ``gr.mount_gradio_app``."""
    # The proxy strips a path in it. Without a path, links lead to the host the client asked for.
    root = server_url if server_url and urlsplit(server_url).path.strip("/") else None
    uploads = Path(get_upload_folder())
    middleware = [
        Middleware(GradioRoutes),
        Middleware(GradioFailures, page=page),
        Middleware(GradioFiles, uploads=uploads),
        Middleware(GradioBodies, page=page, uploads=uploads),
    ]
    mount_page(app, page, root, middleware, **options)
    lead_below(called_below)
