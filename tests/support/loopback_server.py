"""An ASGI app on 127.0.0.1, in the test's own event loop, with the limits that the app's server has."""

import contextlib
from collections.abc import AsyncGenerator

import uvicorn
from starlette.types import ASGIApp


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
