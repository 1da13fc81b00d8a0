"""Decides what the engine does next: step the callers, continue a preparation, or wait.

Depends on slots, frames and deadlines, not on a model, threads or a clock. Its owner holds the lock.

*Paced* callers speak in real time and are stepped together once a tick. *Unpaced* ones (clips) ride along in
every tick and are also stepped between ticks, when time allows. So is a paced caller whose frame came too
late for its tick, or had to wait behind another one: its answer is then hardly later than the frame was, and
nothing need be dropped to catch up.

Preparations proceed in chunks. A chunk rides in a step, whose weights it shares, or is done by itself in a
gap; both only where what they are measured to take fits before the next tick, so that no paced caller is
answered later because somebody else is coming.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field

from personaplex_ui.audio.frame_queue import FrameQueue
from personaplex_ui.audio.frames import FRAME_SEC, Frame
from personaplex_ui.engine.preparation_queue import Chunks, PreparationQueue
from personaplex_ui.engine.speech_model import StepCosts
from personaplex_ui.engine.tick_clock import TickClock
from personaplex_ui.engine.work_costs import MEMORY, WorkCosts

RESERVE_SEC = 0.004
"""How much longer than expected a step with a chunk may take and still end before the next tick."""

ASK_AGAIN_SEC = 0.01
"""How long until a clip that waits for the model's threads is looked at again."""


@dataclass(frozen=True, slots=True)
class Step:
    """Step these slots with these frames, and do the next chunk of the preparation for slot ``riding``."""

    heard: dict[int, Frame]
    riding: int | None = None


@dataclass(frozen=True, slots=True)
class Prepare:
    """Do the next chunk of the preparation for this slot by itself. ``in_prompt``: or a frame of its
    voice."""

    slot: int
    in_prompt: bool = True


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
    started: bool = False
    """Its first frame has come. Until then no tick waits for it."""

    behind: bool = False
    """The last tick found no frame from this caller, or left one waiting."""

    wait_sec: float = 0.0
    """Running mean of how long a frame waited for its tick; a frame that came too late counts as 80 ms."""


@dataclass(slots=True)
class Scheduler:
    slots: dict[int, SlotQueue] = field(default_factory=dict[int, SlotQueue])
    clock: TickClock = field(default_factory=TickClock)
    costs: WorkCosts = field(default_factory=WorkCosts)
    works_for: Callable[[int], bool] = lambda slot: False
    """See ``speech_model.WorksBesides``. Paced callers are stepped all the same."""

    _preparing: PreparationQueue = field(default_factory=PreparationQueue)
    _clip_owed: bool = False

    def expect(self, costs: StepCosts, slots: int) -> None:
        """A model with ``slots`` slots is loaded, which is expected to take ``costs``."""
        self.costs = WorkCosts(costs, slots)

    def prepare(self, slot: int, chunks: Chunks) -> None:
        """A persona for ``slot`` is to be prepared."""
        self._preparing.put(slot, chunks)

    def prepared(self, slot: int) -> None:
        self._preparing.remove(slot)

    def makes_way(self, slot: int) -> bool:
        """Whether the persona for ``slot`` is still being prepared because others leave no time for it."""
        return self._preparing.makes_way(slot)

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
            queue.started = True
            if queue.paced:
                self.clock.start(now)

    def waiting_frames(self, slot: int) -> tuple[int, int, float]:
        """For ``slot``: waiting frames, frames dropped so far, and how long a frame waits for its tick
        (s)."""
        queue = self.slots.get(slot)
        return (len(queue.frames), queue.frames.dropped, queue.wait_sec) if queue else (0, 0, 0.0)

    def next_action(self, now: float) -> Action:
        if not self.clock.running:
            return self._between_ticks(now, math.inf) or self._at_most_until_asked(Wait(None))
        paced = [queue for queue in self.slots.values() if queue.paced and queue.started]
        free_until = self.clock.expected - RESERVE_SEC
        wake_at: float | None = self.clock.earliest
        if any(queue.frames for queue in paced):
            complete = all(queue.frames for queue in paced)
            tick_at = self.clock.earliest if complete else self.clock.due
            if now >= tick_at:
                self.clock.ticked(now, complete)
                return self._tick(now)
            free_until, wake_at = min(free_until, tick_at), tick_at
        elif now >= self.clock.stalled_at:
            free_until, wake_at = now + FRAME_SEC, None
        elif now >= self.clock.earliest:
            # The first frame ends the wait, and is stepped at once if it is late.
            wake_at = self.clock.stalled_at if len(self._preparing) or self._waiting_clips() else None
        wait = Wait(None if wake_at is None else max(0.0, wake_at - now))
        return self._between_ticks(now, free_until - now) or self._at_most_until_asked(wait)

    def _at_most_until_asked(self, wait: Wait) -> Wait:
        """``wait``, but shorter if a clip waits for the model's threads, whose end wakes nobody."""
        if not any(self._is_held(slot) for slot in self.slots):
            return wait
        return Wait(ASK_AGAIN_SEC if wait.sec is None else min(wait.sec, ASK_AGAIN_SEC))

    def _is_held(self, slot: int) -> bool:
        queue = self.slots[slot]
        return not queue.paced and bool(queue.frames) and self.works_for(slot)

    def _tick(self, now: float) -> Step:
        heard = self._take(now, [slot for slot in self.slots if not self._is_held(slot)])
        for slot, queue in self.slots.items():
            # If more than one is left over, some will be dropped, unless it is a short burst.
            queue.behind = queue.paced and (slot not in heard or len(queue.frames) == 1)
        rider = self._rider(now, min(FRAME_SEC, self.clock.due - now) - RESERVE_SEC)
        self._preparing.tick(rider)
        return Step(heard, rider)

    def _rider(self, now: float, spare_sec: float) -> int | None:
        """The slot whose next chunk rides in a step that may take ``spare_sec`` with it."""
        fits = self.costs.step_sec(len(self.slots)) + self.costs.ride.estimate_sec(now) <= spare_sec
        return self._preparing.first_rider() if fits else None

    def _waiting_clips(self) -> list[int]:
        return [
            slot
            for slot, queue in self.slots.items()
            if not queue.paced and queue.frames and not self.works_for(slot)
        ]

    def _between_ticks(self, now: float, spare_sec: float) -> Action | None:
        """What fits into ``spare_sec``; infinite while nobody is live."""
        step_fits = self.costs.step_sec(len(self.slots)) <= spare_sec
        late = [slot for slot, queue in self.slots.items() if queue.behind and queue.frames]
        if late and self.clock.has_just_ticked(now) and step_fits:
            return Step(self._take(now, late))
        clips = self._waiting_clips()
        alone = self._alone(now, spare_sec, clips)
        # When nothing limits the chunks, clips take turns with them.
        if alone is not None and not (clips and self._clip_owed):
            self._clip_owed = not self.clock.running
            self._preparing.serve(alone.slot)
            return alone
        if clips and step_fits:
            self._clip_owed = False
            rider = self._rider(now, spare_sec)
            if rider is not None:
                self._preparing.serve(rider)
            return Step(self._take(now, clips), rider)
        return None

    def _alone(self, now: float, spare_sec: float, clips: list[int]) -> Prepare | None:
        """A chunk by itself that fits into ``spare_sec``. While nobody is live, what can ride with clips
        does."""
        rider = self._preparing.first_rider()
        will_ride = bool(clips) and not self.clock.running
        for slot, chunks in self._preparing:
            # A prompt that cannot ride while another one can will be able to when that is done.
            if chunks.in_prompt and rider is not None and (will_ride or not chunks.can_ride):
                continue
            cost = self.costs.chunk if chunks.in_prompt else self.costs.voice
            if cost.estimate_sec(now) <= spare_sec:
                return Prepare(slot, chunks.in_prompt)
        return None

    def _take(self, now: float, slots: list[int]) -> dict[int, Frame]:
        heard: dict[int, Frame] = {}
        for slot in slots:
            queue = self.slots[slot]
            item = queue.frames.take()
            if item is not None:
                arrived, heard[slot] = item
                wait_sec = FRAME_SEC if queue.behind else now - arrived
                queue.wait_sec = MEMORY * queue.wait_sec + (1 - MEMORY) * wait_sec
                queue.behind = False
        return heard

    def spent(self, action: Action, sec: float, now: float) -> None:
        """Record that ``action`` took ``sec`` seconds until ``now``, to judge what fits before a tick. Call
        it before anybody joins or leaves."""
        match action:
            case Step(_, None):
                self.costs.stepped(len(self.slots), sec)
            case Step():
                self.costs.rode(len(self.slots), sec, now)
            case Prepare(_, in_prompt):
                (self.costs.chunk if in_prompt else self.costs.voice).add(sec, now)
            case Wait():
                pass
