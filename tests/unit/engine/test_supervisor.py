import pytest

from personaplex_ui.engine.supervisor import (
    FAILURES_IN_A_ROW,
    HELD_SEC,
    Pulse,
    Remedy,
    Supervisor,
    Verdict,
    Work,
)

LOOK_SEC = 0.25
HANGS, ENDS, FAILS, REFUSES = "hangs", "ends", "fails", "refuses"


class Watched:
    """A thread as it is seen, and the clock."""

    def __init__(self) -> None:
        self.supervisor = Supervisor()
        self.now = 100.0
        self.has_model = True
        self.recover()

    def recover(self) -> None:
        """Another thread, which is well."""
        self.pulse = Pulse()
        self.alive = True
        self.commands = 0
        self.supervisor.watch_next()
        assert self.look() is None

    def look(self, after_sec: float = LOOK_SEC) -> Verdict | None:
        self.now += after_sec
        return self.supervisor.look(self.now, self.pulse, self.alive, self.commands, self.has_model)

    def look_for(self, sec: float) -> list[Verdict]:
        looks = (self.look() for _ in range(round(sec / LOOK_SEC)))
        return [verdict for verdict in looks if verdict]

    def remedy(self, trouble: str) -> Remedy:
        """What is done about ``trouble``; the next thread is well."""
        if trouble == HANGS:
            self.pulse.begin(Work.STEP)
        for _ in range(FAILURES_IN_A_ROW if trouble in (FAILS, REFUSES) else 0):
            self.pulse.failed(step=trouble == FAILS)
        self.alive = trouble != ENDS
        (verdict,) = self.look_for(10.0)
        self.recover()
        return verdict.remedy


@pytest.fixture
def thread() -> Watched:
    return Watched()


@pytest.mark.parametrize(
    ("work", "remedy"),
    [
        (Work.LOAD, Remedy.WAIT),
        (Work.RELOAD, Remedy.GIVE_UP),
        (Work.STEP, Remedy.LOAD_AGAIN),
        (Work.PREPARE, Remedy.LOAD_AGAIN),
        (Work.COMMAND, Remedy.LOAD_AGAIN),
    ],
)
def test_work_that_never_ends_is_told_once(thread: Watched, work: Work, remedy: Remedy) -> None:
    thread.pulse.begin(work)
    assert thread.look_for(work.limit_sec) == []
    (verdict,) = thread.look_for(work.limit_sec)
    assert verdict.remedy is remedy
    assert f"for {work.limit_sec:.0f} seconds" in verdict.trouble


def test_one_piece_of_work_after_the_other_is_not_a_hang(thread: Watched) -> None:
    for _ in range(100):
        thread.pulse.begin(Work.STEP)
        assert thread.look_for(1.0) == []
        thread.pulse.end()


def test_a_thread_without_work_does_not_hang(thread: Watched) -> None:
    assert thread.look_for(60.0) == []


def test_a_thread_that_takes_no_commands_hangs(thread: Watched) -> None:
    thread.commands = 1
    (verdict,) = thread.look_for(10.0)
    assert "has not let go" in verdict.trouble


@pytest.mark.parametrize("jumps", [[3600.0], [-3600.0], [60.0, 60.0, 60.0]])
def test_a_machine_that_slept_did_not_hang(thread: Watched, jumps: list[float]) -> None:
    thread.pulse.begin(Work.STEP)
    assert thread.look_for(0.5) == []
    assert [thread.look(after_sec) for after_sec in jumps] == [None] * len(jumps)
    thread.pulse.end()
    assert thread.look_for(60.0) == []


def test_a_thread_that_ended_is_told_once(thread: Watched) -> None:
    thread.alive = False
    (verdict,) = thread.look_for(10.0)
    assert "has ended" in verdict.trouble


def test_failures_count_in_a_row_only(thread: Watched) -> None:
    for _ in range(3):
        for _ in range(FAILURES_IN_A_ROW - 1):
            thread.pulse.failed(step=True)
        assert thread.look() is None
        thread.pulse.succeeded()
    for _ in range(FAILURES_IN_A_ROW):
        thread.pulse.failed(step=False)
    assert thread.look() == Verdict(Remedy.KEEP_MODEL, "The speech model failed 3 times in a row.")


# What is done ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("trouble", [ENDS, FAILS, REFUSES])
def test_the_model_is_kept_if_there_is_one(thread: Watched, trouble: str) -> None:
    assert thread.remedy(trouble) is Remedy.KEEP_MODEL
    other = Watched()
    other.has_model = False
    assert other.remedy(trouble) is Remedy.LOAD_AGAIN


@pytest.mark.parametrize("first", [FAILS, HANGS])
@pytest.mark.parametrize("second", [FAILS, HANGS])
def test_once_and_no_more_until_it_has_held(first: str, second: str) -> None:
    for later_sec, given_up in ((0.0, True), (HELD_SEC, False)):
        thread = Watched()
        assert thread.remedy(first) is not Remedy.GIVE_UP
        thread.now += later_sec
        assert (thread.remedy(second) is Remedy.GIVE_UP) is given_up


def test_voices_and_roles_that_fail_bring_nothing_down(thread: Watched) -> None:
    """Else who sends three of them, twice, could end the server."""
    assert {thread.remedy(REFUSES) for _ in range(5)} == {Remedy.KEEP_MODEL}
    assert thread.remedy(FAILS) is Remedy.KEEP_MODEL


def test_another_model_has_another_chance(thread: Watched) -> None:
    thread.remedy(FAILS)
    thread.supervisor.forget()
    assert thread.remedy(FAILS) is Remedy.KEEP_MODEL
