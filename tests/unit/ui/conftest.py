"""The app on the tiny checkpoint, and a page of it, for the tests that go through Gradio's queue."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import torch

from personaplex_ui.audio.files.clip_file import write_wav
from personaplex_ui.engine.engine import EngineState
from tests.support.app_process import TINY
from tests.support.page_session import OpenApp, PageSession, open_app
from tests.support.voice_recordings import speech

CLIP_SEC = 0.8


@pytest.fixture
def gradio_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "gradio"
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(folder))
    return folder


@pytest.fixture
def variables() -> dict[str, str]:
    """Of the app besides ``TINY``; for a module to override."""
    return {}


@pytest.fixture
async def app(
    tmp_path: Path, gradio_folder: Path, variables: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[OpenApp]:
    monkeypatch.setenv("NO_TORCH_COMPILE", "1")
    torch.set_num_threads(1)
    async with open_app(tmp_path, **TINY | variables) as app:
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
