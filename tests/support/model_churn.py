"""Makes calls on the tiny PersonaPlex in a process of its own and prints what memory they left, as JSON.

``python -m tests.support.model_churn WARM_UP CALLS``. Four callers at once come and go in all ways, each
with a role of its own: the personas kept take 2 MB, so that they are forgotten all the time.
"""

import os

os.environ["NO_TORCH_COMPILE"] = "1"

import asyncio
import ctypes
import gc
import json
import random
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import psutil
import torch

from personaplex_ui.audio.frames import FRAME_SAMPLES, Samples
from personaplex_ui.calls.live_call import LiveCall
from personaplex_ui.calls.manager import CallManager
from personaplex_ui.calls.settings import CallSettings
from personaplex_ui.calls.store import CallStore
from personaplex_ui.channels.clips.answer import converse
from personaplex_ui.engine.engine import Engine, EngineState
from personaplex_ui.engine.speech_model import Persona, Sampling
from personaplex_ui.errors import CallOver, EngineUnavailable
from personaplex_ui.models.personaplex.loading.load import Source, load_personaplex
from personaplex_ui.models.personaplex.model import PersonaPlexModel
from personaplex_ui.voices.library import VoiceLibrary
from tests.support.app_process import TINY

SLOTS = 4
PERSONA_CACHE_BYTES = 2_000_000
LONG_ROLE = "You are a kind teacher who answers in plain words, number "
"""With this the persona of a call takes a quarter of a megabyte: 200 that stay are 50."""

WAYS = ("clip", "clip", "clip", "clip", "recorded", "again", "impatient", "cancelled")


class Callers:
    """``number``: of a call, from which all that differs between calls is drawn."""

    def __init__(self, call_manager: CallManager) -> None:
        self._call_manager = call_manager
        self._at_once = asyncio.Semaphore(SLOTS)

    async def call(self, number: int) -> None:
        draw = random.Random(number)
        way = WAYS[number % len(WAYS)]
        voice = draw.choice(["NATF0", "NATM1"])
        role = "Be kind." if way == "again" else f"{LONG_ROLE}{number}. " * 4
        settings = CallSettings(Persona(voice, role), Sampling(seed=number), record=way == "recorded")
        rng = np.random.default_rng(number)
        sound = rng.normal(0, 0.1, draw.randint(1, 4) * FRAME_SAMPLES).astype(np.float32)
        async with self._at_once:
            match way:
                case "recorded":
                    await self._hang_up_while_live(settings, sound)
                case "impatient":
                    await self._hang_up_before(settings, draw.random() / 20)
                case "cancelled":
                    await self._cancel(settings, sound, draw.random() / 10)
                case _:
                    answer = await converse(sound, settings, self._call_manager)
                    assert len(answer.samples) == len(sound)

    async def _hang_up_while_live(self, settings: CallSettings, sound: Samples) -> None:
        call = self._call_manager.open(settings, owner="somebody")
        await call.live.wait()
        await call.speak("Good morning.")
        for start in range(0, len(sound), FRAME_SAMPLES):
            call.hear(sound[start : start + FRAME_SAMPLES])
            call.change_sampling(Sampling(text_temperature=0.5, greedy=start % 2 == 0))
            assert await call.next_answer(20) is not None
        await self._end(call)

    async def _hang_up_before(self, settings: CallSettings, after_sec: float) -> None:
        call = self._call_manager.open(settings)
        await asyncio.sleep(after_sec)  # it is preparing
        await self._end(call)

    async def _end(self, call: LiveCall) -> None:
        call.hang_up("You hung up.")
        await self._call_manager.ended(call)
        assert call.reason == "You hung up."

    async def _cancel(self, settings: CallSettings, sound: Samples, after_sec: float) -> None:
        try:
            async with asyncio.timeout(after_sec):
                await converse(sound, settings, self._call_manager)
        except (TimeoutError, EngineUnavailable, CallOver):
            pass


def memory_mb() -> float:
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # what the C library keeps is held by nothing
    if trim is not None:
        trim(0)
    return psutil.Process().memory_info().rss / 2**20


def load() -> PersonaPlexModel:
    voices = VoiceLibrary()
    source = Source(
        TINY["HF_REPO"], device="cpu", slots=SLOTS, persona_cache_bytes=PERSONA_CACHE_BYTES, voices=voices
    )
    return load_personaplex(source, lambda message, progress: None)


async def main(warm_up: int, calls: int) -> None:
    model = load()
    engine = Engine(lambda report: model, SLOTS)
    await engine.start()
    while engine.state is EngineState.LOADING:
        await asyncio.sleep(0.01)
    with tempfile.TemporaryDirectory() as folder:
        call_manager = CallManager(engine, CallStore(Path(folder), 3600, time.time), 600)
        await call_manager.start()
        callers = Callers(call_manager)
        await asyncio.gather(*(callers.call(number) for number in range(warm_up)))
        before_mb = memory_mb()
        await asyncio.gather(*(callers.call(number) for number in range(warm_up, warm_up + calls)))
        while engine.slots.free < SLOTS or call_manager.calls:
            await asyncio.sleep(0.01)  # the cancelled ones are leaving
        after_mb = memory_mb()
        rows = model.stepper.rows
        await call_manager.close()
    await engine.close()
    print(json.dumps({"before_mb": before_mb, "after_mb": after_mb, "rows": rows}))


if __name__ == "__main__":
    torch.set_num_threads(1)
    asyncio.run(main(int(sys.argv[1]), int(sys.argv[2])))
