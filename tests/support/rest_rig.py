"""``/api/v1`` as an app of its own around deterministic parts, and a client whose connection can break."""

import asyncio
import contextlib
import threading
from collections.abc import AsyncGenerator
from typing import Any

from fastapi import FastAPI
from httpx import ASGITransport, AsyncClient
from prometheus_client import CollectorRegistry
from starlette.types import Message

from personaplex_ui.audio.files.clip_file import to_pcm16, wav_header
from personaplex_ui.audio.frames import Samples
from personaplex_ui.calls.allowance import Visitor
from personaplex_ui.calls.manager import CallManager
from personaplex_ui.channels.rest.admission import Admission
from personaplex_ui.channels.rest.call_video_routes import build_call_video_router
from personaplex_ui.channels.rest.conversation import Conversations
from personaplex_ui.channels.rest.films import Films
from personaplex_ui.channels.rest.kept_answers import KeptAnswers
from personaplex_ui.channels.rest.loaded_parts import LoadedParts
from personaplex_ui.channels.rest.places import Places
from personaplex_ui.channels.rest.routes import RestApi, build_rest_router
from personaplex_ui.speech.loading import Loaded, Report, Sources, SpeechParts
from personaplex_ui.speech.parts import Recogniser, Replier, Synthesiser
from personaplex_ui.speech.work.jobs import JobQueue
from personaplex_ui.speech.work.workers import Workers
from personaplex_ui.voices.catalogue import Voice
from personaplex_ui.voices.library import VoiceLibrary
from tests.support.speech_parts import Humming, Listed, Scripted

ROLE = "You work for the default."
VOICES = VoiceLibrary([Voice("NATF2", "female", "NATF2"), Voice("NATM1", "male", "NATM1")], default="NATF2")


class GivenParts(SpeechParts):
    """Parts that are there already. ``failing``: raised instead of a recogniser; ``ready``: cleared, making
    one takes until it is set."""

    def __init__(self) -> None:
        super().__init__(Sources(calls=2))
        self.listed, self.scripted, self.humming = Listed(), Scripted(), Humming()
        self.ready = threading.Event()
        self.ready.set()
        self.failing: Exception | None = None
        self.made: list[str] = []
        self._jobs = JobQueue(heavy_at_once=2)
        self._workers = Workers(self._jobs, 2)

    @property
    def queue(self) -> JobQueue:
        return self._jobs

    def recogniser(self, report: Report) -> Loaded[Recogniser]:
        self.made.append("recogniser")
        report("Fetching the weights.", 0.25)
        self.ready.wait(20)
        if self.failing is not None:
            raise self.failing
        return Loaded(self.listed, "tones")

    def replier(self) -> Loaded[Replier]:
        return Loaded(self.scripted, "a script")

    def synthesiser(self, report: Report) -> Loaded[Synthesiser]:
        return Loaded(self.humming, "humming")

    def close(self) -> None:
        self.ready.set()
        self.humming.going.set()
        self._jobs.close()
        assert self._workers.join(10)


class Rig:
    """``address``: of all requests; ``visitor``: whose minutes they use."""

    def __init__(self, call_manager: CallManager, at_once: int = 2, most_waiting: int = 1) -> None:
        self.call_manager = call_manager
        self.address = ""
        self.visitor: Visitor | None = None
        self.parts = GivenParts()
        self.loaded = LoadedParts(self.parts, ready_within_sec=5.0)
        self.kept = KeptAnswers()
        self.films = Films(self.loaded, call_manager.store)
        self.places = Places(at_once, most_waiting)
        self.registry = CollectorRegistry()
        self.app = FastAPI()
        conversations = Conversations(self.loaded, VOICES, ROLE, self.kept, self.films)
        admission = Admission(call_manager, self.places, self.registry)
        api = RestApi(
            conversations, admission, self.kept, 1_000_000, lambda _: self.address, lambda _: self.visitor
        )
        self.app.include_router(build_rest_router(api))
        self.app.include_router(build_call_video_router(self.films))
        self.http = AsyncClient(transport=ASGITransport(self.app), base_url="http://server")

    def counted(self, endpoint: str, outcome: str) -> float:
        labels = {"endpoint": endpoint, "outcome": outcome}
        return self.registry.get_sample_value("personaplex_api_requests_total", labels) or 0.0

    async def close(self) -> None:
        self.parts.close()
        await self.films.close()
        self.kept.close()
        await self.http.aclose()


@contextlib.asynccontextmanager
async def running_rig(call_manager: CallManager, **limits: int) -> AsyncGenerator[Rig]:
    rig = Rig(call_manager, **limits)
    try:
        yield rig
    finally:
        await rig.close()


class Streaming:
    """A request whose answer is looked at as it comes. ``leave``: the client goes."""

    def __init__(
        self, app: FastAPI, body: bytes, content_type: str, path: str = "/api/v1/conversation/stream"
    ) -> None:
        self.status = 0
        self.text = ""
        self._app = app
        self._gone = asyncio.Event()
        self._messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]
        self._scope: dict[str, Any] = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": "POST",
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "root_path": "",
            "headers": [(b"content-type", content_type.encode()), (b"host", b"server")],
        }
        self.task = asyncio.create_task(self._app(self._scope, self._receive, self._send))

    def leave(self) -> None:
        self._gone.set()

    async def _receive(self) -> Message:
        if self._messages:
            return self._messages.pop(0)
        await self._gone.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
        else:
            self.text += message.get("body", b"").decode()


def wav(samples: Samples) -> bytes:
    sound = to_pcm16(samples).tobytes()
    return wav_header(1, len(sound)) + sound


def form_of(samples: Samples, **fields: str) -> tuple[bytes, str]:
    """A body of ``multipart/form-data``, and its type."""
    parts = [
        f'--x\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
        for name, value in fields.items()
    ]
    head = b'--x\r\nContent-Disposition: form-data; name="audio"; filename="a.wav"\r\n\r\n'
    return b"".join([*parts, head, wav(samples), b"\r\n--x--\r\n"]), "multipart/form-data; boundary=x"
