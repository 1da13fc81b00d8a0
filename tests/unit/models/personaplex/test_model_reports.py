"""What a loaded model tells about itself; and that a trial that fails, or warns, stops nothing."""

import logging
from dataclasses import replace

import pytest
import torch

from personaplex_ui.engine.reports import capacity_of, runtime_of
from personaplex_ui.models.personaplex.loading import model_reports
from personaplex_ui.models.personaplex.loading.int8_trial import Trial
from personaplex_ui.models.personaplex.loading.load import Source, load_personaplex
from personaplex_ui.models.personaplex.loading.model_reports import (
    int8_warnings,
    log_reports,
    runtime_report,
    unmeasured_capacity,
)
from personaplex_ui.models.personaplex.loading.plan import Plan
from personaplex_ui.voices.library import VoiceLibrary
from tests.support.parity import TINY, unheard

GPU = torch.device("cuda:0")
PLAN = Plan(True, False, 7, ("Weights in int8, since it is an L4.",), 7)


def test_the_log_has_the_tick_the_kernels_the_reasons_and_the_warnings(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    report = runtime_report(
        PLAN, ("captured as CUDA graphs", "Triton"), "bfloat16", True, ("int8 is slow here.",)
    )
    log_reports(report, unmeasured_capacity(PLAN, None))
    assert [(record.levelname, record.message) for record in caplog.records] == [
        ("INFO", "The tick is captured as CUDA graphs."),
        ("INFO", "Kernels: Triton."),
        ("INFO", "Weights in int8, since it is an L4."),
        ("INFO", "7 lines fit the memory. No tick was measured."),
        ("WARNING", "int8 is slow here."),
    ]
    assert (report.weights, report.key_values) == ("int8", "bfloat16")


def test_lines_before_a_tick_was_measured() -> None:
    assert unmeasured_capacity(PLAN, None).lines == 7
    assert unmeasured_capacity(replace(PLAN, slots=3), 3).reason == "3 lines, as MAX_CALLS says."
    usual = unmeasured_capacity(replace(PLAN, slots=4, by_memory=None), None)
    assert (usual.lines, usual.by_memory, usual.measured_ms) == (4, None, {})


@pytest.mark.parametrize(
    ("plan", "device", "trial", "warned"),
    [
        (PLAN, GPU, Trial(0.002, 0.001), 1),
        (PLAN, GPU, Trial(0.001, 0.002), 0),
        (replace(PLAN, quantize=False), GPU, AssertionError(), 0),
        (PLAN, torch.device("cpu"), AssertionError(), 0),
        (PLAN, GPU, torch.OutOfMemoryError("full"), 0),
    ],
)
def test_int8_is_tried_on_a_gpu_and_only_warns(
    monkeypatch: pytest.MonkeyPatch, plan: Plan, device: torch.device, trial: Trial | Exception, warned: int
) -> None:
    def time_trial(device: torch.device, dtype: torch.dtype) -> Trial:
        if isinstance(trial, Exception):
            raise trial
        return trial

    monkeypatch.setattr(model_reports, "time_trial", time_trial)
    assert len(int8_warnings(plan, device, torch.bfloat16)) == warned


def test_a_model_on_a_cpu_tells_of_its_numbers_and_lines() -> None:
    torch.set_num_threads(1)
    source = Source(str(TINY), device="cpu", slots=None, quantize=None, kv_int8=None, voices=VoiceLibrary())
    model = load_personaplex(source, unheard)
    capacity, runtime = capacity_of(model), runtime_of(model)
    assert capacity is not None
    assert runtime is not None
    assert (capacity.lines, capacity.by_memory, model.slots) == (4, None, 4)
    assert (runtime.weights, runtime.key_values, runtime.persona) == (
        "float32",
        "float32",
        "kept in long calls",
    )
    assert runtime.reasons[0] == "Weights in float32, since there is no GPU to ask."
    told = load_personaplex(replace(source, slots=2, pin_persona=False), unheard)
    assert told.capacity_report is not None
    assert told.capacity_report.reason == "2 lines, as MAX_CALLS says."
    assert told.runtime_report is not None
    assert told.runtime_report.persona == "forgotten first in long calls"
