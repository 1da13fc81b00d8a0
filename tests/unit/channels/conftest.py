"""The real engine around the fake model, with two slots; and Twilio's streams to it.

A test file that needs another engine has its own.
"""

import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from personaplex_ui.calls.limits import AddressLimits
from personaplex_ui.calls.manager import CallManager
from personaplex_ui.engine.engine import Engine
from tests.support.fake_model import FakeModel
from tests.support.running import running_call_manager, running_engine
from tests.support.twilio_rig import Dial, Peer, dialling


@pytest.fixture
def model() -> FakeModel:
    return FakeModel()


@pytest.fixture
async def engine(model: FakeModel) -> AsyncIterator[Engine]:
    async with running_engine(model, max_calls=2, max_waiting=1) as engine:
        yield engine


@pytest.fixture
async def call_manager(engine: Engine, tmp_path: Path) -> AsyncIterator[CallManager]:
    limits = AddressLimits(3, 0, time.monotonic)
    async with running_call_manager(engine, tmp_path / "recordings", limits) as call_manager:
        yield call_manager


@pytest.fixture
async def dial(call_manager: CallManager) -> AsyncIterator[Dial]:
    async with dialling(call_manager) as dial:
        yield dial


@pytest.fixture
async def peer(dial: Dial) -> Peer:
    """A telephone whose call is live."""
    peer = dial()
    await peer.start()
    return peer
