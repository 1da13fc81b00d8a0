"""Own voices with unusual names, from the page and the API."""

import html
import re
import unicodedata
from collections.abc import AsyncIterator
from pathlib import Path
from shutil import copyfile

import pytest
import torch

from personaplex_ui.audio.files.clip_file import write_wav
from personaplex_ui.engine.engine import EngineState
from tests.support.page_session import LIBRARIES_WARN, OpenApp, PageSession, open_app
from tests.support.voice_recordings import RECORDING, speech

TINY = Path(__file__).parents[2] / "data/tiny"
NAMES = ["Zoë", "हिन्दी", "Bob's", "Tom & Ann", "v2+", "100% #1 = {a};"]

pytestmark = LIBRARIES_WARN


@pytest.fixture
async def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[OpenApp]:
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "gradio"))
    monkeypatch.setenv("NO_TORCH_COMPILE", "1")
    torch.set_num_threads(1)
    voices = tmp_path / "voices"
    voices.mkdir()
    for name in NAMES:
        copyfile(RECORDING, voices / f"{unicodedata.normalize('NFD', name)}.wav")
    async with open_app(
        tmp_path, ENGINE="personaplex", DEVICE="cpu", HF_REPO=str(TINY), VOICES_DIR=str(voices)
    ) as app:
        assert await app.loaded() is EngineState.READY
        yield app


async def test_they_are_offered_previewed_and_spoken_with(app: OpenApp, tmp_path: Path) -> None:
    page = PageSession(app)
    offered = (await page.trigger("offer_voices", "NATF0"))[0]
    values = {value for _, value in offered["choices"]}
    assert {unicodedata.normalize("NFC", name) for name in NAMES} <= values
    write_wav(tmp_path / "clip.wav", speech(0.4))
    for name in sorted(value for value in values if not value.startswith("NAT")):
        (player, *_) = await page.trigger("preview", name)
        source = re.search(r'src="([^"]*)"', player)
        assert source, player
        answer = await app.get(f"/{html.unescape(source[1])}")
        assert (answer.status_code, answer.headers["content-type"]) == (200, "audio/wav")
        await page.converse(tmp_path / "clip.wav", voice=f"{unicodedata.normalize('NFD', name)}.pt")
