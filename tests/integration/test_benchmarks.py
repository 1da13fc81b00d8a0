"""The bench runs and says what it promises; how fast this machine is, is no matter of tests."""

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks import echo
from benchmarks import load as load_bench
from benchmarks.__main__ import main
from benchmarks.caller import Caller
from benchmarks.load_report import COLUMNS, Load, LoadReport
from benchmarks.timed_model import TimedModel, stamp, stamp_of
from personaplex_ui.audio.frames import FrameCutter
from personaplex_ui.calls.settings import CallSettings
from personaplex_ui.engine.engine import Engine
from personaplex_ui.engine.speech_model import Persona, Sampling, complete
from personaplex_ui.errors import PersonaplexError
from tests.support.fake_model import FakeModel

LOAD = Load(
    calls=1,
    frames=125,
    latency_p50_ms=7.25,
    latency_p95_ms=12.5,
    cpu_percent_per_call=1.5,
    memory_mb_per_call=0.75,
    tick_ms=0.5,
    dropped_heard=0,
    dropped_said=0,
    most_lag_frames=1,
)
REPORT = LoadReport("echo", 10.0, 1, (LOAD, replace(LOAD, calls=8, tick_ms=2.0)))


def test_the_echo_bench_measures_one_four_and_eight_calls(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(echo, "WARM_UP_SEC", 0.1)
    monkeypatch.setattr(load_bench, "SETTLE_SEC", 0.1)
    monkeypatch.setattr(load_bench, "APART_SEC", 0.04)
    main(["echo", "--seconds", "1", "--json"])
    report = json.loads(capsys.readouterr().out)
    assert report["engine"] == "echo"
    assert report["seconds"] == 1.0
    assert report["tick_cost_ratio"] > 0.0
    assert [load["calls"] for load in report["loads"]] == [1, 4, 8]
    for load in report["loads"]:
        assert load.keys() == COLUMNS.keys()
        assert load["frames"] > 0
        assert 0.0 < load["latency_p50_ms"] <= load["latency_p95_ms"]
        assert load["cpu_percent_per_call"] > 0.0
        assert load["tick_ms"] > 0.0


def test_the_table_is_aligned_and_names_every_figure():
    first, _, *rows, _, ratio = REPORT.to_table().splitlines()
    assert first.startswith("echo engine, 10 s at each number of calls")
    assert len(rows) == 3
    assert len({len(row) for row in rows}) == 1
    assert all(title in rows[0] for title in COLUMNS.values())
    assert rows[1].split() == ["1", "7.25", "12.50", "1.50", "0.75", "0.50", "125", "0", "0", "1"]
    assert ratio == "tick cost, 8 calls / 1 call: 4.00"


@pytest.mark.parametrize("arguments", [[], ["nothing"], ["echo", "--seconds", "0"], ["echo", "--seed", "x"]])
def test_wrong_arguments_are_refused(arguments: list[str], capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as left:
        main(arguments)
    assert left.value.code == 2
    assert "usage" in capsys.readouterr().err


@given(number=st.integers(0, 2**24 - 1))
def test_a_stamp_survives_the_way_through_cutter_and_model(number: int):
    model = TimedModel(FakeModel())
    model.join(2, complete(model.prepare(Persona("NATF2", ""))), Sampling())
    chunk = np.full(480, 0.1, dtype=np.float32)
    stamped = chunk.copy()
    stamp(stamped, number)
    [frame] = FrameCutter().cut(np.concatenate([chunk, chunk, chunk, stamped]))
    answers = model.step({2: frame})
    assert stamp_of(answers[2].frame) == number
    assert [len(times) for times in model.step_sec.values()] == [1]


async def test_a_caller_that_is_refused_says_why():
    engine = Engine(lambda report: FakeModel(), 1)
    caller = Caller(engine, CallSettings(Persona("NATF2", "")), 0.0)
    with pytest.raises(PersonaplexError, match="being loaded"):
        await caller.start()
