"""The command, with a server that only tells its capacity, and processes that it must not end."""

import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest

from personaplex_ui.drain import command
from personaplex_ui.drain.command import CannotDrain, ask_to_drain, wait_for_calls

Told = list[dict[str, Any]]


@pytest.fixture
def told() -> Told:
    """What the server tells, one after the other; the last one again and again."""
    return []


@pytest.fixture
def url(told: Told) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = json.dumps(told.pop(0) if len(told) > 1 else told[0]).encode()
            self.send_response(503)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "ASK_EVERY_SEC", 0.01)


def draining(calls: int) -> dict[str, Any]:
    return {"draining": True, "live_calls": calls}


def test_it_waits_until_no_call_goes_on(told: Told, url: str, capsys: pytest.CaptureFixture[str]) -> None:
    told += [{"draining": False, "live_calls": 2}, draining(2), draining(2), draining(1), draining(0)]
    assert wait_for_calls(url, float("inf")) == 0
    assert capsys.readouterr().out.splitlines() == [
        "No new calls are taken; 2 go on.",
        "No new calls are taken; 1 go on.",
        "No call goes on any more.",
    ]


def test_it_waits_no_longer_than_told(told: Told, url: str) -> None:
    told.append(draining(3))
    assert wait_for_calls(url, 0.05) == 3


def test_a_server_that_has_ended_has_no_calls(capsys: pytest.CaptureFixture[str]) -> None:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    assert wait_for_calls(f"http://127.0.0.1:{port}", 60.0) == 0
    assert "has ended" in capsys.readouterr().out


def test_a_server_that_does_not_drain(told: Told, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "BEGINS_WITHIN_SEC", 0.05)
    told.append({"draining": False, "live_calls": 0})
    with pytest.raises(CannotDrain, match="does not say"):
        wait_for_calls(url, 60.0)


def test_what_would_be_ended_by_the_signal_is_left_alone(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    script = "import socket; s = socket.socket(); s.bind(('127.0.0.1', 0)); s.listen(); "
    script += "print(s.getsockname()[1], flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        port = other.stdout.readline().strip()
        with pytest.raises(CannotDrain, match="no server that can be drained"):
            ask_to_drain(int(port))
        monkeypatch.setenv("PORT", port)
        monkeypatch.setenv("ENV_FILE", "/dev/null")
        assert command.main(["--wait"]) == 1
        assert "no server that can be drained" in capsys.readouterr().err
        assert other.poll() is None
        other.communicate("\n", timeout=20)
    assert other.returncode == 0


def test_nobody_listens_there(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        monkeypatch.setenv("PORT", str(probe.getsockname()[1]))
        assert command.main([]) == 1
    assert "Set PORT to its port" in capsys.readouterr().err
