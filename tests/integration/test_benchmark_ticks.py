"""``bench ticks`` with a model so small that each block takes seconds. How fast this machine is, is no matter
of tests."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
import torch

os.environ["NO_TORCH_COMPILE"] = "1"

from benchmarks.__main__ import main
from benchmarks.ticks import command
from benchmarks.ticks.bandwidth import copy_bandwidth, seconds_each, weight_bytes
from benchmarks.ticks.block import Block, percentile
from benchmarks.ticks.blocks import eager, kernels, parity, personas, profile
from benchmarks.ticks.blocks.startup import Phases
from benchmarks.ticks.command import BLOCKS, NEEDS_GPU
from benchmarks.ticks.performance_page import begin_mark, end_mark, with_block
from personaplex_ui.errors import PersonaplexError

SMALL = ("--size", "tiny", "--device", "cpu", "--frames", "2", "--callers", "1,2")
CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.set_num_threads(1)
    monkeypatch.setattr(eager, "CALLERS", (1, 2))
    monkeypatch.setattr(kernels, "TIMED_ROWS", (1, 4))
    monkeypatch.setattr(parity, "CASES", ("voice_preset",))
    monkeypatch.setattr(personas, "ALONE_SEC", 0.5)
    monkeypatch.setattr(personas, "PERSONAS", 2)
    monkeypatch.setattr(profile, "CALLERS", (1,))
    monkeypatch.setattr(profile, "TICKS", 1)


def measured(block: str, capsys: pytest.CaptureFixture[str], *options: str) -> dict[str, Any]:
    main(["ticks", "--block", block, *SMALL, *options, "--json"])
    report = json.loads(capsys.readouterr().out)
    [found] = report["blocks"]
    assert found["name"] == block
    assert found["failed"] is False
    assert all(len(row) == len(found["columns"]) for row in found["rows"])
    return found


def test_operators_by_part(capsys: pytest.CaptureFixture[str]):
    found = measured("operators", capsys)
    rows = {row[0]: row[1:] for row in found["rows"]}
    total = rows["a tick, captured"]
    parts = [
        row
        for part, row in rows.items()
        if part not in ("a tick, captured", "before and after it", "host copies")
    ]
    assert [sum(column) for column in zip(*parts, strict=True)] == total
    assert rows["host copies"] == [2, 2]
    assert any("Nothing in it that a CUDA graph cannot hold" in note for note in found["notes"])


def test_frames_by_callers_weights_and_window(capsys: pytest.CaptureFixture[str]):
    found = measured("frames", capsys)
    assert [row[:3] for row in found["rows"]] == [
        [weights, window, callers]
        for weights in ("float32", "int8")
        for window in ("early", "full")
        for callers in (1, 2)
    ]
    for _, _, _, p50, p99, speed, share, memory in found["rows"]:
        assert 0.0 < p50 <= p99
        assert speed > 0.0
        assert share.endswith("%")
        assert memory is None


def test_int8_keys_and_values_are_told(capsys: pytest.CaptureFixture[str]):
    found = measured("frames", capsys, "--kv", "int8", "--weights", "int8")
    assert "keys and values in int8" in found["notes"][-1]
    assert len(found["rows"]) == 4


def test_eager_ticks(capsys: pytest.CaptureFixture[str]):
    found = measured("eager", capsys)
    assert [row[0] for row in found["rows"]] == ["1 callers", "2 callers"]
    assert all(row[1] > 0.0 and row[2] is None for row in found["rows"])


def test_parity_in_float32_is_that_of_the_reference(capsys: pytest.CaptureFixture[str]):
    found = measured("parity", capsys)
    rows = {row[0]: row[1:] for row in found["rows"]}
    assert rows["voice_preset, float32"][1:] == ["the end", "the end", "0.0e+00"]
    assert len(rows) == 4
    assert all(row[2] == "the end" for row in rows.values())


def test_kernels_are_right_and_timed(capsys: pytest.CaptureFixture[str]):
    found = measured("kernels", capsys)
    assert {row[1] for row in found["rows"]} == {1, 4}
    assert all(row[2] > 0.0 for row in found["rows"])
    assert any(row[0].startswith("ring_attention") and "int8" in row[0] for row in found["rows"])
    assert sum("0.0e+00 off" in note for note in found["notes"]) == 8


def test_the_profile_names_what_takes_long(capsys: pytest.CaptureFixture[str]):
    found = measured("profile", capsys, "--weights", "bf16")
    times = [row[2] for row in found["rows"]]
    assert times == sorted(times, reverse=True)
    assert any("aten::" in row[0] for row in found["rows"])


def test_a_live_call_while_personas_are_prepared(capsys: pytest.CaptureFixture[str]):
    found = measured("personas", capsys, "--weights", "bf16")
    alone, beside = found["rows"]
    assert alone[0] == "bf16, alone"
    assert beside[0] == "bf16, while 2 are prepared"
    assert alone[1] > 0
    assert "a persona is ready after" in found["notes"][0]


def test_a_start_by_phase(capsys: pytest.CaptureFixture[str]):
    found = measured("startup", capsys, "--weights", "int8")
    seconds = {row[0]: row[1] for row in found["rows"]}
    assert seconds["int8: Loading the model"] > 0.0
    assert seconds["int8: Warming up the model"] > 0.0
    assert seconds.pop("int8: all") == pytest.approx(sum(seconds.values()))


def test_the_reference_beside_ours(capsys: pytest.CaptureFixture[str]):
    found = measured("reference", capsys, "--weights", "bf16")
    assert [row[0] for row in found["rows"]] == [
        "reference's way",
        "ours, bf16, window early",
        "ours, bf16, window full",
    ]
    assert found["rows"][0][3] is None
    assert all(float(row[3]) > 0.0 for row in found["rows"][1:])


def test_a_block_that_fails_does_not_end_the_others(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    async def fail(setup: object) -> Block:
        raise RuntimeError("no kernel image is available")

    monkeypatch.setattr(eager, "measure", fail)
    with pytest.raises(SystemExit) as left:
        main(["ticks", "--block", "eager", "--block", "startup", "--weights", "bf16", *SMALL, "--json"])
    assert left.value.code == 1
    failed, other = json.loads(capsys.readouterr().out)["blocks"]
    assert failed["failed"] is True
    assert failed["rows"] == [["RuntimeError: no kernel image is available"]]
    assert other["failed"] is False


def test_tables_are_written_between_their_marks(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    page = tmp_path / "PERFORMANCE.md"
    page.write_text(f"# Before\n{begin_mark('startup')}\nold\n{end_mark('startup')}\nafter\n")
    monkeypatch.setattr(command, "PAGE", page)
    main(["ticks", "--block", "startup", "--weights", "bf16", *SMALL, "--write"])
    lines = page.read_text().splitlines()
    assert lines[0] == "# Before"
    assert lines[-1] == "after"
    assert "old" not in lines
    assert lines[2].startswith("`python -m benchmarks ticks --block startup --weights bf16 --size tiny")
    assert "torch " in lines[2]
    assert "| phase | seconds |" in lines


def test_the_page_has_a_place_for_each_block():
    text = (Path(__file__).parents[2] / command.PAGE).read_text(encoding="utf-8")
    for name in BLOCKS:
        assert "new caption" in with_block(text, Block(name, ("a",), ()), "new caption")


def test_a_page_without_marks_is_refused():
    with pytest.raises(PersonaplexError, match="0 places"):
        with_block("# Nothing", Block("frames", ("a",), ()), "")


def test_a_block_as_text_and_as_markdown():
    block = Block("frames", ("a|b", "n", "ms"), (("x|y", 1_234, 5.678), ("z", None, 0.04)), ("A note.",))
    assert block.to_text().splitlines() == [
        "[frames]",
        "a|b      n   ms",
        "x|y  1,234  5.7",
        "z           0.0",
        "A note.",
    ]
    assert block.to_markdown().splitlines() == [
        "| a/b | n | ms |",
        "| --- | ---: | ---: |",
        "| x/y | 1,234 | 5.7 |",
        "| z |  | 0.0 |",
        "",
        "- A note.",
    ]


@pytest.mark.parametrize(
    ("values", "share", "found"),
    [
        ([3.0], 0.99, 3.0),
        ([1.0, 2.0, 3.0, 4.0], 0.5, 2.0),
        ([*map(float, range(200))], 0.99, 197.0),
        ([2.0, 1.0], 0.0, 1.0),
    ],
)
def test_percentiles(values: list[float], share: float, found: float):
    assert percentile(values, share) == found


def test_phases_add_up_by_sentence(monkeypatch: pytest.MonkeyPatch):
    now = iter([0.0, 1.0, 3.0, 6.0, 10.0])
    monkeypatch.setattr("time.perf_counter", lambda: next(now))
    phases = Phases()
    phases.report("Loading the model: 3 of 7 MB.", 0.4)
    phases.report("Loading the model: 7 of 7 MB.", 1.0)
    phases.report("Capturing the tick of 4 callers and a prompt (1 of 6).", 0.0)
    phases.end()
    assert phases.seconds == {"begin": 1.0, "Loading the model": 5.0, "Capturing the tick": 4.0}


def test_the_bytes_of_a_tick_are_those_of_the_weights_it_reads():
    class Model:
        language_model = torch.nn.ModuleDict(
            {
                "emb": torch.nn.Embedding(10, 4),
                "transformer": torch.nn.Linear(4, 4, bias=False),
            }
        )

    model: Any = Model()
    assert weight_bytes(model) == 4 * 4 * 4
    assert copy_bandwidth(CPU) > 0.0
    assert seconds_each(lambda: None, CPU, 3) >= 0.0


def test_without_a_gpu_only_small_sizes_are_timed():
    with pytest.raises(SystemExit) as left:
        main(["ticks", "--block", "frames", "--device", "cpu"])
    assert left.value.code == NEEDS_GPU


def test_a_gpu_that_is_not_there_is_missed(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(SystemExit) as left:
        main(["ticks", "--device", "cuda"])
    assert "finds no GPU" in str(left.value.code)


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--block", "none"),
        ("--size", "13b"),
        ("--callers", "4,2"),
        ("--frames", "0"),
        ("--kv", "int4"),
        ("--minutes", "0"),
    ],
)
def test_wrong_arguments_are_refused(option: str, value: str, capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as left:
        main(["ticks", option, value])
    assert left.value.code == 2
    assert option in capsys.readouterr().err
