import logging
import threading

import pytest

from personaplex_ui.engine.command_queue import CommandQueue
from personaplex_ui.errors import EngineFailure, SpeakQueueFull

GONE = EngineFailure("The thread is gone.")


@pytest.fixture
def queue() -> CommandQueue[list[str]]:
    return CommandQueue(threading.Condition(threading.RLock()))


def test_commands_run_in_their_order_and_settle_their_futures(queue: CommandQueue[list[str]]) -> None:
    futures = [queue.submit(lambda target, word=word: target.append(word) or len(target)) for word in "abc"]
    assert len(queue) == 3
    target: list[str] = []
    while command := queue.take():
        command.run(target)
    assert target == ["a", "b", "c"]
    assert [future.result(0) for future in futures] == [1, 2, 3]


def test_a_command_that_nobody_waits_for_any_more_runs(queue: CommandQueue[list[str]]) -> None:
    assert queue.submit(lambda target: target.append("a")).cancel()
    target: list[str] = []
    command = queue.take()
    assert command is not None
    command.run(target)
    assert target == ["a"]


@pytest.mark.parametrize(("error", "logged"), [(KeyError("slot"), True), (SpeakQueueFull("Wait."), False)])
def test_what_a_command_raises_is_told_and_what_nobody_expects_is_logged(
    queue: CommandQueue[list[str]], error: Exception, logged: bool, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(target: list[str]) -> None:
        raise error

    future = queue.submit(fail)
    command = queue.take()
    assert command is not None
    command.run([])
    assert future.exception(0) is error
    assert bool([record for record in caplog.records if record.levelno == logging.ERROR]) == logged


def test_after_the_end_all_fail_also_what_is_in_hand(queue: CommandQueue[list[str]]) -> None:
    in_hand = queue.submit(lambda target: target.append("late"))
    command = queue.take()
    assert command is not None
    waiting = queue.submit(lambda target: target.append("never"))
    queue.close(GONE)
    queue.close(EngineFailure("Another reason."))
    futures = [in_hand, waiting, queue.submit(lambda target: target.append("refused"))]
    assert [future.exception(0) for future in futures] == [GONE] * 3
    command.run([])  # it ends at last
    assert in_hand.exception(0) is GONE
    assert queue.take() is None
