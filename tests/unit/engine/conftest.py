"""An engine that is ready, for the tests of this folder."""

from collections.abc import AsyncIterator

import pytest

from tests.support.engine_rig import EngineRig, running_rig


@pytest.fixture
async def rig() -> AsyncIterator[EngineRig]:
    async with running_rig() as rig:
        yield rig
