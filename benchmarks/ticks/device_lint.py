"""Whether a tick could be captured as a CUDA graph and replayed for ever."""

from dataclasses import dataclass
from typing import Protocol

from benchmarks.ticks.held_tensors import held_tensors, replaced
from benchmarks.ticks.tick_trace import TickTrace

HOST_COPIES = 2
"""One in, one out."""


class Tick(Protocol):
    @property
    def stepper(self) -> object: ...

    def traced_step(self) -> TickTrace: ...


@dataclass(frozen=True, slots=True)
class DeviceLint:
    """What two ticks, one after the other, showed. ``trace``: of the second. ``replaced``: the paths of
    tensors of the stepper that are others after it; ``changed``: how the ticks differ."""

    trace: TickTrace
    replaced: tuple[str, ...]
    changed: tuple[str, ...]

    def troubles(self, most_operators: int) -> list[str]:
        """One sentence each; none if all is well."""
        found = [f"{what} ({count} times)" for what, count in self.trace.findings.items()]
        found += [f"{path} is another tensor after a tick" for path in self.replaced]
        found += self.changed
        copies = self.trace.host_copies
        if len(copies) != HOST_COPIES:
            found.append(f"{len(copies)} host copies instead of {HOST_COPIES}: {'; '.join(copies)}")
        if self.trace.launches > most_operators:
            found.append(f"{self.trace.launches:,} operators; at most {most_operators:,} are allowed")
        return found


def lint(tick: Tick) -> DeviceLint:
    """Call it within ``pretended_device``.

    Raises:
        NotCapturable: a shape depends on data, so that the tick cannot even be pretended.
    """
    first = tick.traced_step()  # also makes what is made once
    before = held_tensors(tick.stepper)
    second = tick.traced_step()
    after = held_tensors(tick.stepper)
    return DeviceLint(second, tuple(replaced(before, after)), tuple(_changes(first, second)))


def _changes(first: TickTrace, second: TickTrace) -> list[str]:
    if len(first.calls) != len(second.calls):
        return [f"{len(first.calls)} operators, then {len(second.calls)}"]
    pairs = zip(first.calls, second.calls, strict=True)
    changed = [f"{one}, then {other}" for one, other in pairs if one != other]
    if not changed:
        return []
    return [f"{len(changed)} operators are called otherwise in the next tick: {changed[0]}"]
