"""Previews of voices on a fake model that says back what it hears, and what it hears is silence."""

import asyncio
import io
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

from personaplex_ui.audio.frames import FRAME_SAMPLES
from personaplex_ui.calls.manager import CallManager
from personaplex_ui.channels.clips.preview import PREVIEW_SEC, PREVIEW_SEED, Previews
from personaplex_ui.engine.speech_model import Persona
from personaplex_ui.errors import InvalidInput, PersonaplexError
from personaplex_ui.voices.catalogue import Voice
from personaplex_ui.voices.library import VoiceLibrary
from tests.support.fake_model import FakeModel
from tests.support.running import running_call_manager, running_engine, until

VOICES = VoiceLibrary([Voice(name, "Natural", name) for name in ("NATF2", "NATM1", "nobody")])
PREVIEW_FRAMES = 75


@pytest.fixture
async def call_manager(model: FakeModel, tmp_path: Path) -> AsyncIterator[CallManager]:
    """With one slot and no queue, so that a second call would be refused."""
    async with (
        running_engine(model, max_calls=1, max_waiting=0) as engine,
        running_call_manager(engine, tmp_path) as call_manager,
    ):
        yield call_manager
        model.going.set()
        await all_is_free(call_manager)


@pytest.fixture
def previews(call_manager: CallManager) -> Previews:
    return Previews(call_manager, VOICES, "Be kind.")


async def all_is_free(call_manager: CallManager) -> None:
    await until(lambda: not call_manager.calls)
    assert call_manager.engine.slots.free == 1


async def test_a_preview_is_six_seconds_of_the_voice(previews: Previews, model: FakeModel):
    model.going.clear()
    making = asyncio.create_task(previews.wav_of("NATM1"))
    await until(lambda: bool(model.joined))
    persona, sampling = model.joined[0]
    assert persona == Persona("NATM1", "Be kind.")
    assert sampling.seed == PREVIEW_SEED
    model.going.set()
    samples, rate_hz = soundfile.read(io.BytesIO(await making), dtype="float32")
    assert rate_hz == 24_000
    assert samples.shape == (PREVIEW_FRAMES * FRAME_SAMPLES,)
    assert len(samples) == PREVIEW_SEC * rate_hz
    assert not np.any(samples)


async def test_many_who_ask_at_once_get_it_from_one_call_and_it_is_kept(
    previews: Previews, call_manager: CallManager, model: FakeModel
):
    first, *others = await asyncio.gather(*[previews.wav_of("NATF2") for _ in range(8)])
    assert set(others) == {first}
    assert await previews.wav_of("NATF2.pt") == first
    assert len(model.steps) == PREVIEW_FRAMES
    await all_is_free(call_manager)
    await previews.wav_of("NATM1")
    assert len(model.steps) == 2 * PREVIEW_FRAMES


@pytest.mark.parametrize("voice", ["", "NATF9", "../../etc/passwd", "natf2"])
async def test_an_unknown_voice_is_refused_without_a_call(previews: Previews, model: FakeModel, voice: str):
    with pytest.raises(InvalidInput) as refused:
        await previews.wav_of(voice)
    assert refused.value.field == "voice"
    assert model.steps == []


async def test_a_voice_the_model_refuses_is_told_in_its_words(previews: Previews):
    with pytest.raises(PersonaplexError, match="no voice"):
        await previews.wav_of("nobody")


async def test_what_failed_once_is_tried_again(
    previews: Previews, call_manager: CallManager, model: FakeModel
):
    model.fail_steps = 1
    with pytest.raises(PersonaplexError, match="call again"):
        await previews.wav_of("NATF2")
    await all_is_free(call_manager)
    assert (await previews.wav_of("NATF2"))[:4] == b"RIFF"


async def test_who_stops_waiting_frees_the_slot(
    previews: Previews, call_manager: CallManager, model: FakeModel
):
    model.going.clear()
    making = asyncio.create_task(previews.wav_of("NATF2"))
    await until(lambda: bool(model.joined))
    making.cancel()
    with pytest.raises(asyncio.CancelledError):
        await making
    model.going.set()
    await all_is_free(call_manager)
    assert (await previews.wav_of("NATF2"))[:4] == b"RIFF"
