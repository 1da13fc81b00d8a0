"""Keeps Python's garbage collections short, for the sake of calls.

A full collection visits every object, some 215,000 of page, libraries and model, and stops every thread for
150 ms (measured), so two frames of every call are late. Long-lived objects are therefore excluded.
"""

import asyncio
import gc

from personaplex_ui.engine.engine import Engine, EngineState

LOOK_FOR_MODEL_EVERY_SEC = 0.5


async def keep_collections_short(engine: Engine) -> None:
    """Exclude page and libraries from collections, and each model once it is loaded. The engine unfreezes the
    objects of an earlier model when it loads another. On cancellation everything is collected again."""
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
    while engine.state not in (EngineState.READY, EngineState.DRAINING):  # noqa: ASYNC110  there is no event
        await asyncio.sleep(LOOK_FOR_MODEL_EVERY_SEC)
