"""For tests against the app: one for each module, in this process."""

from collections.abc import AsyncIterator
from typing import Any, cast

import pytest
import pytest_asyncio

from tests.support.page_session import OpenApp, open_app


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
