"""A server with chat completions on loopback, which answers each request with the next script given to it."""

import json
import threading
from collections.abc import Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

KEY = "sk-this-must-not-be-seen"


def event(text: str = "", finished: str | None = None) -> bytes:
    """An event with a part of an answer."""
    choice = {"index": 0, "delta": {"content": text} if text else {}, "finish_reason": finished}
    return f"data: {json.dumps({'choices': [choice]})}\n\n".encode()


def streamed(*parts: str) -> bytes:
    """A whole answer in ``parts``."""
    return b"".join(map(event, parts)) + event(finished="stop") + b"data: [DONE]\n\n"


class ChatServer:
    """``script``: pieces of the body, sent one after the other; an Event among them is waited for, and None
    cuts the connection. ``requests``: what was asked, with the header Authorization."""

    def __init__(self) -> None:
        self.status = 200
        self.headers: dict[str, str] = {"Content-Type": "text/event-stream"}
        self.script: Sequence[bytes | threading.Event | None] = ()
        self.requests: list[dict[str, Any]] = []
        self.keys: list[str] = []
        self.gone = threading.Event()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                outer.keys.append(self.headers.get("Authorization", ""))
                outer.requests.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                self.send_response(outer.status)
                for name, value in outer.headers.items():
                    self.send_header(name, value)
                self.send_header("Transfer-Encoding", "chunked")
                self.end_headers()
                try:
                    self._send_script()
                except OSError:
                    outer.gone.set()
                self.close_connection = True

            def _send_script(self) -> None:
                for piece in outer.script:
                    match piece:
                        case None:
                            return
                        case threading.Event():
                            piece.wait(20)
                        case _:
                            self.wfile.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
                self.wfile.write(b"0\r\n\r\n")

            def log_message(self, format: str, *args: Any) -> None:
                del format, args

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/v1"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()

    def stop(self) -> None:
        """Ends it."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def chat_server() -> Iterator[ChatServer]:
    server = ChatServer()
    yield server
    server.stop()
