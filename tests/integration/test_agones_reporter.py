"""The script that tells Agones what a process has, against an SDK server and a process that pretend."""

import json
import os
import runpy
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from tests.support.app_process import ROOT, wait_until

SCRIPT = ROOT / "deploy" / "kubernetes" / "overlays" / "agones" / "reporter.py"
EMPTY = {"lines": 4, "lines_free": 4, "live_calls": 0, "waiting": 0, "accepting": True, "draining": False}
LOADING = EMPTY | {"lines_free": 0, "accepting": False}
ONE_CALL = EMPTY | {"lines_free": 3, "live_calls": 1}
CONNECTING = EMPTY | {"lines_free": 3}
FULL = EMPTY | {"lines_free": 0, "live_calls": 4, "waiting": 2, "accepting": False}
DRAINING = EMPTY | {"lines_free": 0, "live_calls": 2, "accepting": False, "draining": True}
DRAINED = DRAINING | {"live_calls": 0}


class Http:
    """A server on 127.0.0.1 that answers with what ``answer`` gives: a status and JSON."""

    def __init__(self) -> None:
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def _serve(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                kind = self.headers.get("Content-Type", "")
                status, told = outer.answer(self.command, self.path, kind, body)
                content = json.dumps(told).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            do_GET = do_POST = do_PATCH = _serve  # noqa: N815  as the library names them

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()

    def answer(self, method: str, path: str, kind: str, body: bytes) -> tuple[int, Any]:
        raise NotImplementedError

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class App(Http):
    """Tells ``capacity``, with 503 where it takes no calls."""

    capacity: dict[str, Any] = LOADING

    def answer(self, method: str, path: str, kind: str, body: bytes) -> tuple[int, Any]:
        assert (method, path) == ("GET", "/capacity")
        return 200 if self.capacity["accepting"] else 503, self.capacity


class Sdk(Http):
    """Agones' SDK server, as its REST documentation has it: strict in what it takes."""

    def __init__(self) -> None:
        self.state = ""
        self.counter = {"count": 0, "capacity": 4}
        self.signs_of_life = 0
        self.refuses = False
        self.calls: list[str] = []
        super().__init__()

    def answer(self, method: str, path: str, kind: str, body: bytes) -> tuple[int, Any]:
        if self.refuses:
            return 503, {"error": "not yet"}
        assert kind == "application/json"
        content = json.loads(body)
        match method, path:
            case "POST", "/health":
                assert content == {}
                self.signs_of_life += 1
                return 200, {}
            case "POST", "/ready" | "/allocate" | "/shutdown":
                assert content == {}
                self.state = path[1:]
            case "PATCH", "/v1beta1/counters/lines":
                # 64 bit numbers are strings in this API.
                assert all(isinstance(value, str) for value in content.values())
                changed = {key: int(value) for key, value in content.items()}
                assert changed.keys() == self.counter.keys()
                if not 0 <= changed["count"] <= changed["capacity"]:
                    return 400, {"error": "OUT_OF_RANGE"}
                self.counter = changed
            case _:
                return 404, {"error": f"{method} {path}"}
        self.calls.append(path)
        return 200, {}


@dataclass
class Rig:
    app: App = field(default_factory=App)
    sdk: Sdk = field(default_factory=Sdk)

    def close(self) -> None:
        self.app.close()
        self.sdk.close()

    def reporter(self) -> Any:
        return runpy.run_path(str(SCRIPT))["Reporter"](self.app.port, self.sdk.port)


@pytest.fixture
def rig() -> Iterator[Rig]:
    rig = Rig()
    yield rig
    rig.close()


def test_a_process_is_ready_then_allocated_while_it_has_calls(rig: Rig) -> None:
    reporter = rig.reporter()
    for capacity, state, taken in (
        (LOADING, "", 0),
        (EMPTY, "ready", 0),
        (CONNECTING, "allocate", 1),
        (ONE_CALL, "allocate", 1),
        (FULL, "allocate", 4),
        (EMPTY, "ready", 0),
        (DRAINING, "allocate", 2),
        (DRAINED, "shutdown", 0),
    ):
        rig.app.capacity = capacity
        reporter.report()
        assert (rig.sdk.state, rig.sdk.counter) == (state, {"count": taken, "capacity": 4})
    assert rig.sdk.signs_of_life == 8
    states = [call for call in rig.sdk.calls if not call.startswith("/v1beta1")]
    assert states == ["/ready", "/allocate", "/ready", "/allocate", "/shutdown"]


def test_another_number_of_lines_is_told(rig: Rig) -> None:
    reporter = rig.reporter()
    rig.app.capacity = EMPTY | {"lines": 6, "lines_free": 0, "live_calls": 6, "accepting": False}
    reporter.report()
    assert rig.sdk.counter == {"count": 6, "capacity": 6}


def test_what_agones_refused_is_told_again(rig: Rig, capsys: pytest.CaptureFixture[str]) -> None:
    """Its server may come up later than the process."""
    reporter = rig.reporter()
    rig.app.capacity = ONE_CALL
    rig.sdk.refuses = True
    reporter.report()
    assert "Agones does not answer, or refuses" in capsys.readouterr().err
    rig.sdk.refuses = False
    reporter.report()
    assert (rig.sdk.state, rig.sdk.counter["count"]) == ("allocate", 1)


def test_of_an_app_that_does_not_answer_there_is_no_sign_of_life(
    rig: Rig, capsys: pytest.CaptureFixture[str]
) -> None:
    reporter = rig.reporter()
    rig.app.capacity = {"accepting": True, "detail": "Please log in."}
    reporter.report()
    assert "The app does not answer" in capsys.readouterr().err
    assert (rig.sdk.signs_of_life, rig.sdk.state) == (0, "")


def test_it_goes_on_until_the_app_has_ended(rig: Rig) -> None:
    rig.app.capacity = ONE_CALL
    environment = {"PORT": str(rig.app.port), "AGONES_SDK_HTTP_PORT": str(rig.sdk.port), **os.environ}
    environment |= {"PORT": str(rig.app.port)}
    process = subprocess.Popen([sys.executable, str(SCRIPT)], env=environment, stderr=subprocess.DEVNULL)
    try:
        wait_until(lambda: rig.sdk.state == "allocate", 30, "it reports")
        process.send_signal(signal.SIGTERM)
        rig.app.capacity = DRAINED
        wait_until(lambda: rig.sdk.state == "shutdown", 30, "it reports after SIGTERM, too")
        rig.app.capacity = {}
        assert process.wait(30) == 0
    finally:
        process.kill()
        process.wait()
