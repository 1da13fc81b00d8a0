"""The image, as far as it can be checked without an engine.

The Dockerfile's steps are read, and replayed where that means something: its files are copied as it says, and
its command and its health check run with this test's Python.
"""

import contextlib
import importlib.metadata
import json
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import tomllib
from collections.abc import Generator, Mapping
from fnmatch import translate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from personaplex_ui.config.settings import Settings
from tests.support.dockerfile import ROOT, arguments, copies, dockerfile, image_environment, only

# The Dockerfile --------------------------------------------------------------------------------------


def is_ignored(path: str) -> bool:
    """Whether .dockerignore keeps ``path`` out. The last pattern that fits it or a folder of it decides."""
    names = path.split("/")
    with_parents = ["/".join(names[:n]) for n in range(1, len(names) + 1)]
    ignored = False
    for line in (ROOT / ".dockerignore").read_text().splitlines():
        if not line or line.startswith("#"):
            continue
        pattern = line.removeprefix("!")
        # Docker's * stops at a slash, Python's does not.
        anywhere, _, rest = pattern.rpartition("**/")
        expression = translate(rest).replace(".*", "[^/]*")
        expression = f"(?:.*/)?{expression}" if anywhere or pattern.startswith("**/") else expression
        if any(re.match(expression, part) for part in with_parents):
            ignored = not line.startswith("!")
    return ignored


def replay_copies(target: Path) -> None:
    """Put into ``target`` what the COPY steps put into the image's working folder."""

    def left_out(folder: str, names: list[str]) -> list[str]:
        inside = Path(folder).relative_to(ROOT)
        return [name for name in names if is_ignored((inside / name).as_posix())]

    for sources, place in copies():
        for source in sources:
            if (ROOT / source).is_dir():
                shutil.copytree(ROOT / source, target / place, ignore=left_out)
            else:
                shutil.copy(ROOT / source, target / place)


@pytest.mark.parametrize(
    ("path", "ignored"),
    [
        *((path, True) for path in (".env", ".venv/bin/python", ".git/config", ".gradio/flagged/a.wav")),
        *((path, True) for path in ("recordings/call-1.wav", "voices/mine.wav", "voices/mine.pt")),
        *(
            (path, True)
            for path in (
                "tests/integration/test_deployment.py",
                "deploy/modal/app.py",
                "requirements-dev.txt",
            )
        ),
        *(
            (path, True)
            for path in ("personaplex_ui/__pycache__/a.pyc", "personaplex_ui/ui/__pycache__/b.txt")
        ),
        *((path, False) for path in ("app.py", "requirements.txt", "LICENSE", "voices/catalogue.json")),
        *(
            (path, False)
            for path in (
                "personaplex_ui/ui/static/page.js",
                "personaplex_ui/models/echo/sounds/greeting.flac",
            )
        ),
    ],
)
def test_what_the_build_may_see(path: str, ignored: bool) -> None:
    assert is_ignored(path) is ignored


def test_what_is_copied_is_there() -> None:
    sources = [source for sources, _ in copies() for source in sources]
    assert sources
    for source in sources:
        assert (ROOT / source).exists(), source
        assert not is_ignored(source), source


def test_new_code_does_not_install_the_packages_anew() -> None:
    steps = [f"{name} {argument}" for name, argument in dockerfile()]
    install = next(n for n, step in enumerate(steps) if "pip install" in step)
    assert "-r requirements.txt" in steps[install]
    assert "--no-cache-dir" in steps[install]
    copied_before = [
        source for step in steps[:install] if step.startswith("COPY") for source in step.split()[1:-1]
    ]
    assert copied_before == ["requirements.txt"]


def test_the_installed_packages_are_the_pinned_ones() -> None:
    """And so are those that all other tests ran with."""
    lines = (ROOT / "requirements.txt").read_text().splitlines()
    pins = [Requirement(line) for line in lines if line and not line.lstrip().startswith("#")]
    assert all(re.fullmatch(r"==[\w.]+", str(pin.specifier)) for pin in pins)
    here = [pin for pin in pins if pin.marker is None or pin.marker.evaluate()]
    installed = {pin.name: f"=={importlib.metadata.version(pin.name)}" for pin in here}
    assert installed == {pin.name: str(pin.specifier) for pin in here}


def test_the_image_has_a_python_that_the_app_runs_on() -> None:
    found = re.fullmatch(r"python:(3\.\d+)-slim-bookworm", only("FROM"))
    assert found
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert SpecifierSet(project["requires-python"]).contains(found[1])


def test_the_image_runs_as_a_user_who_can_write_where_the_app_does() -> None:
    assert only("USER") == "1000:1000"
    prepared = next(step for step in arguments("RUN") if "useradd" in step)
    assert "--uid 1000" in prepared
    assert "chown -R app:app /data" in prepared
    environment = image_environment()
    assert environment["HOME"] == "/home/app"
    for name in ("HF_HOME", "RECORDINGS_DIR", "VOICES_DIR"):
        assert environment[name] in prepared.split(), f"{name} is not made before the user changes"
    for name in ("GRADIO_TEMP_DIR", "NUMBA_CACHE_DIR"):
        assert environment[name].startswith("/tmp/")


def test_the_image_starts_the_app_so_that_signals_reach_it() -> None:
    assert json.loads(only("CMD")) == ["python", "app.py"]
    assert only("STOPSIGNAL") == "SIGTERM"
    assert arguments("ENTRYPOINT") == []


def test_the_image_serves_the_default_port() -> None:
    default = Settings.from_mapping({}).port
    assert int(only("EXPOSE")) == int(image_environment()["PORT"]) == default


# Its health check, run -------------------------------------------------------------------------------


def health_check() -> tuple[dict[str, str], list[str]]:
    """Its options, and its command for this test's Python."""
    options, command = only("HEALTHCHECK").split("CMD", 1)
    program, *rest = json.loads(command)
    assert program == "python"
    return dict(re.findall(r"--([a-z-]+)=(\S+)", options)), [sys.executable, *rest]


def run_health_check(port: int, environment: Mapping[str, str] | None = None) -> int:
    given = {"PATH": "", "PORT": str(port), **(environment or {})}
    return subprocess.run(health_check()[1], env=given, capture_output=True, timeout=20).returncode


@contextlib.contextmanager
def answering(status: int, asked: list[str]) -> Generator[int]:
    """A server on loopback that answers everything with ``status``; yields its port."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(status)
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


@pytest.mark.parametrize(("status", "code"), [(200, 0), (503, 1), (404, 1), (500, 1)])
def test_the_health_check_tells_answers_apart(status: int, code: int) -> None:
    asked: list[str] = []
    with answering(status, asked) as port:
        assert run_health_check(port) == code
    assert asked == ["/health"]


def test_the_health_check_fails_where_nobody_listens() -> None:
    assert run_health_check(free_port()) == 1


def test_the_health_check_gives_up_on_silence_by_itself() -> None:
    options, _ = health_check()
    with socket.create_server(("127.0.0.1", 0)) as silent:
        began = time.monotonic()
        assert run_health_check(silent.getsockname()[1]) == 1
    assert time.monotonic() - began < float(options["timeout"].removesuffix("s"))


def test_the_health_check_asks_no_proxy() -> None:
    with answering(200, []) as port:
        proxy = f"http://127.0.0.1:{free_port()}"
        assert run_health_check(port, {"http_proxy": proxy, "HTTP_PROXY": proxy}) == 0


def test_the_health_check_knows_the_default_port() -> None:
    code = health_check()[1][-1]
    assert f"os.environ.get('PORT') or {Settings.from_mapping({}).port})" in code


def test_a_first_start_has_time_for_the_download() -> None:
    options, _ = health_check()
    weights_bytes, slow_bytes_per_sec = 16_742_874_000, 5_000_000
    assert int(options["start-period"].removesuffix("m")) * 60 > weights_bytes / slow_bytes_per_sec


# The image's files, run ------------------------------------------------------------------------------


def test_what_is_copied_starts_and_gets_healthy_and_stops(tmp_path: Path) -> None:
    """With the image's variables, in another folder, and without any program to call, as ffmpeg."""
    workdir = tmp_path / only("WORKDIR").lstrip("/")
    workdir.mkdir()
    replay_copies(workdir)
    port = free_port()
    variables = {
        name: str(tmp_path / value.lstrip("/")) if value.startswith("/") else value
        for name, value in image_environment().items()
    }
    variables |= {"PATH": "/nowhere", "HOST": "127.0.0.1", "PORT": str(port), "ENGINE": "echo"}
    command = [sys.executable, *json.loads(only("CMD"))[1:]]
    with (tmp_path / "log").open("wb") as log:
        app = subprocess.Popen(command, cwd=workdir, env=variables, stdout=log, stderr=log)
    try:
        until = time.monotonic() + 45
        while run_health_check(port) != 0:
            assert app.poll() is None, (tmp_path / "log").read_text()
            assert time.monotonic() < until, (tmp_path / "log").read_text()
            time.sleep(0.3)
        app.send_signal(signal.SIGTERM)
        assert app.wait(5) in (0, -signal.SIGTERM)  # uvicorn ends as the signal would have ended it
    finally:
        app.kill()
        app.wait()
    assert "Application shutdown complete" in (tmp_path / "log").read_text()
    assert not list(workdir.rglob("recordings")), "recordings belong under /data"
