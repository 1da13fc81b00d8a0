"""A second small server on its own port, for an app that is reached only through a tunnel.

It runs on the event loop of the main server, whose signals and lifespan it leaves alone.
"""

import asyncio
import contextlib
import logging
import socket
from collections.abc import AsyncGenerator, Generator
from typing import Any

import uvicorn

from personaplex_ui.errors import PhoneUnavailable

log = logging.getLogger(__name__)

WS_MAX_BYTES = 2**20
WS_PING_SEC = 20.0
MOST_CONNECTIONS = 256
"""Beyond that, the server answers 503."""

CONNECTIONS_CLOSE_WITHIN_SEC = 1
ENDS_WITHIN_SEC = 2.0

NO_PORT = "No port of this machine could be opened for the telephone. End other servers, and try again."


@contextlib.contextmanager
def listening() -> Generator[socket.socket]:
    """A free port of 127.0.0.1 that accepts connections, though nothing answers them before ``serving``.

    Raises:
        PhoneUnavailable: there is none.
    """
    # The protocol is given because otherwise asyncio does not disable Nagle's algorithm, which delays sound.
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        try:
            listener.bind(("127.0.0.1", 0))
            listener.listen(MOST_CONNECTIONS)
        except OSError as error:
            raise PhoneUnavailable(NO_PORT) from error
        yield listener


@contextlib.asynccontextmanager
async def serving(app: Any, listener: socket.socket) -> AsyncGenerator[asyncio.Task[None]]:
    """Serve the ASGI app ``app``; yields the task that ends when the server does, for any reason."""
    config = uvicorn.Config(
        app,
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        limit_concurrency=MOST_CONNECTIONS,
        ws_max_size=WS_MAX_BYTES,
        ws_ping_interval=WS_PING_SEC,
        timeout_graceful_shutdown=CONNECTIONS_CLOSE_WITHIN_SEC,
    )
    server = _Server(config)
    task = asyncio.create_task(server.serve([listener]), name="second server")
    task.add_done_callback(_log_failure)
    try:
        yield task
    finally:
        server.should_exit = True
        if not (await asyncio.wait([task], timeout=ENDS_WITHIN_SEC))[0]:
            task.cancel()


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        yield  # they belong to the main server


def _log_failure(done: asyncio.Task[None]) -> None:
    if not done.cancelled() and done.exception() is not None:
        log.error("The telephone's server failed.", exc_info=done.exception())
