"""The image's health check, run with this test's Python, and its packages.

scripts/try-image.sh checks what only a build can show.
"""

import importlib.metadata
import json
import re
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from personaplex_ui.config.settings import Settings
from tests.support.answering_machine import answering_machine
from tests.support.app_process import free_port

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "Dockerfile").read_text()


def test_the_installed_packages_are_the_pinned_ones() -> None:
    """Those of the image are those that all other tests ran with."""
    lines = (ROOT / "requirements.txt").read_text().splitlines()
    pins = [Requirement(line) for line in lines if line and not line.lstrip().startswith("#")]
    assert all(re.fullmatch(r"==[\w.]+", str(pin.specifier)) for pin in pins)
    here = [pin for pin in pins if pin.marker is None or pin.marker.evaluate()]
    installed = {pin.name: f"=={importlib.metadata.version(pin.name)}" for pin in here}
    assert installed == {pin.name: str(pin.specifier) for pin in here}


def run_health_check(variables: Mapping[str, str]) -> int:
    """Its exit code. It has as long as Docker gives it."""
    found = re.search(r"^HEALTHCHECK .*--timeout=(\d+)s.*\\\n +CMD (\[.*\])$", DOCKERFILE, re.MULTILINE)
    assert found
    program, *rest = json.loads(found[2])
    assert program == "python"
    command = [sys.executable, *rest]
    return subprocess.run(command, env=variables, capture_output=True, timeout=int(found[1])).returncode


@pytest.mark.parametrize(("status", "code"), [(200, 0), (503, 1), (404, 1), (500, 1)])
def test_the_health_check_tells_answers_apart_and_asks_no_proxy(status: int, code: int) -> None:
    proxy = f"http://127.0.0.1:{free_port()}"
    with answering_machine() as server:
        server.answers["/health"] = (status, {})
        port = server.host.partition(":")[2]
        assert run_health_check({"PORT": port, "http_proxy": proxy, "HTTP_PROXY": proxy}) == code
        assert server.paths() == ["/health"]


def test_the_health_check_fails_where_nobody_listens_or_answers() -> None:
    assert run_health_check({"PORT": str(free_port())}) == 1
    with socket.create_server(("127.0.0.1", 0)) as silent:
        assert run_health_check({"PORT": str(silent.getsockname()[1])}) == 1


def test_the_health_check_knows_the_default_port() -> None:
    assert f"os.environ.get('PORT') or {Settings.from_mapping({}).port})" in DOCKERFILE
