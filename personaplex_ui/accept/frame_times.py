"""Step d: how long a step takes, by the number of callers, early in a call and with the window full."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from time import perf_counter

import numpy as np
import torch

from personaplex_ui.accept.report import OK, PROBLEM, WARNING, Finding
from personaplex_ui.accept.speech import frames_of
from personaplex_ui.audio.frames import FRAME_SEC, Samples
from personaplex_ui.engine.speech_model import Persona, PreparedPersona, Sampling, complete
from personaplex_ui.models.personaplex.model import PersonaPlexModel

FRAME_MS = 1_000 * FRAME_SEC
RESERVE = 0.8
"""Of a frame's 80 ms. The rest is for sound in and out, for personas that are prepared, and for a warm
day."""

WARM_UP_FRAMES = 3
FILLING_FRAMES = 17
"""A role leaves some places of the window; after so many frames they are taken, too."""

SLOW_PERSONA_SEC = 5.0

EARLY, FULL = "early", "full"


@dataclass(frozen=True, slots=True)
class Timing:
    """``window``: ``early`` or ``full``. Of ``frames`` steps for so many ``callers``."""

    callers: int
    window: str
    frames: int
    p50_ms: float
    p95_ms: float
    p99_ms: float

    @property
    def share(self) -> float:
        """Of 80 ms."""
        return self.p99_ms / FRAME_MS

    @property
    def row(self) -> tuple[str, ...]:
        times = (f"{ms:.1f}" for ms in (self.p50_ms, self.p95_ms, self.p99_ms))
        return (str(self.callers), self.window, *times, f"{self.share:.0%}")


HEADING = ("callers", "window", "p50 ms", "p95 ms", "p99 ms", "p99 of 80 ms")


def counts(slots: int) -> list[int]:
    """1, 2, 4, ... up to ``slots``."""
    return sorted({1 << power for power in range(slots.bit_length()) if 1 << power <= slots} | {slots})


def filling_role(model: PersonaPlexModel, voice: str) -> str:
    """The longest role that fits with ``voice``: after it, the window is full but for some places."""
    least, most = 0, model.prompt_size(Persona(voice, "")).most
    while least < most:
        words = (least + most + 1) // 2
        size = model.prompt_size(Persona(voice, " ".join(["word"] * words)))
        least, most = (words, most) if size.tokens <= size.most else (least, words - 1)
    return " ".join(["word"] * least)


def time_frames(
    model: PersonaPlexModel, persona: Persona, speech: Samples, frames: int, tell: Callable[[float], None]
) -> Iterator[Finding]:
    """``frames``: steps of each kind."""
    numbers = counts(model.slots)
    timings: list[Timing] = []
    yield _on_persona(model, persona)
    for timing in _all_timings(model, persona, numbers, speech, frames):
        timings.append(timing)
        tell(len(timings) / (2 * len(numbers)))
    yield _on_timings(timings, numbers[-1])


def _all_timings(
    model: PersonaPlexModel, persona: Persona, numbers: Sequence[int], speech: Samples, frames: int
) -> Iterator[Timing]:
    try:
        yield from _timed(model, complete(model.prepare(persona)), EARLY, numbers, speech, frames)
    finally:
        _leave_all(model)
    full = Persona(persona.voice, filling_role(model, persona.voice))
    left = list(numbers)
    try:
        for timing in _timed(model, complete(model.prepare(full)), FULL, numbers, speech, frames):
            left.remove(timing.callers)
            yield timing
    except torch.OutOfMemoryError:
        pass  # a prepared window takes as much memory as a caller's, for which there may be no room
    finally:
        _leave_all(model)
    for callers in left:
        yield _timing(callers, FULL, [1_000 * sec for sec in model.stepper.measure(callers, frames)])


def _leave_all(model: PersonaPlexModel) -> None:
    for slot in range(model.slots):
        model.leave(slot)
    model.recover()


def _timed(
    model: PersonaPlexModel,
    prepared: PreparedPersona,
    window: str,
    numbers: Sequence[int],
    speech: Samples,
    frames: int,
) -> Iterator[Timing]:
    on = 0
    for callers in numbers:
        for slot in range(on, callers):
            model.join(slot, prepared, Sampling(seed=slot))
        on = callers
        times: list[float] = []
        for number in range(-(WARM_UP_FRAMES if window == EARLY else FILLING_FRAMES), frames):
            heard = {slot: frames_of(speech, 1, 7 * slot + number)[0] for slot in range(callers)}
            started = perf_counter()
            model.step(heard)  # returns the sound, so the GPU is done
            if number >= 0:
                times.append(1_000 * (perf_counter() - started))
        yield _timing(callers, window, times)


def _timing(callers: int, window: str, ms: Sequence[float]) -> Timing:
    p50, p95, p99 = (float(value) for value in np.percentile(ms, (50, 95, 99)))
    return Timing(callers, window, len(ms), p50, p95, p99)


def _on_persona(model: PersonaPlexModel, persona: Persona) -> Finding:
    model.forget_personas()
    started = perf_counter()
    complete(model.prepare(persona))
    sec = perf_counter() - started
    sentence = f"The usual voice and role were prepared in {sec:.2f} s, with nobody else on."
    name, data = "A persona", {"seconds": sec}
    if sec < SLOW_PERSONA_SEC:
        return Finding(name, OK, f"{sec:.2f} s", sentence, data=data)
    step = (
        "A caller waits that long before the first word. Use a faster GPU, or a shorter DEFAULT_TEXT_PROMPT."
    )
    return Finding(name, WARNING, f"{sec:.2f} s", sentence, step, data=data)


def _on_timings(timings: Sequence[Timing], callers: int) -> Finding:
    worst = max(timings, key=lambda timing: timing.p99_ms)
    table = (HEADING, *(timing.row for timing in timings))
    number = f"p99 {worst.p99_ms:.1f} ms, {worst.share:.0%} of 80 ms, at {worst.callers} callers"
    sentence = (
        f"Up to {callers} callers at once, {timings[0].frames} frames of each kind. At most {RESERVE:.0%} of "
        f"a frame is good: {RESERVE * FRAME_MS:.0f} ms."
    )
    data = {"timings": [asdict(timing) for timing in timings]}
    if worst.share <= RESERVE:
        return Finding("Frame times", OK, number, sentence, table=table, data=data)
    verdict = PROBLEM if worst.share > 1.0 else WARNING
    return Finding("Frame times", verdict, number, sentence, _remedy(timings), table, data)


def _remedy(timings: Sequence[Timing]) -> str:
    slow = [timing.callers for timing in timings if timing.share > RESERVE]
    fitting = [timing.callers for timing in timings if timing.callers < min(slow)]
    if fitting:
        return f"Set MAX_CALLS={max(fitting)}, or use a faster GPU."
    return "Set QUANTIZE=int8 if it is not set, or use a faster GPU: this one is too slow for a single call."
