"""The real engine and call manager around the fake model, and how tests wait for what comes about."""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from personaplex_ui.calls.limits import AddressLimits
from personaplex_ui.calls.manager import CallManager
from personaplex_ui.calls.store import CallStore
from personaplex_ui.engine.engine import Engine, EngineState
from personaplex_ui.engine.speech_model import SpeechModel
from tests.support.fake_model import FakeModel

MAX_CALL_SEC = 600.0


async def until(true: Callable[[], bool], within_sec: float = 10.0) -> None:
    """Wait until the answer is true; the bound is generous, it ends a hang."""
    async with asyncio.timeout(within_sec):
        while not true():
            await asyncio.sleep(0.005)


@asynccontextmanager
async def running_engine(model: FakeModel, max_calls: int, max_waiting: int) -> AsyncGenerator[Engine]:
    """Ready, with ``max_calls`` slots. At the end the model goes on, whatever the test had it wait for."""
    model.slots = max_calls
    engine = Engine(lambda report: model, max_calls, max_waiting)
    await engine.start()
    await until(lambda: engine.state is EngineState.READY)
    yield engine
    model.going.set()
    await engine.close()


@asynccontextmanager
async def serving_model(model: SpeechModel) -> AsyncGenerator[Engine]:
    """The engine with any model, ready."""
    engine = Engine(lambda report: model, model.slots)
    await engine.start()
    await until(lambda: engine.state is EngineState.READY)
    yield engine
    await engine.close()


@asynccontextmanager
async def running_call_manager(
    engine: Engine,
    folder: Path,
    limits: AddressLimits | None = None,
    clock: Callable[[], float] = time.time,
) -> AsyncGenerator[CallManager]:
    """Its recordings go into ``folder``."""
    call_manager = CallManager(engine, CallStore(folder, 3600.0, clock), MAX_CALL_SEC, limits)
    await call_manager.start()
    yield call_manager
    await call_manager.close()
