"""Puts the parts together: engine, switchboard, page, routes; starts and stops them. Decides nothing else."""

import asyncio
import contextlib
import functools
import logging
import time
from collections.abc import AsyncGenerator

import gradio as gr
import uvicorn
from fastapi import FastAPI

from personaplex_ui import __version__
from personaplex_ui.calls.archive import Archive
from personaplex_ui.calls.switchboard import Switchboard
from personaplex_ui.engine.worker import Engine
from personaplex_ui.engine_choice import load_echo, load_speech_model
from personaplex_ui.errors import SettingsError
from personaplex_ui.settings import Settings
from personaplex_ui.transports.preview import Previews
from personaplex_ui.transports.turn import IceServers, choose_source
from personaplex_ui.transports.webrtc import BrowserCalls
from personaplex_ui.ui.api import PageApi
from personaplex_ui.ui.blocks import PageOptions, build_page
from personaplex_ui.ui.callbacks import PageCallbacks
from personaplex_ui.voices.catalogue import CATALOGUE_PATH, load_catalogue
from personaplex_ui.voices.library import VoiceLibrary
from personaplex_ui.web.routes import build_router
from personaplex_ui.web.visitor import VisitorMiddleware

log = logging.getLogger(__name__)

SPARE_CONNECTIONS = 16
"""WebRTC connections beyond lines and queue: calls that just end, and those that are refused with words."""


def build_app(settings: Settings) -> FastAPI:
    """The whole app. Nothing is loaded or started before its lifespan begins.

    Raises:
        SettingsError: there is no such voice as the default one.
    """
    folders = (*([settings.voices_dir] if settings.voices_dir else []), CATALOGUE_PATH.parent)
    default = settings.default_voice_prompt
    voices = VoiceLibrary(load_catalogue(CATALOGUE_PATH), folders, default)
    if default not in voices.names():
        raise SettingsError(
            f"DEFAULT_VOICE_PROMPT is {default!r}, but there is no such voice. "
            f"Use one of {', '.join(voices.names())}."
        )
    load = functools.partial(load_speech_model, settings, voices)
    engine = Engine(load, settings.max_calls, settings.max_waiting)
    archive = Archive(settings.recordings_dir, settings.recordings_keep_hours * 3600, time.time)
    switchboard = Switchboard(engine, archive, settings.max_call_seconds)
    previews = Previews(switchboard, voices, settings.default_text_prompt)

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncGenerator[None]:
        await engine.start()
        await switchboard.start()
        try:
            yield
        finally:
            await switchboard.close()
            await engine.close()

    app = FastAPI(
        title="personaplex_ui",
        version=__version__,
        description="Talk with NVIDIA PersonaPlex. The page is at `/`; `gradio_client` sees `/voices`, "
        "`/presets` and `/converse`.",
        lifespan=lifespan,
        redoc_url=None,
    )
    app.state.switchboard = switchboard
    app.add_middleware(VisitorMiddleware)
    app.include_router(build_router(switchboard, previews, voices))
    use_echo = functools.partial(load_echo, settings, voices)
    callbacks = PageCallbacks(BrowserCalls(switchboard), previews, voices, load, use_echo)
    hf_token = settings.hf_token.reveal() if settings.hf_token else None
    options = PageOptions(
        voices,
        settings.default_text_prompt,
        settings.max_calls + settings.max_waiting + SPARE_CONNECTIONS,
        IceServers(choose_source(settings.ice_servers, settings.space_id, hf_token)),
    )
    page = build_page(
        callbacks,
        PageApi(switchboard, voices, settings.max_call_seconds),
        options,
    )
    app.state.page = page
    # Mounted last: routes added after the page at "/" would not be found.
    return gr.mount_gradio_app(
        app, page, path="/", max_file_size=f"{settings.max_upload_mb}mb", show_error=True, ssr_mode=False
    )


class Server(uvicorn.Server):
    """Uvicorn, but calls end with words before connections are closed, not after."""

    async def shutdown(self, sockets: list[object] | None = None) -> None:  # type: ignore[override]
        app = self.config.app
        if isinstance(app, FastAPI):
            await app.state.switchboard.close()
            await asyncio.sleep(GOODBYES_ARRIVE_SEC)
        await super().shutdown()


GOODBYES_ARRIVE_SEC = 0.3
CONNECTIONS_CLOSE_WITHIN_SEC = 1


def _is_no_cancelled_request(record: logging.LogRecord) -> bool:
    # Each page holds a stream open; at the end uvicorn cancels them and logs each as an exception.
    return not (record.exc_info and isinstance(record.exc_info[1], asyncio.CancelledError))


def serve(settings: Settings) -> None:
    """Build the app and serve it until SIGTERM or SIGINT."""
    logging.basicConfig(
        level=settings.log_level.upper(), format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    logging.getLogger("aioice").setLevel(logging.WARNING)  # it logs the addresses of callers
    logging.getLogger("uvicorn.error").addFilter(_is_no_cancelled_request)
    app = build_app(settings)
    config = uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=CONNECTIONS_CLOSE_WITHIN_SEC,
        proxy_headers=True,
    )
    log.info("personaplex_ui %s on http://localhost:%d", __version__, settings.port)
    Server(config).run()
