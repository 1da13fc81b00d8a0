"""The app on ZeroGPU, whose ``spaces.GPU`` lets functions through where the platform is not: whole clips are
answered as they always are, and live calls refused in words.
"""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np
import pytest
import soundfile
import torch

from personaplex_ui.audio.files.clip_file import write_wav
from personaplex_ui.audio.frames import SAMPLE_RATE_HZ
from personaplex_ui.engine.engine import EngineState
from personaplex_ui.engine.speech_model import OfflineModel, Persona, Sampling
from personaplex_ui.models.personaplex import zero_gpu
from personaplex_ui.models.personaplex.zero_gpu import (
    LONGEST_SEC,
    NO_LIVE_CALLS,
    WAKE_SEC,
    ZeroGpuModel,
    gpu_sec,
)
from tests.support.page_session import LIBRARIES_WARN, EventRefused, OpenApp, PageSession, open_app
from tests.support.voice_recordings import RECORDING, speech

TINY = Path(__file__).parents[3] / "data/tiny"
VARIABLES = {"ENGINE": "personaplex", "DEVICE": "cpu", "HF_REPO": str(TINY)}
CLIP_SEC = 2.0

pytestmark = LIBRARIES_WARN


@pytest.fixture(autouse=True)
def _own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "gradio"))
    torch.set_num_threads(1)


@pytest.fixture
async def app(tmp_path: Path) -> AsyncIterator[OpenApp]:
    async with open_app(tmp_path, **VARIABLES, SPACES_ZERO_GPU="1") as app:
        assert await app.loaded() is EngineState.READY
        yield app


@pytest.fixture
def page(app: OpenApp) -> PageSession:
    return PageSession(app)


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    path = tmp_path / "clip.wav"
    write_wav(path, speech(CLIP_SEC))
    return path


async def test_a_live_call_is_refused_in_words_that_the_page_shows_before(app: OpenApp, page: PageSession):
    assert await page.refusal() == NO_LIVE_CALLS
    status, health = await app.health()
    assert (status, health["status"], health["message"]) == (200, "healthy", NO_LIVE_CALLS)
    assert health["lines_free"] == health["lines"]


async def test_a_clip_is_answered_as_elsewhere(app: OpenApp, page: PageSession, clip: Path, tmp_path: Path):
    assert isinstance(app.engine.model, OfflineModel)
    lent, lent_lines = await page.converse(clip, greedy=True)
    async with open_app(tmp_path / "usual", **VARIABLES) as usual:
        await usual.loaded()
        assert not isinstance(usual.engine.model, OfflineModel)
        own, own_lines = await PageSession(usual).converse(clip, greedy=True)
        same, other = (np.asarray(soundfile.read(path)[0]) for path in (lent, own))
    assert len(same) == int(CLIP_SEC * SAMPLE_RATE_HZ)
    assert np.abs(same).max() > 0.01
    assert np.array_equal(same, other)
    assert [line["text"] for line in lent_lines] == [line["text"] for line in own_lines]
    assert lent_lines == own_lines


async def test_a_voice_can_be_heard_before(app: OpenApp):
    answer = await app.get("/voices/NATM1/preview.wav")
    assert answer.status_code == 200
    assert len(answer.content) > 6 * SAMPLE_RATE_HZ


async def test_ones_own_voice_answers_a_clip(page: PageSession, clip: Path):
    voice: Any = (await page.trigger("use", await page.upload(RECORDING), True))[0]
    answer, _ = await page.converse(clip, voice=voice["value"], greedy=True)
    assert len(soundfile.read(answer)[0]) == int(CLIP_SEC * SAMPLE_RATE_HZ)


async def test_a_role_that_does_not_fit_costs_no_gpu(
    app: OpenApp, page: PageSession, clip: Path, monkeypatch: pytest.MonkeyPatch
):
    asked: list[object] = []
    monkeypatch.setattr(app.engine.model, "_answer_clip", lambda *values: asked.append(values))  # pyright: ignore
    with pytest.raises(EventRefused, match="role"):
        await page.converse(clip, text_prompt="You are a very kind teacher. " * 20)
    assert asked == []


async def test_what_the_platform_says_is_told_in_its_words(
    app: OpenApp, page: PageSession, clip: Path, monkeypatch: pytest.MonkeyPatch
):
    def refuse(*values: object) -> None:
        raise gr.Error("You have exceeded your GPU quota.")

    monkeypatch.setattr(app.engine.model, "_answer_clip", refuse)
    with pytest.raises(EventRefused, match="exceeded your GPU quota"):
        await page.converse(clip)


async def test_a_recording_goes_along_to_the_other_process_and_is_forgotten_there(
    app: OpenApp, page: PageSession, clip: Path, monkeypatch: pytest.MonkeyPatch
):
    voice: Any = (await page.trigger("use", await page.upload(RECORDING), True))[0]
    model = app.engine.model
    assert isinstance(model, ZeroGpuModel)
    recording = model.voices.recording(voice["value"])
    model.voices.forget_upload(voice["value"])  # as in a process that was forked before
    monkeypatch.setattr(zero_gpu.os, "getpid", lambda: 1)
    sound = np.zeros(1920, np.float32)
    answer: Any = model._answer_clip  # pyright: ignore[reportPrivateUsage]
    said, _ = answer(sound, Persona(voice["value"], ""), Sampling(greedy=True), recording)
    assert len(said) == len(sound)
    assert model.voices.is_lost_upload(voice["value"])


def test_a_gpu_is_asked_for_as_long_as_the_clip_needs():
    def asked_sec(clip_sec: float) -> int:
        samples = np.zeros(int(clip_sec * SAMPLE_RATE_HZ), np.float32)
        return gpu_sec(samples, Persona("NATF0", ""), Sampling(), None)

    assert asked_sec(0.0) == WAKE_SEC
    assert WAKE_SEC < asked_sec(10.0) < asked_sec(60.0) < 60.0 + WAKE_SEC
    assert asked_sec(3_600.0) == LONGEST_SEC
