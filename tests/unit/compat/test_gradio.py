"""The mends of Gradio, and that Gradio still needs them: a test here that fails names a mend that can go."""

import asyncio
import os
import re
import tempfile
import traceback
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import gradio as gr
import numpy as np
import pytest
from fastapi import FastAPI
from gradio import queueing, route_utils, routes
from httpx import ASGITransport, AsyncClient
from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect
from starlette.types import Message

from personaplex_ui.audio.files.clip_file import write_wav
from personaplex_ui.compat import gradio as compat
from personaplex_ui.compat.gradio import (
    CLOSED_KEPT,
    OF_PROGRAMS_KEPT,
    forget,
    temporary_files_removed,
    while_wanted,
    without_foreign_hosts,
)
from personaplex_ui.web.instance_path import called_below
from tests.support.page_session import LIBRARIES_WARN, PageSession, open_app
from tests.support.running import until

pytestmark = LIBRARIES_WARN

A_SECOND = timedelta(seconds=1)


def mount_as_gradio_does(app: FastAPI, page: gr.Blocks) -> None:
    gr.mount_gradio_app(app, page, path="/")


def mount_as_we_do(app: FastAPI, page: gr.Blocks) -> None:
    compat.mount_page(app, page, None, [])


@asynccontextmanager
async def plain_gradio(
    function: Any, mount: Callable[[FastAPI, gr.Blocks], None] = mount_as_gradio_does
) -> AsyncGenerator[tuple[AsyncClient, gr.Blocks, routes.App]]:
    """A page of Gradio's alone, nothing mended, with ``function`` as its endpoint ``/work``."""
    app = FastAPI()
    with gr.Blocks(analytics_enabled=False) as page:
        gr.Button().click(function, None, gr.Textbox(), api_name="work")
    mount(app, page)
    mounted = compat.mounted_app(app)
    async with app.router.lifespan_context(app):
        transport = ASGITransport(app, raise_app_exceptions=False)
        async with AsyncClient(transport=transport, base_url="http://x") as http:
            yield http, page, mounted


async def call(http: AsyncClient) -> str:
    event = (await http.post("/gradio_api/call/work", json={"data": []})).json()["event_id"]
    return (await http.get(f"/gradio_api/call/work/{event}")).text


async def join(http: AsyncClient, session: str) -> None:
    event: dict[str, Any] = {"data": [], "fn_index": 0, "session_hash": session}
    (await http.post("/gradio_api/queue/join", json=event)).raise_for_status()


# What Gradio still does --------------------------------------------------------------------------------


async def test_gradio_remembers_every_event_and_session() -> None:
    async with plain_gradio(lambda: "done") as (http, page, _):
        for _ in range(3):
            assert "complete" in await call(http)
        queue = page._queue  # pyright: ignore[reportPrivateUsage]
        assert len(queue.event_ids_to_events) == len(queue.event_analytics) == 3
        assert len(page.state_holder.session_data) == 3


async def test_gradio_debugs_and_wraps_itself_in_two_middlewares() -> None:
    async with plain_gradio(lambda: "done") as (_, _, app):
        assert app.debug
        assert [middleware.cls.__name__ for middleware in app.user_middleware] == [  # type: ignore[attr-defined]
            "BrotliMiddleware",
            "CustomCORSMiddleware",
        ]


@pytest.mark.parametrize("mended", [False, True])
async def test_gradio_knows_no_path_of_a_request(mended: bool) -> None:
    seen_by_proxy = {"X-Forwarded-Host": "talk.example.org", "X-Forwarded-Prefix": "/gpu-1"}
    async with plain_gradio(lambda: "done") as (http, _, _):
        compat.lead_below(lambda scope: Headers(scope=scope)["x-forwarded-prefix"] if mended else "")
        try:
            root = (await http.get("/config", headers=seen_by_proxy)).json()["root"]
        finally:
            compat.lead_below(called_below)
    assert root == ("http://talk.example.org/gpu-1" if mended else "http://talk.example.org")


async def test_gradio_page_asks_other_hosts() -> None:
    async with plain_gradio(lambda: "done") as (http, _, _):
        html = (await http.get("/")).content
    # Fonts come with the theme, which is ours in the app.
    for asked in (rb'<link[^>]+rel="manifest"', rb"<link[^>]+fonts\.gstatic\.com", rb"<script[^>]+cdnjs"):
        assert re.search(asked, html)
        assert not re.search(asked, without_foreign_hosts(html))


@pytest.mark.parametrize("mended", [False, True])
async def test_gradio_makes_statistics_after_each_event(
    monkeypatch: pytest.MonkeyPatch, mended: bool
) -> None:
    table_of = MagicMock()
    monkeypatch.setattr(queueing.Queue, "_get_df", table_of)
    async with plain_gradio(lambda: "done", mount_as_we_do if mended else mount_as_gradio_does) as (
        http,
        page,
        _,
    ):
        await call(http)
        queue = page._queue  # pyright: ignore[reportPrivateUsage]
        await until(lambda: not any(queue.active_jobs))
    assert table_of.called is not mended


async def test_gradio_begins_to_answer_about_events_that_are_not_there() -> None:
    async with plain_gradio(lambda: "done") as (http, page, _):
        assert not compat.is_waited_for(page, "unknown")
        assert (await http.get("/gradio_api/call/work/unknown")).status_code == 200
        stream = await http.get("/gradio_api/queue/data", params={"session_hash": "unknown"})
        assert (stream.status_code, "unexpected_error" in stream.text) == (200, True)


@pytest.mark.parametrize("mended", [False, True])
async def test_a_function_goes_on_for_a_client_that_has_gone(mended: bool) -> None:
    ended: list[str] = []
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def work() -> str:
        begun.set()
        try:
            await go_on.wait()
        except asyncio.CancelledError:
            ended.append("cancelled")
            raise
        ended.append("done")
        return "done"

    async def wanted() -> str:
        return await while_wanted(work())

    async with plain_gradio(wanted if mended else work) as (http, page, app):
        await join(http, "gone")
        listening = asyncio.create_task(listen_and_leave(app, begun))
        await begun.wait()
        await listening
        queue = page._queue  # pyright: ignore[reportPrivateUsage]
        events = list(queue.event_ids_to_events.values())
        assert [event.alive for event in events] == [False]
        if not mended:
            assert ended == []
            go_on.set()
        await until(lambda: bool(ended))
    assert ended == ["cancelled" if mended else "done"]


async def listen_and_leave(app: routes.App, begun: asyncio.Event) -> None:
    """The stream of the session ``gone``, until its function has begun."""
    scope = {
        "type": "http",
        "method": "GET",
        "path": "/gradio_api/queue/data",
        "raw_path": b"/gradio_api/queue/data",
        "root_path": "",
        "query_string": b"session_hash=gone",
        "scheme": "http",
        "http_version": "1.1",
        "headers": [(b"host", b"x")],
        "client": ("127.0.0.1", 1),
        "server": ("x", 80),
    }

    async def receive() -> Message:
        await begun.wait()
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        del message

    await app(scope, receive, send)


@pytest.mark.parametrize("mended", [False, True])
async def test_an_upload_that_breaks_off_leaves_its_file(
    mended: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(route_utils, "NamedTemporaryFile", tempfile.NamedTemporaryFile)

    async def body() -> AsyncIterator[bytes]:
        yield b'--x\r\nContent-Disposition: form-data; name="files"; filename="a.wav"\r\n\r\n0123'
        raise ClientDisconnect

    async def upload() -> None:
        headers = Headers({"content-type": "multipart/form-data; boundary=x"})
        parser = route_utils.GradioMultiPartParser(headers, body(), max_file_size=100)  # type: ignore[arg-type]
        with pytest.raises(ClientDisconnect):
            await parser.parse()

    if mended:
        with temporary_files_removed():
            await upload()
    else:
        await upload()
    assert len(os.listdir(tmp_path)) == (0 if mended else 1)


async def test_gradio_prints_what_goes_wrong(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """The mend is ``library_output``; it stays for the whole process, so it is taken away here."""
    monkeypatch.setitem(vars(queueing), "traceback", traceback)

    def fail() -> str:
        raise ValueError("what a caller sent")

    async with plain_gradio(fail) as (http, _, _):
        assert "error" in await call(http)
    assert "what a caller sent" in capfd.readouterr().err


# What the app does -------------------------------------------------------------------------------------


async def test_programs_are_forgotten_soon_left_pages_later_open_ones_never(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compat, "EVENTS_KEPT", 2)
    clip = tmp_path / "clip.wav"
    write_wav(clip, np.zeros(24_000, dtype=np.float32))
    async with open_app(tmp_path, ENGINE="echo") as app:
        await app.loaded()
        program, opened, left = PageSession(app), PageSession(app), PageSession(app)
        await program.converse(clip)
        for page in (opened, left):
            await page.trigger("show_operator_tabs")
        known = app.page.state_holder.session_data
        known[left.session].is_closed = True

        def after(waited: timedelta) -> set[str]:
            forget(app.page, datetime.now() + waited)
            return set(known)

        assert after(OF_PROGRAMS_KEPT - 10 * A_SECOND) == {program.session, opened.session, left.session}
        assert after(OF_PROGRAMS_KEPT + A_SECOND) == {opened.session, left.session}
        assert after(CLOSED_KEPT + A_SECOND) == {opened.session}
        assert after(timedelta(days=7)) == {opened.session}
        assert set(app.page.state_holder.time_last_used) == {opened.session}
        queue = app.page._queue  # pyright: ignore[reportPrivateUsage]
        assert len(queue.event_analytics) == len(queue.event_ids_to_events) == 2
        await program.converse(clip)  # one that comes back is served
