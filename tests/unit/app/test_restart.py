import os
import sys

import pytest

from personaplex_ui.app.restart import MOST_IN_AN_HOUR, NOTE, ProcessRestart, close_at_exec
from tests.support.clock import Clock


class Program:
    """A program that restarts itself; ``executed``: its command lines."""

    def __init__(self, note: str = "") -> None:
        self.environment = {NOTE: note}
        self.clock = Clock()
        self.executed: list[list[str]] = []

    def restart(self) -> ProcessRestart:
        return ProcessRestart(self.environment, self.clock, lambda _, line: self.executed.append(line))


def test_three_times_an_hour() -> None:
    program = Program()
    for number in range(MOST_IN_AN_HOUR):
        again = program.restart()
        assert (again.why_not(), again.has_happened) == ("", number > 0)
        again.execute()
        program.clock.now += 600
    assert "3 times within an hour" in program.restart().why_not()
    program.clock.now += 3600 - 3 * 600 + 1  # the first one is an hour ago
    assert program.restart().why_not() == ""
    assert program.executed == [[sys.executable, *sys.orig_argv[1:]]] * MOST_IN_AN_HOUR


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
def test_a_note_that_is_not_about_this_process_is_ignored(note: str) -> None:
    program = Program(note)
    assert program.restart().why_not() == ""
    program.restart().execute()
    assert program.environment[NOTE] == f"{os.getpid()} {program.clock.now:.0f}"


def test_nothing_is_left_open_for_the_next_program() -> None:
    reading, writing = os.pipe()
    try:
        os.set_inheritable(writing, True)
        close_at_exec()
        assert not os.get_inheritable(writing)
    finally:
        os.close(reading)
        os.close(writing)
