import pytest

from personaplex_ui.engine.speech_model import StepCosts
from personaplex_ui.engine.work_costs import FORGOTTEN_AFTER_SEC, ChunkCost, WorkCosts

LATER = FORGOTTEN_AFTER_SEC + 0.1


def test_it_starts_from_what_loading_measured_and_follows_what_is_measured():
    cost = ChunkCost(0.03)
    assert cost.estimate_sec(0.0) == 0.03
    for tick in range(30):
        cost.add(0.02, tick * 0.08)
    assert cost.estimate_sec(30 * 0.08) == pytest.approx(0.02, abs=0.0001)


def test_an_unknown_cost_is_the_first_that_is_measured():
    cost = ChunkCost(0.0)
    assert cost.estimate_sec(0.0) == 0.0
    cost.add(0.5, 0.0)
    assert cost.estimate_sec(0.0) == 0.5


@pytest.mark.parametrize("start_sec", [0.0, 0.003])
def test_one_slow_moment_does_not_rule_chunks_out_for_good(start_sec: float):
    cost = ChunkCost(start_sec)
    cost.add(0.003, 0.0)
    cost.add(1.0, 0.1)
    assert cost.estimate_sec(0.1 + FORGOTTEN_AFTER_SEC) > 0.1
    assert cost.estimate_sec(0.1 + LATER) == pytest.approx(0.003)


def test_what_has_always_been_slow_is_not_forgotten():
    cost = ChunkCost(0.0)
    for now in range(3):
        cost.add(0.5, float(now))
    assert cost.estimate_sec(1000.0) == pytest.approx(0.5)


def test_a_step_is_expected_to_take_what_it_took_with_as_many_or_more_callers():
    costs = WorkCosts(StepCosts(step_sec=0.07), slots=4)
    assert [costs.step_sec(callers) for callers in (1, 4, 5)] == [0.07] * 3
    costs.stepped(2, 0.05)
    assert [costs.step_sec(callers) for callers in (1, 2, 3)] == [0.05, 0.05, 0.07]
    costs.stepped(2, 0.06)
    assert costs.step_sec(2) == pytest.approx(0.052)


def test_a_ride_costs_what_it_adds_to_the_step():
    costs = WorkCosts(StepCosts(step_sec=0.07), slots=4)
    costs.rode(4, 0.075, 0.0)
    assert costs.ride.estimate_sec(0.0) == pytest.approx(0.005)
    costs.rode(4, 0.06, 0.0)  # a quick step does not make rides free
    assert costs.ride.estimate_sec(0.0) == pytest.approx(0.004)


def test_a_ride_with_a_number_of_callers_never_measured_tells_of_the_step():
    costs = WorkCosts(StepCosts(step_sec=0.07, ride_sec=0.004), slots=4)
    costs.rode(1, 0.048, 0.0)
    assert costs.step_sec(1) == pytest.approx(0.044)
    assert costs.ride.estimate_sec(0.0) == 0.004


def test_nothing_is_known_of_an_unmeasured_model():
    costs = WorkCosts()
    assert costs.step_sec(3) == 0.0
    costs.rode(3, 0.05, 0.0)
    assert costs.step_sec(3) == pytest.approx(0.05)
