"""1,100 silent connections, where a process may have 1,024 open files: the app goes on answering."""

import contextlib
import resource
import socket
from pathlib import Path

import httpx
import pytest

from personaplex_ui.app.connection_limits import WITHIN_SEC, Stage
from personaplex_ui.logs.rate_limit import ADVICE
from tests.support.app_process import ROOT, running_app, wait_until

OPEN_FILES = 1_024
CONNECTIONS = 1_100

LIMITED = f"""
import resource, runpy, sys
{{without}}
resource.setrlimit(resource.RLIMIT_NOFILE, ({OPEN_FILES}, {OPEN_FILES}))
sys.path.insert(0, {str(ROOT)!r})
runpy.run_path({str(ROOT / "app.py")!r}, run_name="__main__")
"""

SAID = {
    "nothing": b"",
    "half a head": b"GET / HTTP/1.1\r\nHost: localhost\r\n",
    "a stream that does not end": b"GET /gradio_api/heartbeat/abc HTTP/1.1\r\nHost: localhost\r\n\r\n",
}

ASYNCIO = "sys.modules['uvloop'] = None  # as if it were not installed"


def is_closed(client: socket.socket) -> bool:
    client.setblocking(False)
    with contextlib.suppress(BlockingIOError):
        try:
            while client.recv(65_536):
                pass
        except ConnectionError:
            return True
        return True
    return False


@pytest.mark.timeout(120)
@pytest.mark.parametrize(
    ("said", "without"),
    [*((said, "") for said in SAID.values()), (SAID["half a head"], ASYNCIO)],
    ids=[*SAID, "half a head, without uvloop"],
)
def test_the_app_goes_on_answering(said: bytes, without: str, tmp_path: Path):
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(before[0], min(hard, 4_096)), hard))
    script = tmp_path / "limited.py"
    script.write_text(LIMITED.format(without=without))
    try:
        with running_app(tmp_path, script) as app, contextlib.ExitStack() as stack:
            clients: list[socket.socket] = []
            for number in range(CONNECTIONS):
                client = stack.enter_context(socket.create_connection(("127.0.0.1", app.port), timeout=20))
                with contextlib.suppress(ConnectionError):
                    client.sendall(said)
                clients.append(client)
                if number % 100 == 0:
                    assert httpx.get(f"{app.url}/health", timeout=20).status_code == 200
            assert httpx.get(f"{app.url}/health", timeout=20).status_code == 200
            if b"heartbeat" not in said:
                assert httpx.get(f"{app.url}/voices", timeout=20).status_code == 200
                wait_until(
                    lambda: all(map(is_closed, clients)),
                    6 * WITHIN_SEC[Stage.SILENT],
                    "the silent connections are closed",
                    every_sec=1.0,
                )
            assert ADVICE not in app.log
            assert len(app.log) < 20_000
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
