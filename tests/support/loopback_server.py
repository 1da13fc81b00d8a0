"""An ASGI app on 127.0.0.1, in the test's own event loop, with the limits that the app's server has; and the
Moshi websocket as such an app."""

import contextlib
from collections.abc import AsyncGenerator, Callable

import uvicorn
from fastapi import FastAPI, WebSocket
from starlette.types import ASGIApp

from personaplex_ui.calls.manager import CallManager
from personaplex_ui.calls.settings import CallSettings
from personaplex_ui.channels.moshi.query import parse_extensions
from personaplex_ui.channels.moshi.session import Caller, serve_chat


@contextlib.asynccontextmanager
async def serving(app: ASGIApp) -> AsyncGenerator[str]:
    """Yields the URL, ``http://127.0.0.1:...``."""
    config = uvicorn.Config(app, port=0, log_config=None, lifespan="off", ws_max_size=2**20)
    config.load()
    server = uvicorn.Server(config)
    server.lifespan = config.lifespan_class(config)
    await server.startup()
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        await server.shutdown()


@contextlib.asynccontextmanager
async def moshi_server(
    call_manager: CallManager, read_settings: Callable[[dict[str, str]], CallSettings]
) -> AsyncGenerator[str]:
    """The URL of a server that answers at any path. ``read_settings`` is given the query, less what asks for
    extensions."""
    app = FastAPI()

    @app.websocket("/{path:path}")
    async def chat(websocket: WebSocket) -> None:  # pyright: ignore[reportUnusedFunction]
        query = dict(websocket.query_params)
        extensions = parse_extensions(query)
        for name in ("state", "facts", "audio", "record", "captions"):
            query.pop(name, None)
        await serve_chat(websocket, call_manager, lambda: read_settings(query), Caller(), extensions)

    async with serving(app) as url:
        yield url
