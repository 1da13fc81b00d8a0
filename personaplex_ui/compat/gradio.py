"""Gradio 5.50: the internals this app uses, and workarounds. Its private names are used only here.

Each workaround says what Gradio does without it, with the library's issue if there is one.
``tests/unit/compat/test_gradio.py`` fails when Gradio no longer does it, so the workaround can go.
"""

# Gradio is only partly typed:
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportPrivateUsage=false

import asyncio
import contextlib
import os
import re
import sys
import tempfile
from collections.abc import Callable, Coroutine, Generator, Sequence
from contextvars import ContextVar
from datetime import datetime, timedelta
from typing import Any, TypeVar

import gradio as gr
from fastapi import FastAPI
from gradio import route_utils, routes
from gradio.context import LocalContext
from gradio.queueing import Event, Queue
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.routing import Mount
from starlette.types import Scope

T = TypeVar("T")

HARMLESS_TYPES: frozenset[str] = frozenset(routes.XSS_SAFE_MIMETYPES)
"""Media types that a browser may show from Gradio's folder without executing their content."""

# Mounting ---------------------------------------------------------------------------------------------


def mount_page(
    app: FastAPI, page: gr.Blocks, root: str | None, middleware: Sequence[Middleware], **options: Any
) -> None:
    """Mount ``page`` at "/". ``middleware`` goes between Gradio's own: inside its CORS middleware and outside
    its compression, because byte ranges of a file must not be compressed.

    Gradio always creates its app with ``debug=True``, which shows tracebacks to everybody
    (https://github.com/gradio-app/gradio/issues/12946). After the first event it imports pandas, for
    statistics that only its own dashboard shows: half a second in which calls drop frames.
    """
    page._queue.ANAYLTICS_CACHE_FREQUENCY = sys.maxsize  # their spelling; after how many events
    gr.mount_gradio_app(app, page, path="/", root_path=root, **options)
    gradio = mounted_app(app)
    gradio.debug = False
    compressing, telling = gradio.user_middleware
    gradio.user_middleware = [telling, *middleware, compressing]


_get_root_url = route_utils.get_root_url


def lead_below(path_of: Callable[[Scope], str]) -> None:
    """Have the addresses that Gradio gives out lead below ``path_of`` the request, which is empty for most.
    Gradio knows one ``root_path`` for all requests, and takes none from the scope."""

    def get_root_url(request: Request, route_path: str, root_path: str | None) -> str:
        return _get_root_url(request, route_path, root_path) + path_of(request.scope)

    route_utils.get_root_url = get_root_url


def mounted_app(app: FastAPI) -> routes.App:
    return next(r.app for r in app.routes if isinstance(r, Mount) and isinstance(r.app, routes.App))


# The page ---------------------------------------------------------------------------------------------

_FOREIGN = re.compile(
    rb'<link[^>]+rel="manifest"[^>]*>'
    rb"|<link[^>]+(?:fonts\.googleapis\.com|fonts\.gstatic\.com)[^>]*>"
    rb"|<script[^>]+cdnjs\.cloudflare\.com[^>]*>\s*</script>"
)
_OF_GRADIO = re.compile(rb'<meta\s+(?:property="og:|name="twitter:)[^>]*>\s*')


def without_foreign_hosts(html: bytes) -> bytes:
    """The page without links to other hosts: Google, for an unused connection; cdnjs, for a script that only
    embedding pages need (https://github.com/gradio-app/gradio/issues/1450); and the root of the host, which
    may belong to another app, for a manifest that does not exist."""
    return _FOREIGN.sub(b"", html)


def with_own_head(html: bytes, head: bytes) -> bytes:
    """The page with ``head`` at the beginning of its head, without foreign hosts and without the title and
    picture under which Gradio would have it shared. What ``gr.Blocks(head=...)`` gets is added by a script
    when the page is built, too late for styles and for whoever reads the HTML alone."""
    return without_foreign_hosts(_OF_GRADIO.sub(b"", html)).replace(b"<head>", b"<head>" + head, 1)


# Uploads ----------------------------------------------------------------------------------------------

_written: ContextVar[list[str] | None] = ContextVar("_written", default=None)
"""The temporary files of the current upload."""


@contextlib.contextmanager
def temporary_files_removed() -> Generator[None]:
    """Remove the temporary files that Gradio's form parser writes in this block. Gradio removes them only for
    one kind of exception, not when a client disconnects or a form is cut off; finished uploads have been
    moved away."""
    route_utils.NamedTemporaryFile = _named_temporary_file  # type: ignore[assignment]
    written: list[str] = []
    token = _written.set(written)
    try:
        yield
    finally:
        _written.reset(token)
        for name in written:
            with contextlib.suppress(OSError):
                os.unlink(name)


def _named_temporary_file(*arguments: Any, **options: Any) -> Any:
    file = tempfile.NamedTemporaryFile(*arguments, **options)  # noqa: SIM115  Gradio closes it
    written = _written.get()
    if written is not None:
        written.append(file.name)
    return file


# Events and sessions ----------------------------------------------------------------------------------

LOOK_FOR_CLIENT_EVERY_SEC = 0.5
FORGET_EVERY_SEC = 30.0
OF_PROGRAMS_KEPT = timedelta(minutes=2)
"""Sessions without a page, which hold no state."""

CLOSED_KEPT = timedelta(hours=1)
"""Sessions of closed pages; Gradio intends to keep them this long for returning visitors."""

EVENTS_KEPT = 100
"""Each keeps its request and its answer. A program may still ask for the answer of a recent one."""


def is_waited_for(page: gr.Blocks, name: str) -> bool:
    """Whether a session or an event ``name`` has messages to send. For any other name, Gradio begins an
    answer and then fails."""
    return name in page._queue.pending_messages_per_session


async def while_wanted(work: Coroutine[Any, Any, T]) -> T:
    """The result of ``work``, which is cancelled when the client of the current Gradio event disconnects.
    Gradio stops only generators (https://github.com/gradio-app/gradio/issues/3758).

    Raises:
        gr.Error: the client has disconnected; nobody will read this.
    """
    event = current_event()
    task = asyncio.create_task(work)
    try:
        while not (await asyncio.wait([task], timeout=LOOK_FOR_CLIENT_EVERY_SEC))[0]:
            if event is not None and not event.alive:
                raise gr.Error("Nobody is waiting for this answer.", print_exception=False)
        return task.result()
    finally:
        task.cancel()
        await asyncio.wait([task])


def current_event() -> Event | None:
    """The current Gradio event, or None outside of one."""
    blocks, event_id = LocalContext.blocks.get(), LocalContext.event_id.get()
    jobs: list[Any] = blocks._queue.active_jobs if blocks is not None else []
    return next((event for job in jobs if job for event in job if event._id == event_id), None)


async def forget_idle_sessions(page: gr.Blocks) -> None:
    """Repeatedly forget abandoned sessions and events; runs until cancelled.

    Gradio keeps every event forever, 30 KB each (https://github.com/gradio-app/gradio/issues/13154), and for
    each of up to 10,000 sessions a configuration of the whole page, some 100 KB; each program creates a
    session (https://github.com/gradio-app/gradio/issues/11602).
    """
    while True:
        await asyncio.sleep(FORGET_EVERY_SEC)
        forget(page, datetime.now())


def forget(page: gr.Blocks, now: datetime) -> None:
    """Remove what is idle at ``now`` (local time, as in Gradio). Open pages always stay."""
    holder = page.state_holder
    for session, state in list(holder.session_data.items()):
        idle = now - holder.time_last_used.get(session, now)
        kept = CLOSED_KEPT if state.is_closed else OF_PROGRAMS_KEPT if not state.state_data else None
        if kept is not None and idle > kept:
            with holder.lock:
                holder.session_data.pop(session, None)
            holder.time_last_used.pop(session, None)
    _forget_events(page._queue)


def _forget_events(queue: Queue) -> None:
    """Forget all events but the newest and those that are running or queued."""
    noted, known = queue.event_analytics, queue.event_ids_to_events
    for event_id in list(noted)[:-EVENTS_KEPT]:
        del noted[event_id]
    at_work = {event._id for job in queue.active_jobs if job for event in job}
    at_work |= {
        event._id for waiting in queue.event_queue_per_concurrency_id.values() for event in waiting.queue
    }
    for event_id in list(known)[:-EVENTS_KEPT]:
        if event_id not in at_work:
            del known[event_id]
