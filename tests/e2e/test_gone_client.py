"""A program that asked for /converse and is gone leaves the queue at once, not when it is its turn."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.support.app_process import ROOT, AppProcess, running_app, wait_until
from tests.support.clients.browser_process import LIVE, CallerProcess

ASK = """
import sys
from tests.support.password import let_http_clients_know_it
let_http_clients_know_it()
from gradio_client import Client, handle_file
Client(sys.argv[1], verbose=False).predict(audio=handle_file(sys.argv[2]), api_name="/converse")
"""
CLIP = ROOT / "tests/data/cases/voice_preset/user.wav"


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AppProcess]:
    with running_app(tmp_path_factory.mktemp("app"), MAX_CALLS="1") as app:
        yield app


@pytest.fixture
def holder(app: AppProcess) -> Iterator[CallerProcess]:
    """Somebody else, who is on the only line."""
    caller = CallerProcess(app.url)
    try:
        caller.start()
        caller.wait_for(LIVE)
        yield caller
    finally:
        caller.kill()


def waiting(app: AppProcess) -> int:
    return int(json.loads(httpx.get(f"{app.url}/health").text)["waiting"])


def test_a_program_that_is_killed_while_it_waits(app: AppProcess, holder: CallerProcess, tmp_path: Path):
    program = subprocess.Popen(
        [sys.executable, "-c", ASK, app.url, str(CLIP)],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    try:
        wait_until(lambda: waiting(app) == 1, 40, "the program waits for a line")
    finally:
        program.kill()
        program.wait()
    wait_until(lambda: waiting(app) == 0, 20, "its place is free")
    assert app.free_lines() == 0  # the call that is on goes on
