"""The real engine and switchboard around the fake model, and how tests wait for what comes about."""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from personaplex_ui.calls.address_limits import AddressLimits
from personaplex_ui.calls.archive import Archive
from personaplex_ui.calls.switchboard import Switchboard
from personaplex_ui.engine.worker import Engine, EngineState
from tests.fake_model import FakeModel

MAX_CALL_SEC = 600.0


async def until(true: Callable[[], bool], within_sec: float = 10.0) -> None:
    """Wait until the answer is true; the bound is generous, it ends a hang."""
    async with asyncio.timeout(within_sec):
        while not true():
            await asyncio.sleep(0.005)


@asynccontextmanager
async def running_engine(model: FakeModel, max_calls: int, max_waiting: int) -> AsyncGenerator[Engine]:
    """Ready. At the end the model goes on, whatever the test had it wait for."""
    engine = Engine(lambda report: model, max_calls, max_waiting)
    await engine.start()
    await until(lambda: engine.state is EngineState.READY)
    yield engine
    model.going.set()
    await engine.close()


@asynccontextmanager
async def running_switchboard(
    engine: Engine,
    folder: Path,
    limits: AddressLimits | None = None,
    clock: Callable[[], float] = time.time,
) -> AsyncGenerator[Switchboard]:
    """Its recordings go into ``folder``."""
    switchboard = Switchboard(engine, Archive(folder, 3600.0, clock), MAX_CALL_SEC, limits)
    await switchboard.start()
    yield switchboard
    await switchboard.close()
