"""A real HTTP server on loopback that answers as a test tells it to, and keeps what it was asked."""

import json
import threading
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler

from tests.support.loopback_http import serving_handler


@dataclass(frozen=True)
class Asked:
    method: str
    path: str
    content: bytes
    headers: Mapping[str, str]

    @property
    def body(self) -> object:
        return json.loads(self.content) if self.content else None


@contextmanager
def answering(answer: Callable[[Asked], tuple[int, object] | None]) -> Generator[str]:
    """The URL of a server whose answers are status and body (JSON, unless it is bytes); None: it closes."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            content = self.rfile.read(int(self.headers.get("Content-Length", "0")))
            answered = answer(Asked(self.command, self.path, content, dict(self.headers)))
            if answered is None:
                return
            status, body = answered
            data = body if isinstance(body, bytes) else json.dumps(body).encode()
            try:
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)
            except ConnectionError:
                pass  # nobody waits for it any more

        do_GET = do_POST  # noqa: N815  the base class finds it by this name

        def log_message(self, format: str, *args: object) -> None:
            pass

    with serving_handler(Handler) as address:
        yield address


@dataclass
class AnsweringMachine:
    """``answers``: status and body by path. ``going`` cleared: it waits before it answers."""

    url: str = ""
    answers: dict[str, tuple[int, object]] = field(default_factory=dict[str, tuple[int, object]])
    asked: list[Asked] = field(default_factory=list[Asked])
    going: threading.Event = field(default_factory=threading.Event)

    @property
    def host(self) -> str:
        return self.url.removeprefix("http://")

    def paths(self) -> list[str]:
        return [asked.path for asked in self.asked]

    def answer(self, asked: Asked) -> tuple[int, object]:
        self.asked.append(asked)
        self.going.wait(10.0)
        return self.answers.get(asked.path, (404, {}))


@contextmanager
def answering_machine() -> Generator[AnsweringMachine]:
    machine = AnsweringMachine()
    machine.going.set()
    with answering(machine.answer) as machine.url:
        yield machine
        machine.going.set()
