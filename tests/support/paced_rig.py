"""A client's sound on its way through the pacing of its input and the engine's scheduler, in a simulation."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from personaplex_ui.audio.frames import FRAME_SAMPLES, FRAME_SEC, SAMPLE_RATE_HZ, FrameCutter, Samples
from personaplex_ui.channels.moshi.paced_input import PacedInput
from personaplex_ui.engine.scheduler import Scheduler, Step

STEP_SEC, MODEL_SEC = 0.005, 0.03


@dataclass
class Heard:
    """What the model heard: the first sample of each frame, and when."""

    frames: list[tuple[float, float]] = field(default_factory=list[tuple[float, float]])
    dropped_frames: int = 0
    dropped_samples: int = 0

    @property
    def lost(self) -> int:
        return self.dropped_frames + -(-self.dropped_samples // FRAME_SAMPLES)

    def lag_sec(self, since: float) -> list[float]:
        """How much later each frame is heard than it was said to the end, of those said after ``since``."""
        return [at - start - FRAME_SEC for at, start in self.frames if start >= since]


def hear_all(arrivals: Iterable[tuple[float, Samples]]) -> Heard:
    """``arrivals``: which sound comes at which time, in order."""
    paced, cutter, engine, heard = PacedInput(), FrameCutter(), Scheduler(), Heard()
    engine.join(0, paced=True)
    now = 0.0
    waiting = list(arrivals)
    end = waiting[-1][0] + 8.0

    def hear(samples: Samples) -> None:
        for frame in cutter.cut(samples):
            engine.hear(0, frame, now)

    while now < end:
        while waiting and waiting[0][0] <= now:
            hear(paced.put(waiting.pop(0)[1], now))
        wait = paced.wait_sec(now)
        if wait is not None and wait <= 0.0:
            hear(paced.take(now))
        if isinstance(step := engine.next_action(now), Step):
            engine.spent(step, MODEL_SEC, now)
            heard.frames.append((now, float(step.heard[0][0]) / SAMPLE_RATE_HZ))
        now += STEP_SEC
    heard.dropped_frames, heard.dropped_samples = engine.slots[0].frames.dropped, paced.dropped_samples
    return heard
