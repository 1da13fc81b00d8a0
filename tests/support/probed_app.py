"""The app as ``app.py`` starts it, with one more route: ``/probe`` tells what it holds. For tests only.

It looks into the app from outside, so nothing in the app knows of it; it listens on 127.0.0.1 alone.
"""

import asyncio
import ctypes
import gc
import os
import threading
from collections import Counter
from typing import Any

import psutil
from fastapi import FastAPI

from personaplex_ui.app import server
from personaplex_ui.compat.fastrtc import PageStream
from personaplex_ui.config.settings import Settings

build_app = server.build_app


def build_probed_app(settings: Settings) -> FastAPI:
    app = build_app(settings)
    (stream,) = (thing for thing in gc.get_objects() if isinstance(thing, PageStream))

    @app.get("/probe")
    async def probe() -> dict[str, Any]:
        gc.collect()
        _give_back_unused_memory()
        return {
            "held": _held(app, stream),
            "tasks": _tasks(),
            "threads": _threads(),
            "rss_mb": psutil.Process().memory_info().rss / 2**20,
        }

    # Before the page, which is mounted at "/" and answers whatever comes after it.
    app.router.routes.insert(0, app.router.routes.pop())
    return app


def _give_back_unused_memory() -> None:
    """What the C library keeps for later allocations is not held by anything."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc's
    if trim is not None:
        trim(0)


def _held(app: FastAPI, stream: PageStream) -> dict[str, int]:
    """How many of each thing that belongs to one call or one connection."""
    call_manager = app.state.services.call_manager
    peers: Any = stream
    slots = call_manager.engine.slots
    return {
        "slots taken": slots.capacity - slots.free,
        "waiting": slots.waiting,
        "calls": len(call_manager.calls),
        "peer connections": len(peers.pcs),
        "handlers": len(peers.handlers),
        "connections": len(peers.connections),
        "data channels": len(peers.data_channels),
        "connection timeouts": len(peers.connection_timeouts),
        "outputs": len(peers.additional_outputs),
        "open sockets": len(psutil.Process().net_connections("udp")),
    }


def _tasks() -> dict[str, int]:
    """Tasks by what they run."""
    names = (getattr(task.get_coro(), "__qualname__", "?") for task in asyncio.all_tasks())
    return dict(Counter(names))


def _threads() -> dict[str, int]:
    """Threads by name, without their numbers."""
    return dict(Counter(thread.name.rstrip("0123456789-_ ") for thread in threading.enumerate()))


if __name__ == "__main__":
    server.build_app = build_probed_app
    server.serve(Settings.from_mapping(os.environ))
