"""What was seen in a soak, as plain values, before it is judged. Times are seconds since its start."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from personaplex_ui.accept.gpu_condition import GpuCondition
from personaplex_ui.accept.sound_health import Health


@dataclass(frozen=True, slots=True)
class Tick:
    at_sec: float
    sec: float
    callers: int


@dataclass(frozen=True, slots=True)
class MemoryUse:
    """``gpu_mb``: what the model has allocated; ``host_mb``: this process."""

    at_sec: float
    gpu_mb: float
    host_mb: float


@dataclass(frozen=True, slots=True)
class CallRecord:
    """One call. ``failed``: why it ended, if not because the caller hung up. ``drift_ms``: by how much later
    its answers came in its last two seconds than in its first; None if it was too short. ``longest_gap_ms``:
    between two answers."""

    name: str
    prepared_sec: float
    live_sec: float
    answers: int
    dropped_heard: int
    dropped_said: int
    drift_ms: float | None
    longest_gap_ms: float
    failed: str = ""


@dataclass(slots=True)
class SoakRecord:
    """Grows during the soak, so that an interrupted one can be judged, too. ``load_failed``: why there is no
    model. ``restarts``: of the engine. ``sound``: of each call, in parts of five minutes."""

    wanted_sec: float
    seconds: float = 0.0
    slots: int = 0
    loaded_sec: float = 0.0
    load_failed: str = ""
    restarts: int = 0
    ticks: list[Tick] = field(default_factory=list[Tick])
    memory: list[MemoryUse] = field(default_factory=list[MemoryUse])
    gpu: list[GpuCondition] = field(default_factory=list[GpuCondition])
    calls: list[CallRecord] = field(default_factory=list[CallRecord])
    sound: list[Health] = field(default_factory=list[Health])


EDGE_FRAMES = 25


def drift_ms(late_sec: Sequence[float]) -> float | None:
    """``late_sec``: of each answer, how much later it came than 80 ms for each frame since the first would
    say. Medians of the first and the last two seconds are compared; None for a call shorter than four."""
    if len(late_sec) < 2 * EDGE_FRAMES:
        return None
    first, last = sorted(late_sec[:EDGE_FRAMES]), sorted(late_sec[-EDGE_FRAMES:])
    return 1_000 * (last[EDGE_FRAMES // 2] - first[EDGE_FRAMES // 2])
