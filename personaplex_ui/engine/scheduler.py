"""Decides what the engine does next: step the callers, continue a preparation, or wait.

Depends on slots, frames and deadlines, not on a model, threads or a clock. Its owner holds the lock.

*Paced* callers speak in real time and are stepped together once a tick. *Unpaced* ones (clips) ride along in
every tick and are also stepped between ticks, when time allows. So is a paced caller whose frame came too
late for its tick, or had to wait behind another one: its answer is then hardly later than the frame was, and
nothing need be dropped to catch up. Preparations proceed in chunks in the same gaps; where the gaps are too
small, one chunk per tick is still allowed, so that nobody waits forever.
"""

import math
from dataclasses import dataclass, field

from personaplex_ui.audio.frame_queue import FrameQueue
from personaplex_ui.audio.frames import FRAME_SEC, Frame
from personaplex_ui.engine.tick_clock import TickClock

COST_MEMORY = 0.8
"""Weight of the past in the running mean of what a step or a chunk costs."""


@dataclass(frozen=True, slots=True)
class Step:
    """Step these slots with these frames."""

    heard: dict[int, Frame]


@dataclass(frozen=True, slots=True)
class Prepare:
    """Do the next chunk of the preparation for this slot."""

    slot: int


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing to do for ``sec`` seconds, or (None) until something comes in."""

    sec: float | None


Action = Step | Prepare | Wait


@dataclass(slots=True)
class SlotQueue:
    """Frames that wait for the next step of one slot, each with the time it came."""

    paced: bool
    frames: FrameQueue[tuple[float, Frame]]
    behind: bool = False
    """The last tick found no frame from this caller, or left one waiting."""

    wait_sec: float = 0.0
    """Running mean of how long a frame waited for its tick; a frame that came too late counts as 80 ms."""


@dataclass(slots=True)
class Scheduler:
    slots: dict[int, SlotQueue] = field(default_factory=dict[int, SlotQueue])
    clock: TickClock = field(default_factory=TickClock)
    step_sec: float = 0.0
    """Running mean of what a step takes; ``chunk_sec``: a chunk of a preparation."""

    chunk_sec: float = 0.0
    _preparing: list[int] = field(default_factory=list[int])
    _chunk_owed: bool = False
    _clip_owed: bool = False

    def prepare(self, slot: int) -> None:
        self._preparing.append(slot)

    def prepared(self, slot: int) -> None:
        self._preparing = [other for other in self._preparing if other != slot]

    def join(self, slot: int, paced: bool) -> None:
        # An unpaced caller sends only as fast as it is answered, so none of its frames may be dropped.
        frames = FrameQueue[tuple[float, Frame]]() if paced else FrameQueue[tuple[float, Frame]](64, 64)
        self.slots[slot] = SlotQueue(paced, frames)

    def leave(self, slot: int) -> None:
        self.prepared(slot)
        self.slots.pop(slot, None)
        if not any(queue.paced for queue in self.slots.values()):
            self.clock.stop()

    def hear(self, slot: int, frame: Frame, now: float) -> None:
        """A frame of shape ``[1920]`` came in. Frames for a slot that was left are ignored."""
        queue = self.slots.get(slot)
        if queue is not None:
            queue.frames.put((now, frame))
            if queue.paced:
                self.clock.start(now)

    def waiting_frames(self, slot: int) -> tuple[int, int, float]:
        """For ``slot``: waiting frames, frames dropped so far, and how long a frame waits for its tick
        (s)."""
        queue = self.slots.get(slot)
        return (len(queue.frames), queue.frames.dropped, queue.wait_sec) if queue else (0, 0, 0.0)

    def next_action(self, now: float) -> Action:
        paced = [queue for queue in self.slots.values() if queue.paced]
        if self.clock.running and any(queue.frames for queue in paced):
            complete = all(queue.frames for queue in paced)
            if now >= (self.clock.earliest if complete else self.clock.due):
                self.clock.ticked(now, complete)
                self._chunk_owed = True
                return self._tick(now)
            next_tick = self.clock.earliest if complete else self.clock.due
        elif self.clock.running and now < self.clock.earliest:
            next_tick = self.clock.earliest
        else:
            next_tick = None  # the first frame ends the wait, and is stepped at once if it is late
        return self._between_ticks(now, next_tick)

    def _tick(self, now: float) -> Step:
        heard = self._take(now, list(self.slots))
        for slot, queue in self.slots.items():
            # If more than one is left over, some will be dropped, unless it is a short burst.
            queue.behind = queue.paced and (slot not in heard or len(queue.frames) == 1)
        return Step(heard)

    def _between_ticks(self, now: float, next_tick: float | None) -> Action:
        if next_tick is not None:
            spare_sec = next_tick - now
        else:
            # Without live callers a chunk may take any length of time.
            spare_sec = FRAME_SEC if self.clock.running else math.inf
        late = [slot for slot, queue in self.slots.items() if queue.behind and queue.frames]
        if late and self.clock.has_just_ticked(now) and self.step_sec <= spare_sec:
            return Step(self._take(now, late))
        unpaced = [slot for slot, queue in self.slots.items() if not queue.paced and queue.frames]
        # When nothing limits the chunks, clips take turns with them.
        turn = not (unpaced and self._clip_owed)
        if self._preparing and turn and (self._chunk_owed or self.chunk_sec <= spare_sec):
            self._chunk_owed, self._clip_owed = False, not self.clock.running
            slot = self._preparing.pop(0)
            self._preparing.append(slot)
            return Prepare(slot)
        if unpaced and (next_tick is None or self.step_sec <= spare_sec):
            self._clip_owed = False
            return Step(self._take(now, unpaced))
        return Wait(None if next_tick is None else max(0.0, next_tick - now))

    def _take(self, now: float, slots: list[int]) -> dict[int, Frame]:
        heard: dict[int, Frame] = {}
        for slot in slots:
            queue = self.slots[slot]
            item = queue.frames.take()
            if item is not None:
                arrived, heard[slot] = item
                wait_sec = FRAME_SEC if queue.behind else now - arrived
                queue.wait_sec = COST_MEMORY * queue.wait_sec + (1 - COST_MEMORY) * wait_sec
                queue.behind = False
        return heard

    def spent(self, action: Action, sec: float) -> None:
        """Record that ``action`` took ``sec`` seconds, to judge what fits between two ticks."""
        if isinstance(action, Step):
            self.step_sec = COST_MEMORY * self.step_sec + (1 - COST_MEMORY) * sec
        elif isinstance(action, Prepare):
            self.chunk_sec = COST_MEMORY * self.chunk_sec + (1 - COST_MEMORY) * sec
