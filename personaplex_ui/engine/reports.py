"""What a loaded model tells about itself: how many callers it takes, how it runs, and why.

Words and numbers for the log, ``/health``, the Status tab and ``/metrics``. Everybody who sees the page reads
them, so they name no folders.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable


@dataclass(frozen=True, slots=True)
class CapacityReport:
    """``by_memory``: callers that fit the memory, None where that was not computed. ``measured_ms``: the time
    of a tick by the number of callers in it, windows full; empty if it was not measured. ``reason``: a
    sentence."""

    lines: int
    by_memory: int | None = None
    measured_ms: Mapping[int, float] = field(default_factory=dict[int, float])
    reason: str = ""


@dataclass(frozen=True, slots=True)
class RuntimeReport:
    """``graphs``: "captured as CUDA graphs", or "eager: why". ``kernels``: what multiplies and attends,
    "Triton", or "PyTorch: why". ``weights`` and ``key_values``: their numbers, as in "int8". ``persona``:
    what becomes of it in a long call. ``reasons``: why all this, a sentence each; ``warnings``: what is worse
    than it should be, and what to do. Empty: it has no such thing."""

    graphs: str = "eager"
    kernels: str = "PyTorch"
    weights: str = ""
    key_values: str = ""
    persona: str = ""
    reasons: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    def facts(self) -> dict[str, str]:
        """What is known of the parts, without the reasons."""
        return {
            name: value
            for name in ("graphs", "kernels", "weights", "key_values", "persona")
            if (value := getattr(self, name))
        }

    def sentences(self) -> Iterator[str]:
        """For the log, without the warnings."""
        if self.graphs:
            yield f"The tick is {self.graphs}."
        if self.kernels:
            yield f"Kernels: {self.kernels}."
        yield from self.reasons


@runtime_checkable
class Reporting(Protocol):
    """A speech model that tells about itself. None until it knows."""

    @property
    def capacity_report(self) -> CapacityReport | None: ...

    @property
    def runtime_report(self) -> RuntimeReport | None: ...


@runtime_checkable
class StandIn(Protocol):
    """A speech model that answers where another one was wanted. ``stands_in_because``: a sentence that says
    why, and what to do; empty if it was wanted itself."""

    @property
    def stands_in_because(self) -> str: ...


def capacity_of(model: object) -> CapacityReport | None:
    return model.capacity_report if isinstance(model, Reporting) else None


def runtime_of(model: object) -> RuntimeReport | None:
    return model.runtime_report if isinstance(model, Reporting) else None


def stands_in_because(model: object) -> str:
    return model.stands_in_because if isinstance(model, StandIn) else ""
