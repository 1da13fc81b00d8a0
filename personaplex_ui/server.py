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
from personaplex_ui.echo.model import EchoModel
from personaplex_ui.engine.speech_model import SpeechModel
from personaplex_ui.engine.worker import Engine, ReportLoading
from personaplex_ui.errors import EngineUnavailable, SettingsError
from personaplex_ui.settings import EngineChoice, Settings
from personaplex_ui.transports.preview import Previews
from personaplex_ui.transports.turn import IceServers, choose_source
from personaplex_ui.transports.webrtc import BrowserCalls
from personaplex_ui.ui.api import PageApi
from personaplex_ui.ui.blocks import PageOptions, build_page
from personaplex_ui.ui.callbacks import PageCallbacks
from personaplex_ui.voices import CATALOGUE_PATH, load_catalogue
from personaplex_ui.web.routes import build_router
from personaplex_ui.web.visitor import VisitorMiddleware

log = logging.getLogger(__name__)

SPARE_CONNECTIONS = 16
"""WebRTC connections beyond lines and queue: calls that just end, and those that are refused with words."""


def build_app(settings: Settings) -> FastAPI:
    """The whole app. Nothing is loaded or started before its lifespan begins.

    Raises:
        SettingsError: the default voice is not in the catalogue.
    """
    voices = load_catalogue(CATALOGUE_PATH)
    names = [voice.name for voice in voices]
    if settings.default_voice_prompt not in names:
        raise SettingsError(
            f"DEFAULT_VOICE_PROMPT is {settings.default_voice_prompt!r}, but there is no such voice. "
            f"Use one of {', '.join(names)}."
        )
    load = functools.partial(load_model, settings, names)
    engine = Engine(load, settings.max_calls, settings.max_waiting)
    archive = Archive(settings.recordings_dir, settings.recordings_keep_hours * 3600, time.time)
    switchboard = Switchboard(engine, archive, settings.max_call_seconds)
    previews = Previews(switchboard, names, settings.default_text_prompt)

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
    app.include_router(build_router(switchboard, previews, voices, settings.default_voice_prompt))
    callbacks = PageCallbacks(BrowserCalls(switchboard), previews, names)
    hf_token = settings.hf_token.reveal() if settings.hf_token else None
    options = PageOptions(
        voices,
        settings.default_voice_prompt,
        settings.default_text_prompt,
        settings.max_calls + settings.max_waiting + SPARE_CONNECTIONS,
        IceServers(choose_source(settings.ice_servers, settings.space_id, hf_token)),
    )
    page = build_page(
        callbacks,
        PageApi(switchboard, voices, settings.default_voice_prompt, settings.max_call_seconds),
        options,
    )
    app.state.page = page
    # Mounted last: routes added after the page at "/" would not be found.
    return gr.mount_gradio_app(
        app, page, path="/", max_file_size=f"{settings.max_upload_mb}mb", show_error=True, ssr_mode=False
    )


def load_model(settings: Settings, voices: list[str], report: ReportLoading) -> SpeechModel:
    """Runs in the engine's thread.

    Raises:
        EngineUnavailable: the engine that was asked for is not part of this version.
    """
    if settings.engine is EngineChoice.PERSONAPLEX:
        raise EngineUnavailable("This version has the echo engine only. Set ENGINE=echo, or leave it out.")
    report("Starting the echo engine.", 0.0)
    return EchoModel(settings.max_calls, voices)


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
