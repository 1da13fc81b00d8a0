"""Makes a loaded model ready for its first caller: first steps, captured ticks, and what they take.

Nobody should wait for what happens only once: kernels are chosen and compiled, memory is allocated.
"""

import logging
from math import ceil
from time import perf_counter

import torch

from personaplex_ui.audio.frames import silent_frame
from personaplex_ui.engine.reports import CapacityReport
from personaplex_ui.engine.speech_model import Persona, Sampling, StepCosts, complete
from personaplex_ui.errors import InvalidInput
from personaplex_ui.models.personaplex.loading.capacity import capacity_as_set, measure_capacity
from personaplex_ui.models.personaplex.loading.checkpoint_files import Report
from personaplex_ui.models.personaplex.model import PersonaPlexModel
from personaplex_ui.models.personaplex.runtime.graph import Recorder, TickShape
from personaplex_ui.models.personaplex.runtime.prefill import CHUNK_POSITIONS
from personaplex_ui.models.personaplex.runtime.stepper import Stepper

log = logging.getLogger(__name__)

FIRST_FRAMES = 2
FIRST_CALLERS = 2
MEASURED_TICKS = 20
UNMEASURED_TICKS = 3
"""Before the measured ones: caches fill, and clocks rise."""


def warm_up(model: PersonaPlexModel) -> None:
    """Answer some frames of the first usable voice, as for callers."""
    usable = [name for name in model.voices.names() if _is_usable(model, name)]
    if not usable:
        return
    persona = complete(model.prepare(Persona(usable[0], "")))
    # torch compiles again for the second number of callers.
    for callers in range(1, min(model.slots, FIRST_CALLERS) + 1):
        model.join(callers - 1, persona, Sampling(greedy=True))
        for _ in range(FIRST_FRAMES):
            model.step({slot: silent_frame() for slot in range(callers)})
    for slot in range(min(model.slots, FIRST_CALLERS)):
        model.leave(slot)


def _is_usable(model: PersonaPlexModel, name: str) -> bool:
    try:
        model.prompt_size(Persona(name, ""))
    except InvalidInput as error:
        log.warning("The voice %s cannot be used: %s", name, error)
        return False
    return True


def capture(stepper: Stepper, recorder: Recorder, report: Report) -> None:
    """Capture all ticks; the progress tells for how many callers."""
    total = 2 * len(stepper.row_counts())
    done = 0

    def tell(shape: TickShape) -> None:
        nonlocal done
        beside = " and a prompt" if shape.riding else ""
        report(f"Capturing the tick of {shape.rows} callers{beside} ({done + 1} of {total}).", done / total)
        done += 1

    stepper.capture(recorder, tell)


def tune(
    model: PersonaPlexModel, recorder: Recorder, by_memory: int | None, as_set: int | None, report: Report
) -> CapacityReport:
    """Capture the ticks of ``model`` and measure them. Unless ``as_set``, from the settings, says how many
    calls it takes, take as many of ``by_memory`` as the ticks allow."""
    capture(model.stepper, recorder, report)
    report("Measuring the tick.", 1.0)
    if as_set is not None:
        capacity = capacity_as_set(as_set, by_memory, {as_set: tick_sec(model.stepper, as_set)})
    else:
        capacity = measure_capacity(model.slots, lambda callers: tick_sec(model.stepper, callers))
        if capacity.lines < model.slots:
            model.resize(capacity.lines)
            capture(model.stepper, recorder, report)
    model.costs = measure_costs(model.stepper)
    return capacity


def tick_sec(stepper: Stepper, callers: int, riding: bool = False) -> float:
    """What 95 of 100 ticks of ``callers`` with full windows stay within, in seconds."""
    taken = stepper.measure(callers, UNMEASURED_TICKS + MEASURED_TICKS, riding)[UNMEASURED_TICKS:]
    return sorted(taken)[ceil(0.95 * len(taken)) - 1]


def measure_costs(stepper: Stepper) -> StepCosts:
    """See ``StepCosts``; for a prompt in the middle of its window's first half."""
    slots = stepper.options.slots
    step_sec = tick_sec(stepper, slots)
    return StepCosts(
        step_sec=step_sec,
        ride_sec=max(0.0, tick_sec(stepper, slots, riding=True) - step_sec),
        chunk_sec=_chunk_sec(stepper),
        voice_sec=_voice_frame_sec(stepper),
    )


def _chunk_sec(stepper: Stepper) -> float:
    temporal, prefill = stepper.temporal, stepper.prefill
    chunks = UNMEASURED_TICKS + MEASURED_TICKS // 4
    length = min(chunks * CHUNK_POSITIONS, temporal.window)
    prefill.begin(torch.zeros(length, temporal.dim, device=temporal.device, dtype=temporal.dtype))
    taken: list[float] = []
    while not prefill.complete:
        started = perf_counter()
        float(prefill.advance()[0, 0])  # waits for the device
        taken.append(perf_counter() - started)
    prefill.end()
    return max(taken[UNMEASURED_TICKS:], default=taken[-1])


def _voice_frame_sec(stepper: Stepper) -> float:
    frames = torch.from_numpy(silent_frame()).to(stepper.temporal.device).expand(UNMEASURED_TICKS + 1, -1)
    taken = 0.0
    started = perf_counter()
    for codes in stepper.codec.encode_recording(frames):
        int(codes[0])  # waits for the device
        taken, started = perf_counter() - started, perf_counter()
    return taken
