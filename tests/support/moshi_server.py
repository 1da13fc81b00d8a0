"""The Moshi websocket by itself, without the app around it."""

import contextlib
from collections.abc import AsyncGenerator, Callable

from fastapi import FastAPI, WebSocket

from personaplex_ui.calls.manager import CallManager
from personaplex_ui.calls.settings import CallSettings
from personaplex_ui.channels.moshi.protocol import asks_for_state
from personaplex_ui.channels.moshi.session import serve_chat
from tests.support.loopback_server import serving


@contextlib.asynccontextmanager
async def moshi_server(
    call_manager: CallManager, read_settings: Callable[[dict[str, str]], CallSettings]
) -> AsyncGenerator[str]:
    """The URL of a server that answers at any path. ``read_settings`` is given the query, less ``state``."""
    app = FastAPI()

    @app.websocket("/{path:path}")
    async def chat(websocket: WebSocket) -> None:  # pyright: ignore[reportUnusedFunction]
        query = dict(websocket.query_params)
        tells_state = asks_for_state(query)
        query.pop("state", None)
        await serve_chat(websocket, call_manager, lambda: read_settings(query), "", tells_state)

    async with serving(app) as url:
        yield url
