"""How the app ends: SIGHUP as SIGTERM as SIGINT, everyone told, at once when it is asked twice."""

import asyncio
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import soundfile
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError

from personaplex_ui.app.signals import SENT_TWICE_WITHIN_SEC
from tests.support.app_process import AppProcess, wait_until
from tests.support.clients.moshi import chat
from tests.support.troubled import TroubledApp, troubled_app

SLOW_STEP_SEC = 0.05
SHUTTING_DOWN = "The server is shutting down. Please call again in a minute."
CLIP_SEC = 40.0

pytestmark = pytest.mark.timeout(120)


@pytest.fixture
def app(tmp_path: Path) -> Iterator[TroubledApp]:
    """Its clips take a while: a step takes 50 ms."""
    with troubled_app(tmp_path) as app:
        app.be_in_trouble("slow step")
        yield app


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    soundfile.write(tmp_path / "clip.wav", np.zeros(int(CLIP_SEC * 24_000), dtype=np.float32), 24_000)
    return tmp_path / "clip.wav"


def converse(app: AppProcess, clip: Path) -> Any:
    """A clip on its way."""
    client = Client(app.url, verbose=False)
    return client.submit(audio=handle_file(str(clip)), api_name="/converse")


def live_clips(app: AppProcess) -> bool:
    return 'personaplex_calls_live{transport="clip"} 1.0' in httpx.get(f"{app.url}/metrics").text


@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
async def test_callers_and_clips_are_told(app: AppProcess, clip: Path, sent: signal.Signals) -> None:
    job = await asyncio.to_thread(converse, app, clip)
    await asyncio.to_thread(wait_until, lambda: live_clips(app), 30, "the clip is on")
    preview = asyncio.create_task(_get(f"{app.url}/voices/NATF0/preview.wav"))
    async with chat(app.url) as client:
        await client.until(lambda: client.ready and len(client.sound) > 5)
        waiting = await asyncio.to_thread(converse, app, clip)
        await asyncio.to_thread(wait_until, lambda: app.waiting() == 1, 30, "a clip waits for a slot")
        app.process.send_signal(sent)
        await client.until(lambda: client.closed)
        assert SHUTTING_DOWN in (*client.errors, client.close_reason)
    for clip_job in (job, waiting):
        with pytest.raises(AppError) as told:
            await asyncio.to_thread(clip_job.result, 20)
        assert str(told.value) == SHUTTING_DOWN
    answer = await preview
    assert (answer.status_code, answer.json()["detail"]) == (503, SHUTTING_DOWN)
    assert await asyncio.to_thread(app.process.wait, 20) in (0, -sent)
    assert app.exceptions() == []


async def _get(url: str) -> httpx.Response:
    async with httpx.AsyncClient(timeout=60) as http:
        return await http.get(url)


def test_an_ignored_hang_up_stays_ignored(tmp_path: Path) -> None:
    """As nohup starts it."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        app = AppProcess(tmp_path)
    finally:
        signal.signal(signal.SIGHUP, before)
    try:
        app.wait_until_ready()
        app.process.send_signal(signal.SIGHUP)
        time.sleep(1)
        assert httpx.get(f"{app.url}/health").status_code == 200
    finally:
        app.close()


def hang_and_ask_to_end(app: TroubledApp) -> None:
    app.be_in_trouble("hang step")
    time.sleep(3 * SLOW_STEP_SEC)
    app.process.send_signal(signal.SIGTERM)
    wait_until(lambda: "A second signal ends" in app.log, 20, "it ends", 0.01)


@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGINT])
def test_the_second_signal_ends_it_at_once(app: TroubledApp, clip: Path, second: signal.Signals) -> None:
    """A step that hangs holds the first one up; the second one waits for nothing."""
    job = converse(app, clip)
    wait_until(lambda: live_clips(app), 30, "the clip is on")
    hang_and_ask_to_end(app)
    time.sleep(1.5 * SENT_TWICE_WITHIN_SEC)
    app.process.send_signal(second)
    assert app.process.wait(20) == 128 + second
    assert job.exception(20) is not None  # cut, as whoever sends two signals wants it


def test_what_hangs_does_not_keep_the_process(app: TroubledApp, clip: Path) -> None:
    """The step never returns. Meanwhile nobody is sent here, and who comes all the same is told."""
    job = converse(app, clip)
    other = Client(app.url, verbose=False)
    wait_until(lambda: live_clips(app), 30, "the clip is on")
    hang_and_ask_to_end(app)
    health = httpx.get(f"{app.url}/health")
    assert (health.status_code, health.json()["status"]) == (503, "draining")
    assert int(health.headers["Retry-After"]) > 0
    late: Any = other.submit(audio=handle_file(str(clip)), api_name="/converse")
    for told in (job, late):
        with pytest.raises(AppError, match=SHUTTING_DOWN):
            told.result(20)
    assert app.process.wait(20) in (0, 1)
