"""A real HTTP server on loopback that answers as a test tells it to, and keeps what it was asked."""

import json
import threading
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import cast


@dataclass(frozen=True)
class Asked:
    method: str
    path: str
    body: object
    headers: Mapping[str, str]


@dataclass
class AnsweringMachine:
    """``answers``: status and body (JSON, unless it is bytes) by path. ``going`` cleared: it waits before it
    answers."""

    url: str
    answers: dict[str, tuple[int, object]] = field(default_factory=dict[str, tuple[int, object]])
    asked: list[Asked] = field(default_factory=list[Asked])
    going: threading.Event = field(default_factory=threading.Event)

    def paths(self) -> list[str]:
        return [asked.path for asked in self.asked]


@contextmanager
def answering_machine() -> Generator[AnsweringMachine]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.do_POST()

        def do_POST(self) -> None:
            content = self.rfile.read(int(self.headers.get("Content-Length", "0")))
            body = cast(object, json.loads(content)) if content else None
            machine.asked.append(Asked(self.command, self.path, body, dict(self.headers)))
            machine.going.wait(10.0)
            status, answer = machine.answers.get(self.path, (404, {}))
            data = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
            try:
                self.send_response(status)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)
            except ConnectionError:
                pass  # nobody waits for it any more

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    machine = AnsweringMachine(f"http://127.0.0.1:{server.server_address[1]}")
    machine.going.set()
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield machine
    finally:
        machine.going.set()
        server.shutdown()
        server.server_close()
        thread.join()
