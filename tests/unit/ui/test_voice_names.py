"""Own voices with unusual names, from the page and the API."""

import unicodedata
from pathlib import Path
from shutil import copyfile
from urllib.parse import quote

import pytest

from tests.support.page_session import LIBRARIES_WARN, OpenApp, PageSession
from tests.support.voice_recordings import RECORDING

NAMES = ["Zoë", "हिन्दी", "Bob's", "Tom & Ann", "v2+", "100% #1 = {a};"]

pytestmark = LIBRARIES_WARN


@pytest.fixture
def variables(tmp_path: Path) -> dict[str, str]:
    voices = tmp_path / "voices"
    voices.mkdir()
    for name in NAMES:
        copyfile(RECORDING, voices / f"{unicodedata.normalize('NFD', name)}.wav")
    return {"VOICES_DIR": str(voices)}


async def test_they_are_offered_previewed_and_spoken_with(
    app: OpenApp, page: PageSession, clip: Path
) -> None:
    offered = (await page.trigger("offer_voices", "NATF0"))[0]
    values = {value for _, value in offered["choices"]}
    assert {unicodedata.normalize("NFC", name) for name in NAMES} <= values
    for name in sorted(value for value in values if not value.startswith("NAT")):
        answer = await app.get(f"/voices/{quote(name, safe='')}/preview.wav")
        assert (answer.status_code, answer.headers["content-type"]) == (200, "audio/wav")
        await page.converse(clip, voice=f"{unicodedata.normalize('NFD', name)}.pt")
