"""How many calls this process can take now, for whatever distributes callers over several processes."""

from dataclasses import dataclass

from personaplex_ui.calls.manager import CallManager
from personaplex_ui.engine.engine import EngineState
from personaplex_ui.errors import EngineUnavailable


@dataclass(frozen=True, slots=True)
class Capacity:
    """``status``: of the engine, or that calls are no longer taken; ``message``: the same as a sentence.
    ``live_calls``: those in progress that do not wait, and those of callers who were answered and connect.
    ``accepting``: one more call would get a line or a place in the queue.
    ``drain_seconds_left``: see ``QuietEnd``; None while calls are taken."""

    status: EngineState
    message: str
    model: str
    lines: int
    lines_free: int
    waiting: int
    max_waiting: int
    live_calls: int
    accepting: bool
    draining: bool
    drain_seconds_left: float | None


def capacity_now(manager: CallManager) -> Capacity:
    """A call counts from its first message on: one that is being opened takes a line already."""
    engine = manager.engine
    slots, message = engine.slots, manager.message
    try:
        model = engine.model
        name, refuses = model.name, manager.closed_because or model.clips_only
    except EngineUnavailable:
        name, refuses = "", message
    opening = manager.opening_calls
    free = max(0, slots.free - opening)
    waiting = slots.waiting + max(0, opening - slots.free)
    accepting = not refuses and (free > 0 or waiting < slots.max_waiting)
    return Capacity(
        status=manager.state,
        message=message or refuses,
        model=name,
        lines=slots.capacity,
        lines_free=0 if refuses else free,
        waiting=waiting,
        max_waiting=slots.max_waiting,
        live_calls=sum(not call.is_queued for call in manager.calls.values()) + manager.answered,
        accepting=accepting,
        draining=manager.state is EngineState.DRAINING,
        drain_seconds_left=manager.quiet_end.left_sec,
    )
