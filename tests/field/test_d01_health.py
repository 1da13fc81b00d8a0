"""A model in trouble, in the app as a process: what `/health` says, what callers hear, what comes of it."""

import asyncio
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError

from tests.support.app_process import wait_until
from tests.support.clients.moshi import MoshiClient, chat
from tests.support.troubled import SLOTS, TroubledApp, troubled_app

HELPED_WITHIN_SEC = 60.0

pytestmark = pytest.mark.timeout(240)


@pytest.fixture
def app(tmp_path: Path) -> Iterator[TroubledApp]:
    with troubled_app(tmp_path) as app:
        yield app


async def until(app: TroubledApp, true: Any, what: str) -> Any:
    return await asyncio.to_thread(wait_until, true, HELPED_WITHIN_SEC, what)


async def is_told(client: MoshiClient) -> str:
    """The sentence that a caller hears at the end."""
    await client.until(lambda: client.closed, HELPED_WITHIN_SEC)
    sentence = " ".join([*client.errors, client.close_reason])
    assert "Please call again" in sentence or "The speech engine stopped answering" in sentence, client
    return sentence


async def can_call(app: TroubledApp) -> None:
    async with chat(app.url) as client:
        await client.until(lambda: len(client.sound) > 5)


@pytest.mark.parametrize("words", ["hang step", "die step"])
async def test_a_step_that_never_ends_is_left_behind(app: TroubledApp, words: str) -> None:
    async with chat(app.url) as one, chat(app.url) as two:
        await one.until(lambda: len(one.sound) > 3)
        await two.until(lambda: len(two.sound) > 3)
        app.be_in_trouble(words)
        await until(app, lambda: "Restarting the engine" in app.log, "it is noticed")
        app.be_in_trouble("")
        for client in (one, two):
            await is_told(client)
    await until(app, app.is_well, "all slots are free")
    assert app.starts == 1
    await can_call(app)


async def test_a_clip_hears_of_it_too(app: TroubledApp, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "clip.wav", np.zeros(20 * 24_000, dtype=np.float32), 24_000)
    app.be_in_trouble("hang step")
    client = await asyncio.to_thread(Client, app.url, verbose=False)
    job: Any = client.submit(audio=handle_file(str(tmp_path / "clip.wav")), api_name="/converse")
    await until(app, lambda: "Restarting the engine" in app.log, "it is noticed")
    app.be_in_trouble("")
    with pytest.raises(AppError, match=r"is being restarted\. Please call again in a minute\."):
        await asyncio.to_thread(job.result, 30)
    await until(app, app.is_well, "all slots are free")


@pytest.mark.parametrize("words", ["hang prepare", "hang join"])
async def test_a_preparation_that_hangs_ends_with_a_sentence(app: TroubledApp, words: str) -> None:
    app.be_in_trouble(words)
    async with chat(app.url) as client:
        await until(app, lambda: "Restarting the engine" in app.log, "it is noticed")
        app.be_in_trouble("")
        await is_told(client)
    await until(app, app.is_well, "all slots are free")
    await can_call(app)


async def test_a_process_restarts_three_times_and_then_says_why(app: TroubledApp) -> None:
    app.be_in_trouble("fail step")
    for _ in range(SLOTS):
        async with chat(app.url) as client:
            await is_told(client)
    await until(app, lambda: app.health()[0] != 200, "it is noticed")
    await until(app, lambda: app.health()[1].get("status") == "failed", "it gives up")
    status, body, again = app.health()
    assert status == 503
    assert "restarted itself 3 times within an hour" in body["message"]
    assert int(again) > 0
    assert app.process.poll() is None
    async with chat(app.url) as client:
        await client.until(lambda: client.closed)
        assert "restarted itself 3 times" in " ".join(client.errors)
    assert app.starts == 4  # no call was taken in vain by the last three


async def test_a_model_that_cannot_be_loaded_again_is_loaded_by_the_next_start(app: TroubledApp) -> None:
    """As when the memory of the GPU is full of what hangs there."""
    async with chat(app.url) as client:
        await client.until(lambda: len(client.sound) > 3)
        app.be_in_trouble("fail load")
        app.process.send_signal(signal.SIGUSR2)  # the step that is on hangs
        await is_told(client)
    await until(app, lambda: app.starts >= 2, "the process restarts")
    app.be_in_trouble("")
    await until(app, app.is_well, "it is loaded")
    await can_call(app)


async def test_a_process_that_hangs_for_good_restarts_and_gets_well(app: TroubledApp) -> None:
    app.be_in_trouble("hang step")
    async with chat(app.url) as client:
        await is_told(client)
    await until(app, lambda: "Restarting the server" in app.log, "no restart helps")
    app.be_in_trouble("")
    await until(app, lambda: app.starts == 2 and app.is_well(), "it has restarted")
    await can_call(app)


async def test_a_slow_machine_is_not_a_hanging_one(app: TroubledApp) -> None:
    app.be_in_trouble("slow step")
    async with chat(app.url) as client:
        await client.until(lambda: len(client.sound) > 40)
        assert not client.closed
    assert "restarted" not in app.log
