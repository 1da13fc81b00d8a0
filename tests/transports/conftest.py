"""The real engine around the fake model, with two lines; and Twilio's streams to it.

A test file that needs another engine has its own.
"""

import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from personaplex_ui.calls.address_limits import AddressLimits
from personaplex_ui.calls.switchboard import Switchboard
from personaplex_ui.engine.worker import Engine
from tests.fake_model import FakeModel
from tests.running import running_engine, running_switchboard
from tests.transports.twilio_rig import Dial, dialling


@pytest.fixture
def model() -> FakeModel:
    return FakeModel()


@pytest.fixture
async def engine(model: FakeModel) -> AsyncIterator[Engine]:
    async with running_engine(model, max_calls=2, max_waiting=1) as engine:
        yield engine


@pytest.fixture
async def switchboard(engine: Engine, tmp_path: Path) -> AsyncIterator[Switchboard]:
    limits = AddressLimits(3, 0, time.monotonic)
    async with running_switchboard(engine, tmp_path / "recordings", limits) as switchboard:
        yield switchboard


@pytest.fixture
async def dial(switchboard: Switchboard) -> AsyncIterator[Dial]:
    async with dialling(switchboard) as dial:
        yield dial
