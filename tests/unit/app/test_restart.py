import os
import sys
from collections.abc import Callable

import pytest

from personaplex_ui.app.restart import MOST_IN_AN_HOUR, NOTE, ProcessRestart, close_at_exec
from tests.support.clock import Clock

Execute = Callable[[str, list[str]], object]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def environment() -> dict[str, str]:
    return {}


def restart(environment: dict[str, str], clock: Clock, executed: list[list[str]]) -> ProcessRestart:
    return ProcessRestart(environment, clock, lambda program, line: executed.append(line))


def test_three_times_an_hour(environment: dict[str, str], clock: Clock) -> None:
    executed: list[list[str]] = []
    for _ in range(MOST_IN_AN_HOUR):
        again = restart(environment, clock, executed)
        assert again.why_not() == ""
        assert again.has_happened == bool(executed)
        again.start_anew()
        clock.now += 600
    assert "3 times within an hour" in restart(environment, clock, executed).why_not()
    clock.now += 3600 - 3 * 600 + 1  # the first one is an hour ago
    assert restart(environment, clock, executed).why_not() == ""
    assert executed == [[sys.executable, *sys.orig_argv[1:]]] * MOST_IN_AN_HOUR


@pytest.mark.parametrize(
    "note",
    [
        "",
        " ",
        f"{os.getpid()}",
        f"{os.getpid()} a b c",
        f"{os.getppid()} 999999 999999 999999",
        f"{os.getpid()} nan nan nan",
        f"{os.getpid()} 9e99 inf 2000000",
        "x" * 100_000,
    ],
    ids=range(8),  # the number of this process is another one in each of several that test side by side
)
def test_a_note_that_is_not_about_this_process_is_none(clock: Clock, note: str) -> None:
    executed: list[list[str]] = []
    environment = {NOTE: note}
    again = restart(environment, clock, executed)
    assert again.why_not() == ""
    again.start_anew()
    assert environment[NOTE] == f"{os.getpid()} {clock.now:.0f}"


def test_nothing_is_left_open_for_the_next_program() -> None:
    reading, writing = os.pipe()
    try:
        os.set_inheritable(writing, True)
        close_at_exec()
        assert not os.get_inheritable(writing)
    finally:
        os.close(reading)
        os.close(writing)
