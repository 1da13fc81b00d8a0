"""Puts the parts, the routes and the page together into one app, and serves it. Decides nothing else."""

import asyncio
import contextlib
import functools
import gc
import logging
import os
import threading
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Iterable

import gradio as gr
import uvicorn
from fastapi import FastAPI

from personaplex_ui import __version__
from personaplex_ui.app.bootstrap import AppParts
from personaplex_ui.app.connection_limits import ConnectionLimits
from personaplex_ui.app.open_files import BACKLOG, most_connections, raise_limit
from personaplex_ui.app.restart import ProcessRestart
from personaplex_ui.app.signals import ShutdownSignals
from personaplex_ui.app.sockets import address_shown, listen
from personaplex_ui.app.uvicorn_protocol import MAX_HEAD_BYTES, limited_protocol
from personaplex_ui.calls.manager import CallManager
from personaplex_ui.calls.snapshot import Transport
from personaplex_ui.channels.browser.handler import BrowserCalls
from personaplex_ui.channels.browser.ice_servers import choose_ice_servers
from personaplex_ui.channels.clips.routes import build_preview_router
from personaplex_ui.compat.gradio import forget_idle_sessions
from personaplex_ui.compat.library_output import log_what_libraries_print
from personaplex_ui.config.settings import LogFormat, Settings
from personaplex_ui.doctor.examine import KeptReport, examine_server
from personaplex_ui.doctor.probes import Probes
from personaplex_ui.engine.engine import Engine, EngineState
from personaplex_ui.errors import EngineUnavailable
from personaplex_ui.logs.formats import configure_logging
from personaplex_ui.logs.rate_limit import limit_repeated_records
from personaplex_ui.ui.api import PageApi
from personaplex_ui.ui.blocks import PageOptions, build_page
from personaplex_ui.ui.callbacks import PageCallbacks
from personaplex_ui.ui.phone_callbacks import PhoneCallbacks
from personaplex_ui.ui.status_tab import StatusSources
from personaplex_ui.web.api_docs import add_api_docs
from personaplex_ui.web.gradio.app import mount
from personaplex_ui.web.routes import build_router
from personaplex_ui.web.security.session_cookie import SessionCookieMiddleware

log = logging.getLogger(__name__)

SPARE_CONNECTIONS = 32
"""WebRTC connections beyond lines and queue: calls that just end, and those that are refused with words."""

MAX_MESSAGE_BYTES = 1024 * 1024
"""Of a websocket; each protocol has a tighter limit of its own."""

PING_EVERY_SEC = 20.0
LOOK_FOR_MODEL_EVERY_SEC = 0.5


def build_app(settings: Settings) -> FastAPI:
    """The whole app. Nothing is loaded or started before its lifespan begins.

    Raises:
        SettingsError: a default, a folder or what is said of the telephone cannot be used.
    """
    log_what_libraries_print()
    parts = AppParts(settings)
    endpoints = parts.endpoints
    app = FastAPI(
        title="personaplex_ui",
        version=__version__,
        description="Talk with NVIDIA PersonaPlex. The page is at `/`; `gradio_client` sees `/voices`, "
        "`/presets` and `/converse`; the websocket `/api/chat` is described in docs/PROTOCOLS.md.",
        lifespan=functools.partial(_lifespan, parts),
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
    )
    app.state.call_manager = parts.call_manager
    app.state.endpoints = endpoints
    app.add_middleware(SessionCookieMiddleware)
    app.include_router(build_router(parts.call_manager, parts.voices))
    app.include_router(build_preview_router(parts.previews, parts.voices))
    endpoints.add_to(app)
    add_api_docs(app, settings.server_url, endpoints.credentials.are_needed)
    app.state.page = _build_page(settings, parts)
    mount(
        app,
        app.state.page,
        settings.server_url,
        max_file_size=f"{settings.max_upload_mb}mb",
        show_error=True,
        ssr_mode=False,
    )
    return app


@contextlib.asynccontextmanager
async def _lifespan(parts: AppParts, app: FastAPI) -> AsyncGenerator[None]:
    async with parts.running():
        tasks = [
            asyncio.create_task(forget_idle_sessions(app.state.page)),
            asyncio.create_task(_warn_of_misfits(parts)),
            asyncio.create_task(_keep_collections_short_for_good(parts.engine)),
        ]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            gc.unfreeze()


async def _warn_of_misfits(parts: AppParts) -> None:
    await until_loaded(parts.engine)
    with contextlib.suppress(EngineUnavailable):  # it is closed already
        await parts.warn_of_misfits(parts.engine.model)


def _build_page(settings: Settings, parts: AppParts) -> gr.Blocks:
    call_manager, voices, endpoints = parts.call_manager, parts.voices, parts.endpoints
    hf_token = settings.hf_token.get_secret_value() if settings.hf_token else None
    options = PageOptions(
        voices,
        settings.default_text_prompt,
        settings.max_calls + settings.max_waiting + SPARE_CONNECTIONS,
        choose_ice_servers(settings.ice_servers, settings.space_id, hf_token),
    )
    probes = Probes()
    report = KeptReport(lambda: examine_server(settings, probes, endpoints.metrics.status()))
    return build_page(
        PageCallbacks(BrowserCalls(call_manager), parts.previews, voices, parts.load_model, parts.load_echo),
        PhoneCallbacks(endpoints.phone, endpoints.number, endpoints.credentials, settings.phone_record),
        PageApi(call_manager, voices, settings.max_call_seconds),
        StatusSources(
            endpoints.metrics.status,
            report.get,
            endpoints.credentials.are_needed,
            settings.server_url is not None,
        ),
        options,
    )


class Server(uvicorn.Server):
    """Uvicorn, but calls end with words and a lent phone number goes back before connections are closed.
    ``restart``: set when the process is to start anew after that."""

    restart: ProcessRestart | None = None

    def __init__(self, config: uvicorn.Config, limits: ConnectionLimits) -> None:
        super().__init__(config)
        self._limits = limits

    async def on_tick(self, counter: int) -> bool:
        """Ten times a second while it serves."""
        if counter % 10 == 0:
            self._limits.drop_overdue()
        return await super().on_tick(counter)

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        # Uvicorn knows no SIGHUP, and passes the signal on when it is done, which would end the process
        # before it has tidied up.
        with ShutdownSignals(self.end_orderly).caught():
            yield

    def end_orderly(self) -> None:
        """Begin to shut down, in a signal handler."""
        self.restart = None
        self._end_by(_give_up)

    def start_anew(self, why: str) -> str:
        """Shut down, and have ``serve`` start the process anew. Returns why it does not, if it may not."""
        restart = ProcessRestart()
        if why_not := restart.why_not():
            log.error("%s %s", why, why_not)
            return why_not
        log.error("%s The server shuts down and starts anew.", why)
        self.restart = restart
        self._end_by(self._start_anew_at_last)
        return ""

    def _start_anew_at_last(self) -> None:
        if self.restart is None:  # a signal came meanwhile
            _give_up()
        else:
            self.restart.start_anew()

    def _end_by(self, last_resort: Callable[[], None]) -> None:
        self.should_exit = True
        deadline = threading.Timer(GONE_WITHIN_SEC, last_resort)
        deadline.daemon = True
        deadline.start()

    async def shutdown(self, sockets: list[object] | None = None) -> None:  # type: ignore[override]
        app = self.config.app
        if isinstance(app, FastAPI):
            call_manager: CallManager = app.state.call_manager
            log.info(
                "The server ends; %d calls are told. A second signal ends it at once.",
                len(call_manager.calls),
            )
            phones = any(call.transport is Transport.TWILIO for call in call_manager.calls.values())
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(CLOSED_WITHIN_SEC):
                    await _close_all(call_manager.close(), app.state.endpoints.close())
            await asyncio.sleep(TWILIO_ASKS_WITHIN_SEC if phones else GOODBYES_ARRIVE_SEC)
        await super().shutdown()


CLOSED_WITHIN_SEC = 3.6
GOODBYES_ARRIVE_SEC = 0.3
TWILIO_ASKS_WITHIN_SEC = 1.2
"""What to say to a caller whose stream has ended; asked in vain, it would speak of an application error."""

CONNECTIONS_CLOSE_WITHIN_SEC = 1

GONE_WITHIN_SEC = 8.0
"""Whatever hangs: a thread that never returns would keep the process for minutes. Docker and Cloud Run kill
it after 10 s."""


async def keep_collections_short(engine: Engine) -> None:
    """Have Python's garbage collector pass over what is there to stay: page, libraries, and then the model.

    A full collection looks at all of it, some 215,000 objects, and stops every thread for 150 ms (measured):
    two frames of every call come late.
    """
    gc.collect()
    gc.freeze()
    await until_loaded(engine)
    gc.collect()
    gc.freeze()


async def _keep_collections_short_for_good(engine: Engine) -> None:
    """Also of a model that is loaded later. What an earlier one held is unfrozen by who loads it."""
    while engine.state is not EngineState.DRAINING:
        restarts = engine.restarts
        await keep_collections_short(engine)
        while engine.state is EngineState.READY and engine.restarts == restarts:  # noqa: ASYNC110
            await asyncio.sleep(LOOK_FOR_MODEL_EVERY_SEC)


async def until_loaded(engine: Engine) -> None:
    """Wait until a model is ready, or the server ends."""
    while engine.state not in (EngineState.READY, EngineState.DRAINING):  # noqa: ASYNC110  it has no event
        await asyncio.sleep(LOOK_FOR_MODEL_EVERY_SEC)


async def _close_all(*closing: Awaitable[None]) -> None:
    for failed in await asyncio.gather(*closing, return_exceptions=True):
        if isinstance(failed, Exception):
            log.error("Not everything could be closed.", exc_info=failed)


def _give_up() -> None:
    log.error("Not everything could be closed within %.0f s; the process ends all the same.", GONE_WITHIN_SEC)
    os._exit(1)


def serve(settings: Settings, notes: Iterable[str] = ()) -> None:
    """Build the app and serve it until SIGTERM, SIGINT or SIGHUP. ``notes`` go to the log first.

    Raises:
        SettingsError: what ``build_app`` refuses, or nobody can listen at the host and the port.
    """
    configure_logging(settings.log_level, settings.log_format is LogFormat.JSON)
    for note in notes:
        log.warning("%s", note)
    limit_repeated_records()
    limits = ConnectionLimits(most_connections(raise_limit()), time.monotonic)
    app = build_app(settings)
    config = uvicorn.Config(
        app,
        http=limited_protocol(limits),
        h11_max_incomplete_event_size=MAX_HEAD_BYTES,
        backlog=BACKLOG,
        host=settings.host,
        port=settings.port,
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=CONNECTIONS_CLOSE_WITHIN_SEC,
        proxy_headers=False,  # AddressMiddleware reads them
        ws_max_size=MAX_MESSAGE_BYTES,
        ws_ping_interval=PING_EVERY_SEC,
        ws_per_message_deflate=False,  # Opus does not shrink
    )
    sockets = listen(settings.host, settings.port)
    log.info("personaplex_ui %s on %s", __version__, address_shown(settings.host, settings.port))
    server = Server(config, limits)
    engine: Engine = app.state.call_manager.engine
    engine.start_anew, engine.has_started_anew = server.start_anew, ProcessRestart().has_happened
    server.run(sockets)
    if server.restart is not None:
        server.restart.start_anew()
