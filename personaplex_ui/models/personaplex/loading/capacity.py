"""How many callers a loaded model takes: as many as fit its memory, and whose tick leaves a fifth of a frame.

Decides; ticks are measured by whoever owns the model.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from personaplex_ui.engine.reports import CapacityReport
from personaplex_ui.models.personaplex.loading.plan import FRAME_LIMIT_SEC

LIMIT = f"the {FRAME_LIMIT_SEC * 1e3:.0f} ms that leave a fifth of a frame in reserve"

Measure = Callable[[int], float]
"""Seconds that 95 of 100 ticks of so many callers with full windows stay within."""


@dataclass(frozen=True, slots=True)
class Lines:
    count: int
    reason: str


def choose_calls(by_memory: int, measured: Mapping[int, float]) -> Lines:
    """The most callers, at most ``by_memory``, whose tick stays within the limit. ``measured``: seconds by
    the number of callers. Between two measured numbers a tick is taken to grow evenly, and never to become
    faster with more callers; beyond the largest one nothing is promised."""
    if not measured:
        return Lines(by_memory, f"{_lines(by_memory)} fit the memory. No tick was measured.")
    most = min(by_memory, max(measured))
    within = (n for n in range(most, 0, -1) if tick_sec(measured, n) <= FRAME_LIMIT_SEC)
    count = next(within, 0)
    if count == 0:
        alone = f"even with one caller a tick takes {_ms(tick_sec(measured, 1))}, over {LIMIT}"
        return Lines(1, f"One line, and {alone}.")
    takes = f"a tick with {_callers(count)} takes {_ms(tick_sec(measured, count))}"
    if count == by_memory:
        return Lines(count, f"{_lines(count)}, which is what the memory holds: {takes}.")
    if count == most:
        return Lines(count, f"{_lines(count)} of {by_memory} that the memory holds; no more were measured.")
    more = f"with {count + 1} it would take {_ms(tick_sec(measured, count + 1))}, over {LIMIT}"
    return Lines(count, f"{_lines(count)} of {by_memory} that the memory holds: {takes}, and {more}.")


def measure_capacity(by_memory: int, measure: Measure) -> CapacityReport:
    """For ``MAX_CALLS=auto``: measure 1, 2, 4, 8, ... callers until a tick is too long, then numbers between
    until the chosen one has been measured itself."""
    measured: dict[int, float] = {}
    for callers in _doubling(by_memory):
        measured[callers] = measure(callers)
        if measured[callers] > FRAME_LIMIT_SEC:
            break
    while (lines := choose_calls(by_memory, measured)).count not in measured:
        measured[lines.count] = measure(lines.count)
    return CapacityReport(lines.count, by_memory, _in_ms(measured), lines.reason)


def capacity_as_set(lines: int, by_memory: int | None, measured: Mapping[int, float]) -> CapacityReport:
    """For a number in ``MAX_CALLS``, which is kept, whatever was measured."""
    said = f"{_lines(lines)}, as MAX_CALLS says"
    if lines not in measured:
        return CapacityReport(lines, by_memory, _in_ms(measured), f"{said}.")
    takes = f"a tick with {_callers(lines)} takes {_ms(measured[lines])}"
    judged = f", over {LIMIT}" if measured[lines] > FRAME_LIMIT_SEC else ""
    return CapacityReport(lines, by_memory, _in_ms(measured), f"{said}: {takes}{judged}.")


def tick_sec(measured: Mapping[int, float], callers: int) -> float:
    """Interpolated, and at least as long as any measured tick of fewer callers."""
    below = [(n, sec) for n, sec in measured.items() if n <= callers]
    above = [(n, sec) for n, sec in measured.items() if n >= callers]
    longest_below = max((sec for _, sec in below), default=0.0)
    if not above:
        return longest_below
    upper, upper_sec = min(above)
    upper_sec = max(upper_sec, longest_below)
    if not below or upper == callers:
        return upper_sec
    lower = max(below)[0]
    return longest_below + (upper_sec - longest_below) * (callers - lower) / (upper - lower)


def _doubling(most: int) -> Iterator[int]:
    callers = 1
    while callers < most:
        yield callers
        callers *= 2
    yield most


def _in_ms(measured: Mapping[int, float]) -> dict[int, float]:
    return {callers: round(measured[callers] * 1e3, 1) for callers in sorted(measured)}


def _lines(count: int) -> str:
    return "1 line" if count == 1 else f"{count} lines"


def _callers(count: int) -> str:
    return "1 caller" if count == 1 else f"{count} callers"


def _ms(sec: float) -> str:
    return f"{sec * 1e3:.1f} ms"
