"""Serves the app in this process until a signal comes, and shuts down in order."""

import asyncio
import contextlib
import logging
import os
import threading
import time
from collections.abc import Callable, Generator, Iterable
from typing import NoReturn

import uvicorn

from personaplex_ui import __version__
from personaplex_ui.app.bootstrap import build_app
from personaplex_ui.app.connection_limits import ConnectionLimits
from personaplex_ui.app.open_files import BACKLOG, most_connections, raise_limit
from personaplex_ui.app.process_end import end_process, run_exit_handlers
from personaplex_ui.app.quiet_shutdown import QuietShutdown
from personaplex_ui.app.restart import ProcessRestart
from personaplex_ui.app.services import Services
from personaplex_ui.app.signals import ShutdownSignals
from personaplex_ui.app.sockets import address_shown, listen
from personaplex_ui.app.uvicorn_protocol import MAX_HEAD_BYTES, limited_protocol
from personaplex_ui.calls.snapshot import Transport
from personaplex_ui.config.settings import LogFormat, Settings
from personaplex_ui.logs.formats import configure_logging
from personaplex_ui.logs.rate_limit import limit_repeated_records

log = logging.getLogger(__name__)

MAX_MESSAGE_BYTES = 1024 * 1024
"""The largest websocket message; each protocol sets a tighter limit of its own, or allows more (Realtime)."""

PING_EVERY_SEC = 20.0

CLOSED_WITHIN_SEC = 3.6
GOODBYES_ARRIVE_SEC = 0.3
TWILIO_ASKS_WITHIN_SEC = 1.2
"""Twilio asks what to say when a stream has ended; without an answer, callers hear "application error"."""

CONNECTIONS_CLOSE_WITHIN_SEC = 1

GONE_WITHIN_SEC = 8.0
"""A thread that never returns would keep the process for minutes; Docker and Cloud Run kill it after 10 s."""


class Server(uvicorn.Server):
    """Uvicorn, except that calls may go on for DRAIN_SECONDS and then end with a sentence, and a borrowed
    phone number is returned, before connections close. ``restart``: set if the process is to be restarted
    afterwards."""

    restart: ProcessRestart | None = None

    def __init__(self, config: uvicorn.Config, services: Services, limits: ConnectionLimits) -> None:
        super().__init__(config)
        self._services = services
        self._limits = limits
        self._quiet = QuietShutdown(
            services.call_manager, services.settings.drain_seconds, services.drain_sec
        )

    async def on_tick(self, counter: int) -> bool:
        """Called ten times a second while serving."""
        if counter % 10 == 0:
            self._limits.drop_overdue()
        if self._quiet.is_over():
            self._end_by(_give_up)
        return await super().on_tick(counter)

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        # Uvicorn does not handle SIGHUP, and raises caught signals again when it is done, which would end the
        # process before it has cleaned up.
        with self._quiet.asked_by_signal(), ShutdownSignals(self.end_orderly).caught():
            yield

    def end_orderly(self) -> bool:
        """Begin to shut down, quietly if calls may go on; the next time, at once. Returns whether there may
        be a next time. Called in a signal handler."""
        self.restart = None
        if not self.should_exit and self._quiet.ask():
            return True
        self._end_by(_give_up)
        return False

    def restart_process(self, why: str) -> str:
        """Shut down and have ``serve`` restart the process. Returns why not, if a restart is not allowed."""
        if self._quiet.is_asked:
            self._end_by(_give_up)
            return ""
        restart = ProcessRestart()
        if why_not := restart.why_not():
            log.error("%s %s", why, why_not)
            return why_not
        log.error("%s Shutting down and restarting the server.", why)
        self.restart = restart
        self._end_by(self._restart_at_last)
        return ""

    def _restart_at_last(self) -> None:
        if self.restart is None:  # a signal arrived meanwhile
            _give_up()
        else:
            self.restart.execute()

    def _end_by(self, last_resort: Callable[[], None]) -> None:
        self.should_exit = True
        deadline = threading.Timer(GONE_WITHIN_SEC, last_resort)
        deadline.daemon = True
        deadline.start()

    async def shutdown(self, sockets: list[object] | None = None) -> None:  # type: ignore[override]
        calls = self._services.call_manager.calls
        log.info("Shutting down and telling %d calls. A second signal ends the server at once.", len(calls))
        phones = any(call.transport is Transport.TWILIO for call in calls.values())
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CLOSED_WITHIN_SEC):
                await self._services.end_calls()
        await asyncio.sleep(TWILIO_ASKS_WITHIN_SEC if phones else GOODBYES_ARRIVE_SEC)
        await super().shutdown()


def _give_up() -> None:
    log.error("Not everything could be closed within %.0f s; ending the process anyway.", GONE_WITHIN_SEC)
    os._exit(1)


def serve(settings: Settings, notes: Iterable[str] = ()) -> NoReturn:
    """Build the app and serve it until SIGTERM, SIGINT or SIGHUP, and end the process. ``notes`` are logged
    first.

    Raises:
        SettingsError: ``build_app`` refuses them, or the server cannot listen on the host and port.
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
        proxy_headers=False,  # ProxyHeaders reads them
        ws_max_size=MAX_MESSAGE_BYTES,
        ws_ping_interval=PING_EVERY_SEC,
        ws_per_message_deflate=False,  # Opus does not shrink
    )
    sockets = listen(settings.host, settings.port)
    log.info("personaplex_ui %s on %s", __version__, address_shown(settings.host, settings.port))
    services: Services = app.state.services
    server = Server(config, services, limits)
    services.engine.restart_process = server.restart_process
    services.engine.process_restarted = ProcessRestart().has_happened
    server.run(sockets)
    if server.restart is not None:
        run_exit_handlers()
        server.restart.execute()
    end_process(0)
