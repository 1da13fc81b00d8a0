"""What a model that has just been loaded tells about itself, as far as its plan knows."""

import logging

import torch

from personaplex_ui.engine.reports import CapacityReport, RuntimeReport
from personaplex_ui.models.personaplex.loading.capacity import capacity_as_set, choose_calls
from personaplex_ui.models.personaplex.loading.int8_trial import time_trial
from personaplex_ui.models.personaplex.loading.plan import Plan

log = logging.getLogger(__name__)


def int8_warnings(plan: Plan, device: torch.device, dtype: torch.dtype) -> tuple[str, ...]:
    """What a trial of int8 on a GPU warns of. To be run before the weights are there: it takes 300 MB."""
    if not plan.quantize or device.type != "cuda":
        return ()
    try:
        warning = time_trial(device, dtype).warning
    except RuntimeError as error:  # nothing depends on it
        log.warning("int8 could not be timed: %s", error)
        return ()
    finally:
        torch.cuda.empty_cache()
    return (warning,) if warning else ()


def runtime_report(
    plan: Plan, runs: tuple[str, str], dtype_name: str, pin_persona: bool, warnings: tuple[str, ...] = ()
) -> RuntimeReport:
    """``runs``: how ticks run, and what multiplies and attends in them. ``dtype_name``: of the model."""
    return RuntimeReport(
        *runs,
        weights="int8" if plan.quantize else dtype_name,
        key_values="int8" if plan.kv_int8 else dtype_name,
        persona="kept in long calls" if pin_persona else "forgotten first in long calls",
        reasons=plan.reasons,
        warnings=warnings,
    )


def unmeasured_capacity(plan: Plan, wanted: int | None) -> CapacityReport:
    """``wanted``: what MAX_CALLS says, None for auto."""
    if wanted is not None:
        return capacity_as_set(plan.slots, plan.by_memory, {})
    if plan.by_memory is None or plan.slots < plan.by_memory:
        return CapacityReport(plan.slots, plan.by_memory, {}, "The usual number. No tick was measured.")
    return CapacityReport(plan.slots, plan.by_memory, {}, choose_calls(plan.by_memory, {}).reason)


def log_reports(runtime: RuntimeReport, capacity: CapacityReport) -> None:
    for sentence in (*runtime.sentences(), capacity.reason):
        log.info("%s", sentence)
    for warning in runtime.warnings:
        log.warning("%s", warning)
