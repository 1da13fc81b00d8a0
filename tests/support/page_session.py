"""The whole app in this process, and a page of it as the browser holds one: a session whose events go through
Gradio's queue, with real uploads, requests and sessions.

Knows Gradio's protocol; nothing is drawn.
"""

import asyncio
import contextlib
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast
from unittest import mock
from uuid import uuid4

import httpx
import pytest
from fastapi import FastAPI
from gradio.blocks import Blocks
from httpx import ASGITransport, AsyncClient

from personaplex_ui.app import garbage
from personaplex_ui.app.bootstrap import build_app
from personaplex_ui.app.services import Services
from personaplex_ui.calls.live_call import LiveCall
from personaplex_ui.calls.manager import CallManager
from personaplex_ui.calls.settings import check_settings
from personaplex_ui.config.settings import Settings
from personaplex_ui.engine.engine import Engine, EngineState
from personaplex_ui.ui.callbacks import PageCallbacks
from tests.support.running import until

WITHIN_SEC = 30.0

LIBRARIES_WARN = pytest.mark.filterwarnings("ignore::DeprecationWarning")
"""Gradio 5 of what Gradio 6 will do, and of starlette's names; for every module that opens the app."""


class EventRefused(Exception):
    """An event of the page failed; the text is what Gradio shows."""


class OpenApp:
    """An app whose lifespan is running. ``said``: the text of all its answers, whoever asked."""

    def __init__(self, app: FastAPI, http: AsyncClient) -> None:
        self._app = app
        self.http = http
        self.said: list[str] = []

    @property
    def call_manager(self) -> CallManager:
        return self.services.call_manager

    @property
    def engine(self) -> Engine:
        return self.call_manager.engine

    @property
    def services(self) -> Services:
        return self._app.state.services

    @property
    def asgi(self) -> FastAPI:
        """The app itself, for what its HTTP client cannot do."""
        return self._app

    @property
    def page(self) -> Blocks:
        return self._app.state.page

    @property
    def functions(self) -> dict[int, Any]:
        """Those of the page, by the number that Gradio gives them."""
        page: Blocks = self._app.state.page
        return cast(dict[int, Any], page.fns)

    @property
    def callbacks(self) -> PageCallbacks:
        return next(f.fn.__self__ for f in self.functions.values() if f.name == "offer_voices")

    async def get(self, address: str, **options: Any) -> httpx.Response:
        answer = await self.http.get(address, **options)
        if not answer.headers["content-type"].startswith("audio/"):
            self.said.append(answer.text)
        return answer

    async def loaded(self) -> EngineState:
        """Wait until loading has ended, well or not."""
        await until(lambda: self.engine.state is not EngineState.LOADING, WITHIN_SEC)
        return self.engine.state

    async def become_operator(self) -> None:
        """Open the link of the log: from now on the client has the operator's cookie."""
        link = self.services.operators.link().partition("/operator")[2]
        answer = await self.http.get(f"/operator{link}")
        assert answer.status_code == 303, answer.text

    async def health(self) -> tuple[int, dict[str, Any]]:
        answer = await self.get("/health")
        return answer.status_code, answer.json()


@asynccontextmanager
async def open_app(folder: Path, collecting: bool = False, /, **variables: str) -> AsyncGenerator[OpenApp]:
    """The app with ``variables`` as its settings, loading. Its files go into ``folder``. ``collecting``: it
    collects garbage as it does alone, which takes seconds in a process that has imported all tests."""
    own = {"RECORDINGS_DIR": str(folder / "recordings"), "CAPTIONS": "off"}
    settings = Settings.from_mapping(own | variables)
    app = build_app(settings)
    freezing = contextlib.nullcontext() if collecting else mock.patch.object(garbage, "_freeze")
    with freezing:
        async with _opened(app) as opened:
            yield opened


@asynccontextmanager
async def _opened(app: FastAPI) -> AsyncGenerator[OpenApp]:
    async with app.router.lifespan_context(app):
        transport = ASGITransport(app)
        async with AsyncClient(transport=transport, base_url="http://localhost", timeout=WITHIN_SEC) as http:
            opened = OpenApp(app, http)
            try:
                yield opened
            finally:
                await opened.loaded()


class PageSession:
    """A page that a visitor has open. ``inputs``: what the controls hold that belong to a call."""

    def __init__(self, app: OpenApp) -> None:
        self._app = app
        self.session = uuid4().hex[:11]
        self.inputs: dict[str, Any] = {
            "voice": "NATF0",
            "text_prompt": "You are kind.",
            "text_temperature": 0.7,
            "audio_temperature": 0.8,
            "text_top_k": 25,
            "audio_top_k": 250,
            "seed": "",
            "greedy": False,
            "record": False,
        }

    async def trigger(self, name: str, *values: object) -> list[Any]:
        """Run the page's function ``name`` with the values of its inputs; returns those of its outputs.

        Raises:
            EventRefused: it failed.
        """
        number = next(number for number, function in self._app.functions.items() if function.name == name)
        event = {"data": list(values), "fn_index": number, "session_hash": self.session}
        (await self._app.http.post("/gradio_api/queue/join", json=event)).raise_for_status()
        answer = await self._app.get("/gradio_api/queue/data", params={"session_hash": self.session})
        messages = [json.loads(line[6:]) for line in answer.text.splitlines() if line.startswith("data: ")]
        done = next(message for message in messages if message["msg"] == "process_completed")
        if not done["success"]:
            raise EventRefused(done["output"]["error"])
        return done["output"]["data"]

    async def upload(self, path: Path) -> dict[str, Any]:
        """The file as an audio component's value; it lies in Gradio's folder then."""
        files = {"files": (path.name, await asyncio.to_thread(path.read_bytes))}
        answer = await self._app.http.post("/gradio_api/upload", files=files)
        return {"path": answer.raise_for_status().json()[0], "meta": {"_type": "gradio.FileData"}}

    async def converse(self, clip: Path, **inputs: object) -> tuple[Path, list[dict[str, Any]]]:
        """The API's answer to ``clip``: its file and the transcript.

        Raises:
            EventRefused: with the sentence.
        """
        values = [value for name, value in {**self.inputs, **inputs}.items() if name != "record"]
        answer, transcript = await self.trigger("converse", await self.upload(clip), *values)
        return Path(answer["path"]), transcript

    async def call(self, **inputs: object) -> LiveCall:
        """A live call as the button begins it, without the microphone: live, or ended in words.

        Raises:
            InvalidInput: a value cannot be used.
        """
        values = {**self.inputs, **inputs}
        settings = check_settings(self._app.services.voices, **values)
        call = self._app.call_manager.open(settings, "")
        await until(lambda: call.live.is_set() or call.over.is_set(), WITHIN_SEC)
        return call

    async def refusal(self, **inputs: object) -> str:
        """The sentence that such a call is refused with."""
        call = await self.call(**inputs)
        assert not call.live.is_set()
        return call.reason
