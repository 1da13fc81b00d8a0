"""The app as a process of its own, started as a user starts it, with settings and a folder of the test's own.

A failure of a test shows the logs of those that run (tests/conftest.py).
"""

import contextlib
import hashlib
import json
import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any, TypeVar

import httpx

from personaplex_ui.calls.call_table import FILE as CALLS

ROOT = Path(__file__).parents[2]
READY_WITHIN_SEC = 90.0
GONE_WITHIN_SEC = 30.0
LOG_SHOWN_CHARACTERS = 6_000

ECHO = {"ENGINE": "echo"}
TINY = {
    "ENGINE": "personaplex",
    "HF_REPO": str(ROOT / "tests" / "data" / "tiny"),
    "DEVICE": "cpu",
    "OMP_NUM_THREADS": "1",  # the model is so small that more threads only wait for each other
}
"""PersonaPlex with random weights: its speech is noise, and it says pieces of words without a pause."""

TELEPHONE = {
    "SERVER_URL": "https://talk.example.org",
    "API_KEY": "a key that nobody else has",
    "TWILIO_ACCOUNT_SID": "AC" + 16 * "0a",
    "TWILIO_AUTH_TOKEN": "a token that Twilio does not know",
    "TWILIO_PHONE_NUMBER": "+15550001111",
}
"""Nobody is called: Twilio would refuse these."""

T = TypeVar("T")

_processes: list["AppProcess"] = []


class AppProcess:
    """One server on 127.0.0.1. Starts at once; ``wait_until_ready`` before it is used."""

    def __init__(self, folder: Path, script: Path = ROOT / "app.py", /, **variables: str) -> None:
        self.folder = folder
        self.recordings = folder / "recordings"
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.engine = variables.get("ENGINE", "echo")
        self.headers = {"X-App-Password": variables["APP_PASSWORD"]} if "APP_PASSWORD" in variables else {}
        self._log_path = folder / f"app-{self.port}.log"
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "PYTHONPATH": str(ROOT),
            "PYTHONUNBUFFERED": "1",
            "ENV_FILE": os.devnull,  # that of whoever runs the tests says nothing here
            "GRADIO_TEMP_DIR": str(folder / "gradio"),
            "HOST": "127.0.0.1",
            "PORT": str(self.port),
            **ECHO,
            "CAPTIONS": "off",  # Whisper takes a second and 300 MB, and its words play a part in few tests
            "RECORDINGS_DIR": str(self.recordings),
            **variables,
        }
        with self._log_path.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, str(script)],
                cwd=ROOT,
                env=environment,
                stdout=log,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
            )
        _processes.append(self)

    @property
    def log(self) -> str:
        return self._log_path.read_text(errors="replace")

    def operator_link(self) -> str:
        """The newest in its log, which makes whoever opens it first the operator."""
        return re.findall(r"http\S+/operator\?token=\S+", self.log)[-1]

    def exceptions(self) -> list[str]:
        """The tracebacks in its log."""
        return re.findall(r"^.*Traceback \(most recent call last\):\n(?:[ \t].*\n|\n)*.*$", self.log, re.M)

    def wait_until_ready(self) -> None:
        def ready() -> bool:
            assert self.process.poll() is None, f"The app did not start:\n{self.log}"
            with contextlib.suppress(httpx.TransportError):
                return httpx.get(f"{self.url}/health").status_code == 200
            return False

        wait_until(ready, READY_WITHIN_SEC, "the app is ready")

    def kept_call(self, call_id: str) -> dict[str, Any]:
        """What the server keeps of a recorded call on the disk, once it does."""

        def rows() -> list[tuple[str]]:
            with contextlib.closing(sqlite3.connect(self.recordings / CALLS)) as connection:
                query = "SELECT record FROM calls WHERE call_id = ?"
                return connection.execute(query, (call_id,)).fetchall()

        ((record,),) = wait_until(rows, 20, "the call is kept")
        return json.loads(record)

    def kept_phone_call(self, call_sid: str) -> dict[str, Any]:
        """What the server keeps of a recorded telephone call, once it does."""
        owner = hashlib.sha256(f"phone {call_sid}".encode()).hexdigest()

        def found() -> list[dict[str, Any]]:
            with contextlib.closing(sqlite3.connect(self.recordings / CALLS)) as connection:
                records = [json.loads(record) for (record,) in connection.execute("SELECT record FROM calls")]
            return [record for record in records if record["owner_sha256"] == owner]

        (record,) = wait_until(found, 20, "the call is kept")
        return record

    def waiting(self) -> int:
        """Callers in the queue."""
        return int(httpx.get(f"{self.url}/health", headers=self.headers).json()["waiting"])

    def free_slots(self) -> int:
        return int(httpx.get(f"{self.url}/health", headers=self.headers).json()["lines_free"])

    def wait_for_slots(self, free: int) -> None:
        """Wait until at least ``free`` slots are free."""
        wait_until(lambda: self.free_slots() >= free, 60, f"{free} slots are free")

    def terminate(self) -> int:
        """SIGTERM; returns the exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self._wait()

    def kill(self) -> None:
        self.process.kill()
        self._wait()

    def close(self) -> None:
        """End it, whatever state it is in."""
        _processes.remove(self)
        if self.process.poll() is None:
            try:
                self.terminate()
            except subprocess.TimeoutExpired:
                self.kill()
                raise

    def _wait(self) -> int:
        return self.process.wait(GONE_WITHIN_SEC)


@contextlib.contextmanager
def running_app(folder: Path, script: Path = ROOT / "app.py", /, **variables: str) -> Generator[AppProcess]:
    app = AppProcess(folder, script, **variables)
    try:
        app.wait_until_ready()
        yield app
    finally:
        app.close()
    assert app.exceptions() == []


def refusal_at_start(folder: Path, **variables: str) -> str:
    """What the app, started in ``folder``, says on standard error as it ends itself at once."""
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "HOST": "127.0.0.1", **ECHO}
    environment |= {"RECORDINGS_DIR": str(folder / "recordings"), **variables}
    command = [sys.executable, str(ROOT / "app.py")]
    ended = subprocess.run(
        command, env=environment, cwd=folder, capture_output=True, text=True, timeout=50, check=False
    )
    assert ended.returncode == 1
    assert "Traceback" not in ended.stderr
    return ended.stderr


def wait_until(true: Callable[[], T], within_sec: float, what: str, every_sec: float = 0.1) -> T:
    """Ask again and again until the answer is true, and return it. The bound is generous: it ends a hang."""
    deadline = time.monotonic() + within_sec
    while not (answer := true()):
        assert time.monotonic() < deadline, f"Waited {within_sec:.0f} s in vain until {what}."
        time.sleep(every_sec)
    return answer


def logs() -> list[tuple[str, str]]:
    """A title and the end of the log, of each app that runs."""
    return [(f"app at {app.url}", app.log[-LOG_SHOWN_CHARACTERS:]) for app in _processes]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
