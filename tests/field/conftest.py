"""For the field cases: the whole app in this process, one for each module; and an engine with one slot by
itself."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast

import pytest
import pytest_asyncio

from personaplex_ui.calls.manager import CallManager
from personaplex_ui.engine.engine import Engine
from tests.support.fake_model import FakeModel
from tests.support.page_session import OpenApp, open_app
from tests.support.running import running_call_manager, running_engine


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def app(
    tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> AsyncIterator[OpenApp]:
    """The echo engine's, loaded, with the module's ``VARIABLES``."""
    module = cast(Any, request).module
    variables: dict[str, str] = getattr(module, "VARIABLES", {})
    async with open_app(tmp_path_factory.mktemp("app"), ENGINE="echo", **variables) as app:
        await app.loaded()
        yield app


@pytest.fixture
def model() -> FakeModel:
    return FakeModel()


@pytest.fixture
async def engine(model: FakeModel) -> AsyncIterator[Engine]:
    async with running_engine(model, max_calls=1, max_waiting=1) as engine:
        yield engine


@pytest.fixture
async def call_manager(engine: Engine, tmp_path: Path) -> AsyncIterator[CallManager]:
    async with running_call_manager(engine, tmp_path) as call_manager:
        yield call_manager
