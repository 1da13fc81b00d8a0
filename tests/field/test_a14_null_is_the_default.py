"""Values of /converse that are null or left out: what JavaScript's client sends is the default."""

from pathlib import Path
from typing import Any

import pytest
import soundfile

from tests.support.page_session import LIBRARIES_WARN, EventRefused, OpenApp, PageSession

pytestmark = [LIBRARIES_WARN, pytest.mark.asyncio(loop_scope="module")]

NAMES = (
    *("voice", "text_prompt", "text_temperature", "audio_temperature"),
    *("text_top_k", "audio_top_k", "seed", "greedy"),
)
DEFAULTS: dict[str, Any] = {
    "voice": "NATF2",
    "text_prompt": "",
    "text_temperature": 0.7,
    "audio_temperature": 0.8,
    "text_top_k": 25,
    "audio_top_k": 250,
    "seed": None,
    "greedy": False,
}


@pytest.mark.parametrize("names", [*[(name,) for name in NAMES], NAMES])
async def test_null_is_the_default(app: OpenApp, clip: Path, names: tuple[str, ...]):
    answer, _ = await PageSession(app).converse(clip, **dict.fromkeys(names))
    assert soundfile.info(answer).duration == 1.0


async def test_the_settings_of_the_call_are_the_defaults(
    app: OpenApp, clip: Path, monkeypatch: pytest.MonkeyPatch
):
    opened: list[Any] = []
    open_call = app.call_manager.open_clip

    def noting(settings: Any, *arguments: Any, **options: Any) -> Any:
        opened.append(settings)
        return open_call(settings, *arguments, **options)

    monkeypatch.setattr(app.call_manager, "open_clip", noting)
    for values in (DEFAULTS, dict.fromkeys(NAMES)):
        await PageSession(app).converse(clip, **values)
    assert opened[0] == opened[1]


async def test_values_at_the_end_may_be_left_out(app: OpenApp, clip: Path):
    page = PageSession(app)
    for values in ([], ["NATF2"], ["NATF2", "You are kind.", None]):
        sent = {"data": [await page.upload(clip), *values]}
        event = (await app.http.post("/gradio_api/call/converse", json=sent)).json()["event_id"]
        answer = await app.http.get(f"/gradio_api/call/converse/{event}")
        assert "event: complete" in answer.text
        await page.trigger("converse", *sent["data"])


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"greedy": "yes"}, "Greedy must be true or false."),
        ({"greedy": 1}, "Greedy must be true or false."),
        ({"text_temperature": True}, "The text temperature must be a number"),
        ({"text_temperature": "warm"}, "The text temperature must be a number"),
        ({"audio_temperature": []}, "The audio temperature must be a number"),
        ({"text_top_k": False}, "The text top-k must be a whole number"),
        ({"audio_top_k": 2.5}, "The audio top-k must be a whole number"),
        ({"seed": {}}, "The seed must be a whole number"),
        ({"voice": 7}, "voice"),
        ({"voice": False}, "voice"),
        ({"text_prompt": 7}, "The role must be text."),
    ],
)
async def test_what_is_something_else_is_refused_in_words(
    app: OpenApp, clip: Path, values: dict[str, Any], sentence: str
):
    with pytest.raises(EventRefused, match=sentence):
        await PageSession(app).converse(clip, **values)


async def test_numbers_may_be_texts(app: OpenApp, clip: Path):
    values = {"text_temperature": "0.5", "text_top_k": "10", "seed": "42", "audio_top_k": 100.0}
    await PageSession(app).converse(clip, **values)
