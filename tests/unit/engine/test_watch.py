import pytest

from personaplex_ui.engine.watch import FAILURES_IN_A_ROW, LIMIT_SEC, Pulse, Trouble, Watch, Work

LOOK_SEC = 0.25


class Watched:
    """A thread as it is seen, and the clock."""

    def __init__(self) -> None:
        self.pulse = Pulse()
        self.watch = Watch()
        self.now = 100.0
        self.alive = True
        self.commands = 0

    def look(self, after_sec: float = LOOK_SEC) -> Trouble | None:
        self.now += after_sec
        return self.watch.look(self.now, self.pulse, self.alive, self.commands)

    def look_for(self, sec: float) -> list[Trouble]:
        looks = (self.look() for _ in range(round(sec / LOOK_SEC)))
        return [trouble for trouble in looks if trouble]


@pytest.fixture
def thread() -> Watched:
    thread = Watched()
    assert thread.look() is None
    return thread


@pytest.mark.parametrize("work", Work)
def test_work_that_never_ends_is_told_once(thread: Watched, work: Work) -> None:
    thread.pulse.begin(work)
    assert thread.look_for(LIMIT_SEC[work]) == []
    (trouble,) = thread.look_for(LIMIT_SEC[work])
    assert trouble.hung_in is work
    assert f"for {LIMIT_SEC[work]:.0f} seconds" in trouble.what


def test_one_piece_of_work_after_the_other_is_no_hang(thread: Watched) -> None:
    for _ in range(100):
        thread.pulse.begin(Work.STEP)
        assert thread.look_for(1.0) == []
        thread.pulse.end()


def test_who_has_nothing_to_do_does_not_hang(thread: Watched) -> None:
    assert thread.look_for(60.0) == []


def test_a_thread_that_takes_no_commands_hangs(thread: Watched) -> None:
    thread.commands = 1
    (trouble,) = thread.look_for(10.0)
    assert trouble.hung_in is Work.COMMAND


@pytest.mark.parametrize("jumps", [[3600.0], [-3600.0], [60.0, 60.0, 60.0]])
def test_a_machine_that_slept_did_not_hang(thread: Watched, jumps: list[float]) -> None:
    thread.pulse.begin(Work.STEP)
    assert thread.look_for(0.5) == []
    assert [thread.look(after_sec) for after_sec in jumps] == [None] * len(jumps)
    thread.pulse.end()
    assert thread.look_for(60.0) == []


def test_a_thread_that_ended_is_told_once(thread: Watched) -> None:
    thread.alive = False
    (trouble,) = thread.look_for(10.0)
    assert trouble.hung_in is None


def test_failures_count_in_a_row_only(thread: Watched) -> None:
    for _ in range(3):
        for _ in range(FAILURES_IN_A_ROW - 1):
            thread.pulse.failed(step=True)
        assert thread.look() is None
        thread.pulse.succeeded()
    for _ in range(FAILURES_IN_A_ROW):
        thread.pulse.failed(step=False)
    assert thread.look() == Trouble("The speech model failed 3 times in a row.", of_steps=False)
