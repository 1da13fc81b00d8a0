"""The model's bench, with a model so small that it takes seconds. How fast this machine is, is no matter of
tests."""

import json
import os
import sys
from dataclasses import fields, replace
from subprocess import run
from typing import Any

import pytest
import torch

os.environ["NO_TORCH_COMPILE"] = "1"

from benchmarks import side_by_side
from benchmarks.__main__ import main
from benchmarks.model import NEEDS_GPU
from benchmarks.model_report import FrameCost, Machine, Memory, ModelReport, PersonaCost
from benchmarks.random_weights import SIZES

TINY = {
    "dim": 64,
    "num_heads": 2,
    "num_layers": 2,
    "context": 160,
    "depformer_dim": 32,
    "depformer_num_heads": 2,
    "depformer_num_layers": 2,
    "depformer_dim_feedforward": 132,
}
PERSONA = PersonaCost(
    positions=120,
    cold_runs_ms=(500.0, 490.0, 510.0),
    kept_runs_ms=(10.0, 9.0, 30.0),
    cold_first_frame_runs_ms=(700.0, 690.0, 710.0),
    kept_first_frame_runs_ms=(210.0, 200.0, 220.0),
    reference_runs_ms=(20_000.0, 19_600.0, 20_400.0),
    reference_first_frame_runs_ms=(20_300.0, 19_900.0, 20_700.0),
)
REFERENCE_FRAME = FrameCost(1, (300.0, 330.0, 270.0), (240.0, 260.0, 220.0))
REPORT = ModelReport(
    size="small",
    machine=Machine("cpu", "A Processor", "float32", 2, "3.11.7", "2.9.1", "0.2.13"),
    seed=1,
    parameters=500_000_000,
    reference_parameters=670_000_000,
    mimi_parameters=80_000_000,
    frames_measured=12,
    reference_frame=REFERENCE_FRAME,
    frames=(
        FrameCost(1, (195.0, 198.0, 189.0), (140.0, 150.0, 130.0)),
        FrameCost(4, (390.0, 297.0, 302.4), (280.0, 270.0, 290.0)),
    ),
    full_window=(
        FrameCost(1, (240.0, 250.0, 230.0), (180.0, 190.0, 170.0)),
        FrameCost(4, (450.0, 495.0, 432.0), (390.0, 400.0, 380.0)),
    ),
    persona=PERSONA,
    memory=Memory(1_900.0, 1_905.0, 2_550.0, 660.0, 370.0, 375.0, 390.0, 15.0, 1_500.0),
    same_tokens=8,
    compared_frames=8,
)


def comparison(report: ModelReport, what: str) -> Any:
    [found] = [one for one in report.comparisons() if one.what == what]
    return found


def test_a_tiny_model_is_measured_beside_the_reference(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setitem(SIZES, "small", SIZES["7b"] | TINY)
    monkeypatch.setattr(side_by_side, "RUNS", 2)
    main(["model", "--device", "cpu", "--frames", "1", "--callers", "1,2", "--threads", "1", "--json"])
    report = json.loads(capsys.readouterr().out)
    assert report.keys() == {field.name for field in fields(ModelReport)} | {"comparisons"}
    assert report["same_tokens"] == report["compared_frames"] == 8
    assert report["frames_measured"] == 2
    assert report["parameters"] < report["reference_parameters"]
    assert report["machine"]["torch"] == torch.__version__.partition("+")[0]
    assert report["machine"]["threads"] == 1
    for name in ("frames", "full_window"):
        assert [cost["callers"] for cost in report[name]] == [1, 2]
    for cost in (*report["frames"], *report["full_window"], report["reference_frame"]):
        assert len(cost["frame_runs_ms"]) == len(cost["language_model_runs_ms"]) == 2
        assert min(*cost["frame_runs_ms"], *cost["language_model_runs_ms"]) > 0.0
    assert report["persona"].pop("positions") == 123
    assert all(len(runs) == 2 and min(runs) > 0.0 for runs in report["persona"].values())
    memory = report["memory"]
    assert memory.keys() == {field.name for field in fields(Memory)}
    assert memory.pop("packed_mb") == 0.0, "two callers pack nothing"
    assert all(value > 0.0 for name, value in memory.items() if "growth" not in name)
    assert memory["weights_mb"] < memory["reference_weights_mb"]
    first = report["comparisons"][0]
    assert first["what"] == "frame, 1 caller"
    ours, reference = report["frames"][0]["frame_runs_ms"], report["reference_frame"]["frame_runs_ms"]
    ratios = sorted(one / other for one, other in zip(ours, reference, strict=True))
    assert [first["lowest"], first["highest"]] == ratios
    assert first["ratio"] == sum(ratios) / 2


@pytest.mark.parametrize(
    ("what", "ratio", "spread", "met"),
    [
        ("frame, 1 caller", 0.65, (0.6, 0.7), True),
        ("frame, 4 callers", 1.6, (1.5, 2.0), False),
        ("frame, 4 callers, window full", 1.5, (1.5, 1.6), None),
        ("persona, cold", 40.0, (40.0, 40.0), True),
        ("persona, kept", None, (9.0, 30.0), True),
        ("start to first frame, cold", 29.0, (19_900 / 690, 20_700 / 710), None),
    ],
)
def test_ratios_and_aims(what: str, ratio: float | None, spread: tuple[float, float], met: bool | None):
    """The median of the runs' ratios, not the ratio of medians."""
    found = comparison(REPORT, what)
    assert found.ratio == (None if ratio is None else pytest.approx(ratio))
    assert (found.lowest, found.highest) == pytest.approx(spread)
    assert found.met is met


def test_an_aim_that_is_missed_is_told():
    slow = replace(
        REPORT, persona=replace(PERSONA, cold_runs_ms=(1_000.0,) * 3, kept_runs_ms=(9.0, 15.0, 15.0))
    )
    assert comparison(slow, "persona, cold").met is False
    assert comparison(slow, "persona, kept").met is False


def test_the_table_has_all_figures():
    lines = REPORT.to_table().splitlines()
    assert lines[0].startswith("small: 0.50e9 parameters (reference 0.67e9")
    assert "float32 on A Processor (cpu, 2 threads), torch 2.9.1, moshi 0.2.13" in lines[0]
    assert "8 of 8 frames" in lines[2]
    table = lines[4:-3]
    assert len({len(line) for line in table}) == 1
    assert len(table) == 1 + len(list(REPORT.comparisons()))
    first = ["frame,", "1", "caller", "ms", "195.0", "300.0", "0.65", "0.60..0.70", "<=", "0.66", "met"]
    assert table[1].split() == first
    assert table[3].rstrip().endswith("1.60    1.50..2.00  (to 1 caller) <= 1.5  MISSED")
    assert "medians of 3 runs with 12 frames" in lines[1]
    assert lines[-1].startswith("a slot 375.0 MB")
    assert lines[-1].endswith("packed copies of weights 1,500 MB")
    assert "float32 only" in replace(REPORT, same_tokens=0, compared_frames=0).to_table()
    assert json.loads(REPORT.to_json())["comparisons"][0]["met"] is True


def test_the_7b_sizes_need_a_gpu():
    with pytest.raises(SystemExit) as left:
        main(["model", "--size", "7b", "--device", "cpu"])
    assert left.value.code == NEEDS_GPU
    assert "24 GB" in NEEDS_GPU


def test_a_gpu_that_is_not_there_is_missed(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(SystemExit) as left:
        main(["model", "--device", "cuda"])
    assert "finds no GPU" in str(left.value.code)


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--size", "13b"),
        ("--device", "tpu"),
        ("--dtype", "int3"),
        ("--frames", "0"),
        ("--frames", "many"),
        ("--threads", "0"),
        ("--callers", "2,4"),
        ("--callers", "1,4,2"),
        ("--callers", "1,,2"),
        ("--callers", "1,65"),
        ("--seed", "x"),
    ],
)
def test_wrong_arguments_are_refused(option: str, value: str, capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as left:
        main(["model", option, value])
    assert left.value.code == 2
    assert option in capsys.readouterr().err


def test_torch_is_not_imported_before_a_model_is_measured():
    code = "import sys, benchmarks.__main__; sys.exit('torch' in sys.modules)"
    assert run([sys.executable, "-c", code], check=False).returncode == 0
