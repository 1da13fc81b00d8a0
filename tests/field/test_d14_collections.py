"""What stays is left out of garbage collections under any ASGI server: the app's lifespan sees to it."""

import asyncio
import gc
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from personaplex_ui.app import garbage
from personaplex_ui.app.bootstrap import build_app
from personaplex_ui.config.settings import Settings
from personaplex_ui.engine.engine import EngineState
from tests.support.page_session import LIBRARIES_WARN, open_app
from tests.support.running import until

pytestmark = LIBRARIES_WARN


@pytest.fixture(autouse=True)
async def unfrozen(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[None]:
    monkeypatch.setattr(garbage, "LOOK_FOR_MODEL_EVERY_SEC", 0.01)
    gc.unfreeze()
    yield
    gc.unfreeze()


async def test_by_the_lifespan_alone(tmp_path: Path) -> None:
    async with open_app(tmp_path, True, ENGINE="echo") as app:
        await until(lambda: gc.get_freeze_count() > 0)
        assert await app.loaded() is EngineState.READY
        model = app.engine.model
        # Frozen objects are in no generation any more.
        await until(lambda: not any(thing is model for thing in gc.get_objects()))
        assert not any(thing is app.page for thing in gc.get_objects())
    assert gc.get_freeze_count() == 0  # whoever runs another app in this process can collect this one


async def test_again_after_a_restart_of_the_engine(tmp_path: Path) -> None:
    async with open_app(tmp_path, True, ENGINE="echo") as app:
        assert await app.loaded() is EngineState.READY
        await until(lambda: gc.get_freeze_count() > 0)
        await asyncio.sleep(0.1)
        gc.unfreeze()  # as who loads another model does
        for _ in range(3):
            vars(app.engine)["_thread"].pulse.failed(step=True)
        app.engine.look()
        await until(lambda: gc.get_freeze_count() > 0)
        await until(lambda: app.engine.state is EngineState.READY)
        assert app.engine.restarts == 1


async def test_an_app_that_is_only_built_freezes_nothing(tmp_path: Path) -> None:
    build_app(Settings.from_mapping({"ENGINE": "echo", "RECORDINGS_DIR": str(tmp_path)}))
    assert gc.get_freeze_count() == 0
