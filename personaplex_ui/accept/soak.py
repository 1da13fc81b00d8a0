"""Step e: the app's own engine with all its callers in real time, for as long as a busy half hour lasts.

Half of the callers stay, so that their windows fill; the others come and go, each time with a role that
nobody has had before, so that personas are prepared while others talk. There is no network: channels have
tests of their own."""

import asyncio
import gc
import time
from collections.abc import Callable

from personaplex_ui.accept.gpu_condition import read_condition
from personaplex_ui.accept.host_memory import resident_mb
from personaplex_ui.accept.soak_caller import Manner, SoakCaller
from personaplex_ui.accept.soak_record import MemoryUse, SoakRecord, Tick
from personaplex_ui.audio.frames import Samples
from personaplex_ui.engine.engine import Engine, EngineState, LoadModel
from personaplex_ui.engine.speech_model import Persona

LOOK_EVERY_SEC = 1.0
GPU_EVERY_SEC = 10.0
LOADS_WITHIN_SEC = 3_600.0
STAY_SEC = 60.0
LONGEST_STAY_SHARE = 0.25
"""Of the soak: in a short one, callers come and go more often."""

AFTER_ALL_SEC = 10.0
"""How long calls may take to end."""


async def soak(
    load: LoadModel,
    max_calls: int,
    persona: Persona,
    speech: Samples,
    record: SoakRecord,
    tell: Callable[[float], None],
    gpu: str = "",
) -> None:
    """Fill ``record`` for ``record.wanted_sec`` seconds. ``load`` runs on the engine's thread. Cancellation
    ends it early and leaves what was seen in ``record``. ``gpu``: the UUID of the GPU, to watch its
    temperature."""
    engine = Engine(load, max_calls)
    begun = time.perf_counter()
    await engine.start()
    try:
        await _until_loaded(engine)
        record.loaded_sec = time.perf_counter() - begun
        if engine.state is not EngineState.READY:
            record.load_failed = engine.health.message
            return
        record.slots = engine.model.slots
        gc.collect()
        gc.freeze()  # as the app does once a model is loaded
        watching = asyncio.create_task(_watch_gpu(gpu, record))
        try:
            await _calls(engine, persona, speech, record, tell)
        finally:
            watching.cancel()
    finally:
        gc.unfreeze()
        record.restarts = engine.restarts
        await engine.close()


async def _until_loaded(engine: Engine) -> None:
    async with asyncio.timeout(LOADS_WITHIN_SEC):
        while engine.state is EngineState.LOADING:  # noqa: ASYNC110  there is no event
            await asyncio.sleep(0.05)


async def _watch_gpu(gpu: str, record: SoakRecord) -> None:
    while gpu:
        condition = await asyncio.to_thread(read_condition, gpu, record.seconds)
        if condition is None:
            return
        record.gpu.append(condition)
        await asyncio.sleep(GPU_EVERY_SEC)


async def _calls(
    engine: Engine, persona: Persona, speech: Samples, record: SoakRecord, tell: Callable[[float], None]
) -> None:
    begun = time.perf_counter()

    def ticked(sec: float, callers: int) -> None:
        record.ticks.append(Tick(time.perf_counter() - begun, sec, callers))

    callers = [_caller(slot, engine, persona, speech, record) for slot in range(record.slots)]
    tasks = [asyncio.create_task(caller.run()) for caller in callers]
    engine.on_tick.append(ticked)
    try:
        while (at_sec := time.perf_counter() - begun) < record.wanted_sec:
            record.seconds = at_sec
            if engine.state is EngineState.READY:
                record.memory.append(MemoryUse(at_sec, engine.model.memory_allocated_mb(), resident_mb()))
            tell(at_sec / record.wanted_sec)
            await asyncio.sleep(min(LOOK_EVERY_SEC, record.wanted_sec - at_sec))
        record.seconds = record.wanted_sec
    finally:
        engine.on_tick.remove(ticked)
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks, timeout=AFTER_ALL_SEC)


def _caller(slot: int, engine: Engine, persona: Persona, speech: Samples, record: SoakRecord) -> SoakCaller:
    stays = slot < record.slots // 2
    stay_sec = None if stays else min(STAY_SEC, LONGEST_STAY_SHARE * record.wanted_sec)

    def persona_of(call: int) -> Persona:
        role = f"{persona.text_prompt} This is call {call} of line {slot}."
        return Persona(persona.voice, role.strip())

    return SoakCaller(f"line {slot}, call", engine, Manner(speech, persona_of, stay_sec, seed=slot), record)
