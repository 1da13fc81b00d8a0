"""The guess of how long a caller waits, from lengths that are given."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from personaplex_ui.calls.settings import CallSettings
from personaplex_ui.calls.snapshot import Phase, Snapshot
from personaplex_ui.calls.wait_estimate import TakenLine, WaitEstimate, expected_wait_sec
from personaplex_ui.engine.speech_model import Persona
from tests.support.fake_model import FakeModel
from tests.support.running import running_call_manager, running_engine

SETTINGS = CallSettings(Persona("NATF2", ""), record=False)


@pytest.mark.parametrize(
    ("place", "taken", "recent_sec"),
    [
        (1, [], [60.0]),
        (1, [TakenLine(5.0)], []),
        (0, [TakenLine(5.0)], [60.0]),
    ],
)
def test_too_little_is_known(place: int, taken: list[TakenLine], recent_sec: list[float]):
    assert expected_wait_sec(place, taken, recent_sec) is None


@pytest.mark.parametrize(
    ("elapsed_sec", "max_sec", "left_sec"),
    [
        (0.0, 0.0, 120.0),  # the mean of all
        (70.0, 0.0, 80.0),  # those of 100 and 200 s: 150 on average
        (150.0, 0.0, 50.0),
        (150.0, 160.0, 10.0),  # it may not last longer
        (300.0, 0.0, 100.0),  # longer than any: as long again as usual
        (300.0, 600.0, 150.0),  # or half of what it may last
        (600.0, 600.0, 0.0),
        (601.0, 600.0, 0.0),
    ],
)
def test_a_line_is_free_when_calls_of_its_age_usually_end(
    elapsed_sec: float, max_sec: float, left_sec: float
):
    recent_sec = [60.0, 100.0, 200.0]
    assert expected_wait_sec(1, [TakenLine(elapsed_sec, max_sec)], recent_sec) == pytest.approx(left_sec)


def test_the_first_in_the_queue_gets_the_line_that_is_free_first():
    taken = [TakenLine(0.0), TakenLine(90.0), TakenLine(40.0)]
    assert [expected_wait_sec(place, taken, [100.0]) for place in (1, 2, 3)] == [10.0, 60.0, 100.0]


def test_those_ahead_are_taken_to_talk_as_long_as_usual():
    assert [expected_wait_sec(place, [TakenLine(90.0)], [100.0]) for place in (1, 2, 3)] == [10, 110, 210]
    assert expected_wait_sec(2, [TakenLine(90.0, 100.0)], [100.0]) == 110
    assert expected_wait_sec(2, [TakenLine(45.0, 50.0)], [40.0, 100.0, 100.0]) == 55, "at most their limit"


async def test_it_learns_from_calls_that_were_live(tmp_path: Path):
    async with (
        running_engine(FakeModel(), max_calls=2, max_waiting=2) as engine,
        running_call_manager(engine, tmp_path) as call_manager,
    ):
        waits = WaitEstimate(call_manager)
        waiting = Snapshot("", Phase.WAITING, place=1)
        talking = call_manager.open(SETTINGS)
        await talking.live.wait()
        assert waits.wait_sec(waiting) is None
        for length_sec, live in ((100.0, True), (7.0, False)):
            ended = SimpleNamespace(
                paced=True, elapsed_sec=length_sec, live=SimpleNamespace(is_set=lambda live=live: live)
            )
            for tell in call_manager.on_end:
                tell(cast(Any, ended))
        assert waits.wait_sec(waiting) == pytest.approx(100.0, abs=5.0)
        assert waits.wait_sec(Snapshot("", Phase.WAITING)) is None
        assert waits.wait_sec(Snapshot("", Phase.LIVE, place=1)) is None
