"""What a soak is judged by: made-up soaks of half an hour with one thing wrong each."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from personaplex_ui.accept.gpu_condition import GpuCondition, read_condition
from personaplex_ui.accept.report import NOT_RUN, OK, PROBLEM, WARNING, Verdict
from personaplex_ui.accept.soak_findings import soak_findings, sound_finding
from personaplex_ui.accept.soak_record import CallRecord, MemoryUse, SoakRecord, Tick, drift_ms
from personaplex_ui.accept.sound_health import Health

CALL = CallRecord("line 0, call.1", 0.8, 1_799.0, 22_480, 0, 0, 3.0, 95.0)
HEALTHY = Health("line 0, call.1", 300.0, 0.4, -23.0, 0.0, 0.01, 0, 0.4, 0)


def record(late: int = 0, growth_mb: float = 0.0, call: CallRecord = CALL, restarts: int = 0) -> SoakRecord:
    ticks = [Tick(0.08 * n, 0.09 if n < late else 0.05, 4) for n in range(22_500)]
    memory = [MemoryUse(float(s), 14_000.0 + growth_mb * s / 1_800, 3_000.0) for s in range(1_800)]
    calls = [CALL, call]
    return SoakRecord(
        1_800.0, 1_800.0, 4, 60.0, restarts=restarts, ticks=ticks, memory=memory, calls=calls, sound=[HEALTHY]
    )


def verdicts(soaked: SoakRecord) -> dict[str, Verdict]:
    return {finding.name: finding.verdict for finding in soak_findings(soaked)}


def test_a_good_soak():
    assert verdicts(record()) == dict.fromkeys(
        ("Late ticks", "Dropped frames", "Calls", "Personas", "Drift", "Memory growth"), OK
    )


@pytest.mark.parametrize(
    ("soaked", "name", "verdict"),
    [
        (record(late=20), "Late ticks", WARNING),
        (record(late=30), "Late ticks", PROBLEM),
        (record(call=replace(CALL, dropped_heard=3)), "Dropped frames", WARNING),
        (record(call=replace(CALL, dropped_said=30)), "Dropped frames", PROBLEM),
        (record(call=replace(CALL, failed="It failed.")), "Calls", PROBLEM),
        (record(restarts=1), "Calls", PROBLEM),
        (record(call=replace(CALL, prepared_sec=8.0)), "Personas", WARNING),
        (record(call=replace(CALL, drift_ms=60.0)), "Drift", WARNING),
        (record(call=replace(CALL, drift_ms=90.0)), "Drift", PROBLEM),
        (record(growth_mb=200.0), "Memory growth", WARNING),
        (record(growth_mb=500.0), "Memory growth", PROBLEM),
    ],
)
def test_one_thing_wrong_is_that_one_finding(soaked: SoakRecord, name: str, verdict: Verdict):
    found = verdicts(soaked)
    assert {other for other, its in found.items() if its is not OK} == {name}
    assert found[name] is verdict
    assert all(finding.next_step for finding in soak_findings(soaked) if finding.verdict is not OK)


@pytest.mark.parametrize(("last_mhz", "verdict"), [(1_900.0, OK), (1_200.0, WARNING)])
def test_a_gpu_that_slows_down_is_told(last_mhz: float, verdict: Verdict):
    hot = record()
    assert "The GPU under load" not in verdicts(hot)
    clocks = [2_000.0] * 90 + [last_mhz] * 90
    hot.gpu = [GpuCondition(10.0 * n, 40.0 + n / 4, mhz, 70.0) for n, mhz in enumerate(clocks)]
    [found] = [finding for finding in soak_findings(hot) if finding.name == "The GPU under load"]
    assert (found.verdict, found.number) == (verdict, f"85 °C, {last_mhz / 2_000:.0%} of its clock")


@pytest.mark.parametrize(
    ("printed", "expected"),
    [("61, 1905, 68.42\n", (61.0, 1905.0, 68.42)), ("61, 1905, [N/A]\n", None), ("", None)],
)
def test_what_nvidias_tool_prints(printed: str, expected: tuple[float, ...] | None):
    def run(command: Sequence[str]) -> str:
        assert "--id=GPU-1" in command
        return printed

    found = read_condition("GPU-1", 5.0, run)
    assert (found and (found.celsius, found.clock_mhz, found.watts)) == expected


def test_without_nvidias_tool_nothing_is_known():
    def run(command: Sequence[str]) -> str:
        raise FileNotFoundError

    assert read_condition("GPU-1", 5.0, run) is None


def test_too_short_says_nothing_of_memory_and_drift():
    short = record(call=replace(CALL, drift_ms=None))
    short.seconds, short.calls = 60.0, short.calls[1:]
    found = verdicts(short)
    assert (found["Memory growth"], found["Drift"]) == (NOT_RUN, NOT_RUN)


def test_a_model_that_was_not_loaded_and_a_soak_without_an_answer():
    failed = SoakRecord(60.0, load_failed="The GPU is full.")
    assert [(f.verdict, f.sentence) for f in soak_findings(failed)] == [(PROBLEM, "The GPU is full.")]
    assert [finding.verdict for finding in soak_findings(SoakRecord(60.0))] == [NOT_RUN]


def test_drift_compares_the_end_of_a_call_with_its_beginning():
    assert drift_ms([0.0] * 49) is None
    assert drift_ms([0.0] * 100) == 0.0
    late = [0.001 * number for number in range(100)]  # a millisecond more with each answer
    assert drift_ms(late) == pytest.approx(75.0)
    one_hiccup = [0.0] * 50 + [0.4] + [0.0] * 49
    assert drift_ms(one_hiccup) == 0.0


def test_the_worst_call_is_told_first():
    silent = replace(HEALTHY, call="the silent one", spoken_share=0.0)
    quiet = replace(HEALTHY, call="the quiet one", level_dbfs=-45.0)
    found = sound_finding([HEALTHY, quiet, silent])
    assert found.verdict is PROBLEM
    assert found.number == "2 of 3 doubtful"
    assert found.sentence == "Of the silent one: it is silent for 300 s."
    assert [row[0] for row in found.table[1:]] == ["the silent one", "the quiet one", HEALTHY.call]
    assert sound_finding([HEALTHY]).verdict is OK
    assert sound_finding([]).verdict is NOT_RUN
