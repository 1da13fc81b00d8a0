"""What a tick launches, on a pretended device: no GPU is needed, and no memory for the model."""

from benchmarks.ticks.block import Block, Cell
from benchmarks.ticks.device_lint import HOST_COPIES, lint
from benchmarks.ticks.pretended_device import pretended_device
from benchmarks.ticks.pretended_tick import PARTS, PretendedTick
from benchmarks.ticks.setup import TickSetup, say
from benchmarks.ticks.tick_trace import REST, TickTrace

CALLERS = 4
MOST_OPERATORS = 1_600
"""Where the device lint begins to complain; 1,200 is the aim."""


def _tick(setup: TickSetup, int8: bool) -> PretendedTick:
    return PretendedTick(
        setup.arguments, CALLERS, int8, int8_cache=setup.kv_int8, mimi_config=setup.mimi_config
    )


async def measure(setup: TickSetup) -> Block:
    traces: dict[str, TickTrace] = {}
    notes: list[str] = []
    for weights in ("bf16", "int8"):
        say(f"Tracing a tick of {setup.size} with {weights} weights on a pretended GPU ...")
        with pretended_device():
            found = lint(_tick(setup, int8=weights == "int8"))
        traces[weights] = found.trace
        notes += [f"{weights}: {trouble}" for trouble in found.troubles(MOST_OPERATORS)]
    rows: list[tuple[Cell, ...]] = []
    for part in (*PARTS, REST):
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
