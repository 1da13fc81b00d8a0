import pytest

from personaplex_ui.engine.recovery import HELD_SEC, Recovery, Remedy
from personaplex_ui.engine.watch import Trouble, Work

FAILS = Trouble("It failed.")
HANGS = Trouble("It hangs.", hung_in=Work.STEP)
REFUSES = Trouble("It failed to prepare.", of_steps=False)


def remedy(recovery: Recovery, trouble: Trouble, now: float = 0.0, can_be_tried: bool = True) -> Remedy:
    return recovery.remedy(trouble, now, has_model=True, can_be_tried=can_be_tried)


@pytest.mark.parametrize(
    ("trouble", "first"),
    [(FAILS, Remedy.KEEP_MODEL), (REFUSES, Remedy.KEEP_MODEL), (HANGS, Remedy.LOAD_AGAIN)],
)
def test_the_model_is_kept_if_it_can_be(trouble: Trouble, first: Remedy) -> None:
    assert remedy(Recovery(), trouble) is first


def test_without_a_model_there_is_none_to_keep() -> None:
    assert Recovery().remedy(FAILS, 0.0, has_model=False, can_be_tried=True) is Remedy.LOAD_AGAIN


@pytest.mark.parametrize("first", [FAILS, HANGS])
@pytest.mark.parametrize("second", [FAILS, HANGS])
def test_once_and_no_more_until_it_has_held(first: Trouble, second: Trouble) -> None:
    recovery = Recovery()
    remedy(recovery, first)
    assert remedy(recovery, second, HELD_SEC - 1) is Remedy.GIVE_UP
    assert remedy(recovery, second, HELD_SEC) is not Remedy.GIVE_UP


def test_voices_and_roles_that_fail_bring_nothing_down_while_the_model_can_be_tried() -> None:
    """Else who sends three of them, twice, could end the server."""
    recovery = Recovery()
    assert {remedy(recovery, REFUSES, now) for now in range(5)} == {Remedy.KEEP_MODEL}
    assert remedy(recovery, FAILS, 5.0) is Remedy.KEEP_MODEL


def test_else_they_count() -> None:
    recovery = Recovery()
    assert remedy(recovery, REFUSES, 0.0, can_be_tried=False) is Remedy.KEEP_MODEL
    assert remedy(recovery, REFUSES, 1.0, can_be_tried=False) is Remedy.GIVE_UP


def test_what_loads_may_yet_come_but_not_in_a_restart() -> None:
    assert remedy(Recovery(), Trouble("It loads.", hung_in=Work.LOAD)) is Remedy.WAIT
    assert remedy(Recovery(), Trouble("It loads.", hung_in=Work.RELOAD)) is Remedy.GIVE_UP


def test_another_model_begins_anew() -> None:
    recovery = Recovery()
    remedy(recovery, FAILS)
    recovery.forget()
    assert remedy(recovery, FAILS, 1.0) is Remedy.KEEP_MODEL
