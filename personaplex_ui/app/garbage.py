"""Keeps Python's garbage collections short, for the sake of calls.

A full collection looks at all objects there are, some 215,000 of page, libraries and model, and stops every
thread for 150 ms (measured): two frames of every call come late. What is there to stay is left out of them.
"""

import asyncio
import gc

from personaplex_ui.engine.engine import Engine, EngineState

LOOK_FOR_MODEL_EVERY_SEC = 0.5


async def keep_collections_short(engine: Engine) -> None:
    """Leave page and libraries out of collections, and each model once it is loaded. What an earlier one held
    is unfrozen by the engine when it loads another one. When this is cancelled, all is collected again."""
    try:
        while engine.state is not EngineState.DRAINING:
            restarts = engine.restarts
            _freeze()
            await until_loaded(engine)
            _freeze()
            while engine.state is EngineState.READY and engine.restarts == restarts:  # noqa: ASYNC110
                await asyncio.sleep(LOOK_FOR_MODEL_EVERY_SEC)
    finally:
        gc.unfreeze()


def _freeze() -> None:
    gc.collect()
    gc.freeze()


async def until_loaded(engine: Engine) -> None:
    """Wait until a model is ready, or the server ends."""
    while engine.state not in (EngineState.READY, EngineState.DRAINING):  # noqa: ASYNC110  it has no event
        await asyncio.sleep(LOOK_FOR_MODEL_EVERY_SEC)
