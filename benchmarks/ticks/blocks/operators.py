"""What a tick launches, on a pretended device: no GPU is needed, and no memory for the model."""

from benchmarks.ticks.block import Block, Cell
from benchmarks.ticks.device_lint import HOST_COPIES, lint
from benchmarks.ticks.pretended_device import pretended_device
from benchmarks.ticks.pretended_tick import CAPTIONS, PARTS, PretendedTick
from benchmarks.ticks.setup import TickSetup, say
from benchmarks.ticks.tick_trace import REST, TickTrace
from personaplex_ui.models.personaplex.captions.sizes import stt_sizes
from personaplex_ui.models.personaplex.loading.checkpoint_files import Config

CALLERS = 4
MOST_OPERATORS = 1_600
"""Where the device lint begins to complain; 1,200 is the aim."""

MOST_FOR_CAPTIONS = 250
"""And so many more with captions."""


WITH_CAPTIONS = "int8, captions"
"""The column of a tick in which the callers' words are recognised too: released sizes only."""

RECOGNISER: Config = {
    "model_type": "stt",
    "stt_config": {"audio_delay_seconds": 0.5, "audio_silence_prefix_seconds": 0.0},
}
"""Sizes as ``kyutai/stt-1b-en_fr``."""


def _tick(setup: TickSetup, weights: str) -> PretendedTick:
    return PretendedTick(
        setup.arguments,
        CALLERS,
        weights != "bf16",
        int8_cache=setup.kv_int8,
        mimi_config=setup.mimi_config,
        captions=stt_sizes(RECOGNISER) if weights == WITH_CAPTIONS else None,
    )


async def measure(setup: TickSetup) -> Block:
    traces: dict[str, TickTrace] = {}
    notes: list[str] = []
    with_captions = [WITH_CAPTIONS] if setup.mimi_config is None else []
    for weights in ("bf16", "int8", *with_captions):
        say(f"Tracing a tick of {setup.size} with {weights} weights on a pretended GPU ...")
        with pretended_device():
            found = lint(_tick(setup, weights))
        traces[weights] = found.trace
        most = MOST_OPERATORS + MOST_FOR_CAPTIONS * (weights == WITH_CAPTIONS)
        notes += [f"{weights}: {trouble}" for trouble in found.troubles(most)]
    rows: list[tuple[Cell, ...]] = []
    for part in (*PARTS, *([CAPTIONS] if with_captions else []), REST):
        rows.append((part, *(trace.operators[part].total() for trace in traces.values())))
    rows.append(("a tick, captured", *(trace.launches for trace in traces.values())))
    rows.append(("before and after it", *(trace.outside.total() for trace in traces.values())))
    rows.append(("host copies", *(len(trace.host_copies) for trace in traces.values())))
    return Block(
        "operators",
        ("operators", *traces),
        tuple(rows),
        (
            f"Of {setup.size} with {CALLERS} callers, counted on a pretended GPU, where nothing is computed. "
            "Views and allocations are not among them; a fused kernel counts as one.",
            *(notes or [f"Nothing in it that a CUDA graph cannot hold, and {HOST_COPIES} host copies."]),
        ),
    )
