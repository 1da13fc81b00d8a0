"""When a process that was asked to end quietly does so, with a clock of the test's own."""

import os
import signal
from pathlib import Path

import pytest

from personaplex_ui.app.quiet_shutdown import LINGERS_SEC, QuietShutdown
from personaplex_ui.calls.manager import CallManager
from personaplex_ui.calls.quiet_end import QuietEnd
from personaplex_ui.calls.store import CallStore
from personaplex_ui.engine.engine import Engine
from tests.support.clock import Clock
from tests.support.fake_model import FakeModel

DRAIN_SEC, STAYS_SEC = 30.0, 600.0


@pytest.fixture
def clock() -> Clock:
    return Clock(1000.0)


@pytest.fixture
def manager(tmp_path: Path, clock: Clock) -> CallManager:
    manager = CallManager(Engine(lambda report: FakeModel(), 1), CallStore(tmp_path, 60.0, clock), 600.0)
    manager.quiet_end = QuietEnd(manager.calls, clock)
    return manager


@pytest.fixture
def quiet(manager: CallManager, clock: Clock) -> QuietShutdown:
    return QuietShutdown(manager, DRAIN_SEC, STAYS_SEC, clock)


async def test_nobody_is_served_so_it_is_over_at_once(quiet: QuietShutdown, manager: CallManager) -> None:
    assert not quiet.is_over()
    assert not manager.quiet_end.is_on
    assert quiet.ask()
    assert quiet.is_over()


async def test_it_waits_for_the_last_one_and_lingers_for_what_is_still_asked(
    quiet: QuietShutdown, manager: CallManager, clock: Clock
) -> None:
    manager.at_work = 1
    quiet.ask()
    assert not quiet.is_over()
    assert manager.quiet_end.is_final
    clock.now += 10.0
    assert not quiet.is_over()
    manager.at_work = 0
    clock.now += LINGERS_SEC / 2
    assert not quiet.is_over()
    clock.now += LINGERS_SEC / 2
    assert quiet.is_over()


async def test_it_waits_for_who_was_answered(
    quiet: QuietShutdown, manager: CallManager, clock: Clock
) -> None:
    answered = 1
    manager.opening.append(lambda: answered)
    quiet.ask()
    assert not quiet.is_over()
    answered = 0
    clock.now += LINGERS_SEC / 2
    assert not quiet.is_over()
    clock.now += LINGERS_SEC / 2
    assert quiet.is_over()


async def test_what_is_asked_after_a_call_that_ended_just_before_is_answered(
    quiet: QuietShutdown, manager: CallManager, clock: Clock
) -> None:
    manager.at_work = 1
    assert not quiet.is_over()
    manager.at_work = 0
    quiet.ask()
    assert not quiet.is_over()
    clock.now += LINGERS_SEC
    assert quiet.is_over()


async def test_it_is_over_when_time_is_up(quiet: QuietShutdown, manager: CallManager, clock: Clock) -> None:
    manager.at_work = 1
    quiet.ask()
    assert not quiet.is_over()
    clock.now += DRAIN_SEC
    assert quiet.is_over()


async def test_asked_again_it_is_not_quiet(quiet: QuietShutdown, manager: CallManager) -> None:
    assert quiet.ask()
    assert not quiet.ask()
    assert not QuietShutdown(manager, 0.0, STAYS_SEC).ask()


@pytest.mark.parametrize(("before_sec", "left_sec"), [(5.0, 5.0), (3000.0, DRAIN_SEC)])
async def test_an_earlier_end_of_the_owner_counts_where_it_is_shorter(
    quiet: QuietShutdown, manager: CallManager, before_sec: float, left_sec: float
) -> None:
    manager.quiet_end.begin(before_sec)
    manager.at_work = 1
    quiet.ask()
    assert not quiet.is_over()
    assert manager.quiet_end.left_sec == left_sec


async def test_by_its_signal_the_process_stays(quiet: QuietShutdown, manager: CallManager) -> None:
    before = signal.getsignal(signal.SIGUSR1)
    with quiet.asked_by_signal():
        os.kill(os.getpid(), signal.SIGUSR1)
        assert not quiet.is_over()
        assert manager.quiet_end.left_sec == STAYS_SEC
        assert not manager.quiet_end.is_final
        manager.quiet_end.begin(7.0)
        os.kill(os.getpid(), signal.SIGUSR1)  # changes nothing
        assert not quiet.is_over()
        assert manager.quiet_end.left_sec == 7.0
    assert signal.getsignal(signal.SIGUSR1) is before
