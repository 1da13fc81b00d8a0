"""The page's functions with the tiny model behind them: the role counted in its tokens, what does not fit
refused everywhere with one sentence, and the model that takes clips only.
"""

import re
from html import unescape
from pathlib import Path
from shutil import copyfile
from typing import cast

import numpy as np
import pytest
import soundfile

from personaplex_ui.calls.snapshot import Phase
from personaplex_ui.engine.engine import EngineState
from personaplex_ui.engine.scheduler import Scheduler
from personaplex_ui.engine.speech_model import Persona, StepCosts
from personaplex_ui.engine.thread import ModelThread
from personaplex_ui.models.personaplex.loading.load import OFFLOADED_IS_SLOW
from tests.support.app_process import TINY
from tests.support.page_session import LIBRARIES_WARN, EventRefused, OpenApp, PageSession, open_app
from tests.support.running import until
from tests.support.voice_recordings import RECORDING

ROLE = "You are a kind teacher."
TOO_LONG = "You are a very kind teacher. " * 20
COUNTER = re.compile(r"([\d,]+) of ([\d,]+) tokens")

pytestmark = LIBRARIES_WARN


def with_voice(tmp_path: Path) -> dict[str, str]:
    """One slot, nobody waits, and a voice of the folder beside those of the model."""
    voices = tmp_path / "voices"
    voices.mkdir(exist_ok=True)
    copyfile(RECORDING, voices / "anna.wav")
    return {"VOICES_DIR": str(voices), "MAX_CALLS": "1", "MAX_WAITING": "0"}


@pytest.fixture
def variables(tmp_path: Path) -> dict[str, str]:
    return with_voice(tmp_path)


def counted(counter: str) -> tuple[int, int]:
    found = COUNTER.search(counter)
    assert found is not None, counter
    used, most = (int(number.replace(",", "")) for number in found.groups())
    return used, most


# The role in tokens ---------------------------------------------------------------------------------


@pytest.mark.parametrize("role", [ROLE, "", "Grüße, 你好! " * 3])
async def test_the_role_is_counted_as_the_model_counts_it(app: OpenApp, page: PageSession, role: str):
    counter, message = await page.trigger("check_role", role, "NATF0")
    size = app.engine.model.prompt_size(Persona("NATF0", role.strip()))
    assert size is not None
    assert counted(counter) == (size.tokens, size.most)
    assert "alert" not in message


async def test_how_much_fits_depends_on_the_voice(app: OpenApp, page: PageSession):
    await page.trigger("offer_voices", "NATF0")
    sizes = {
        voice: (await page.trigger("check_role", ROLE, voice))[0] for voice in ("NATF0", "NATM1", "anna")
    }
    assert len({counted(counter)[1] for counter in sizes.values()}) == 3
    assert len({counted(counter)[0] for counter in sizes.values()}) == 1


async def test_a_role_that_just_fits_one_voice_does_not_fit_another(app: OpenApp, page: PageSession):
    words = 1
    while not page_refuses(app, "NATM1", words):
        words += 1
    assert not page_refuses(app, "NATF0", words)
    call = await page.call(voice="NATF0", text_prompt="be kind " * words)
    assert call.live.is_set()
    call.hang_up("Enough.")
    await app.call_manager.ended(call)
    assert "too long" in (await page.refusal(voice="NATM1", text_prompt="be kind " * words)).lower()


def page_refuses(app: OpenApp, voice: str, words: int) -> bool:
    return "alert" in app.callbacks.check_role("be kind " * words, voice)[1]


async def test_a_role_that_does_not_fit_is_refused_with_one_sentence_and_takes_no_line(
    app: OpenApp, page: PageSession, clip: Path
):
    counter, message = await page.trigger("check_role", TOO_LONG, "NATF0")
    used, most = counted(counter)
    assert used > most
    assert f"{used - most:,} too many" in counter
    found = re.search(r'role="alert">(.*)</p>', message)
    assert found is not None
    sentence = unescape(found[1])
    assert sentence.endswith(".")

    holder = await page.call()  # on the only line: who asked for one would be told that it is busy
    assert holder.phase is Phase.LIVE
    assert await page.refusal(text_prompt=TOO_LONG) == sentence
    with pytest.raises(EventRefused) as refused:
        await page.converse(clip, text_prompt=TOO_LONG)
    assert str(refused.value) == sentence
    holder.hang_up("Enough.")
    await app.call_manager.ended(holder)
    assert app.engine.slots.free == 1


async def test_a_role_is_counted_in_characters_while_there_is_no_model(tmp_path: Path):
    async with open_app(tmp_path, **TINY | with_voice(tmp_path) | {"HF_REPO": "some/missing/folder"}) as app:
        await app.loaded()
        counter, message = await PageSession(app).trigger("check_role", ROLE, "NATF0")
        assert f"{len(ROLE)} of 2,000 characters" in counter
        assert "alert" not in message


# Clips only -----------------------------------------------------------------------------------------


async def test_layers_in_host_memory_answer_clips_and_refuse_live_calls(tmp_path: Path, clip: Path):
    async with open_app(tmp_path, **TINY | with_voice(tmp_path), CPU_OFFLOAD="1") as app:
        assert await app.loaded() is EngineState.READY
        page = PageSession(app)
        sentence = await page.refusal()
        assert sentence == OFFLOADED_IS_SLOW
        assert "QUANTIZE=int8" in sentence
        assert (await app.health())[1]["message"] == OFFLOADED_IS_SLOW
        answer, _ = await page.converse(clip, greedy=True)
        offloaded = np.asarray(soundfile.read(answer)[0])
    async with open_app(tmp_path, **TINY | with_voice(tmp_path)) as app:
        await app.loaded()
        answer, _ = await PageSession(app).converse(clip, greedy=True)
        assert np.array_equal(offloaded, np.asarray(soundfile.read(answer)[0]))


async def test_a_live_call_waits_for_no_slow_first_chunk(app: OpenApp, page: PageSession):
    """Where a chunk of a preparation takes longer than a frame, and nobody is live, it must go on all the
    same: there is nobody to be late for."""
    thread = cast(ModelThread, vars(app.engine)["_thread"])
    scheduler = cast(Scheduler, vars(thread)["_scheduler"])
    scheduler.expect(StepCosts(chunk_sec=10.0), app.engine.slots.capacity)
    call = await page.call()
    await until(call.live.is_set)
    call.hang_up("Enough.")
    await app.call_manager.ended(call)
