"""Runs ours and the reference in turn on the same weights, and times them.

In turn, so that other load on this machine affects both alike, and in several runs, to show how far they
lie apart. Ours is stepped as the engine steps it.
"""

import tempfile
from collections import defaultdict
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import torch
from torch import Tensor

from benchmarks.model_pair import PERSONA, Pair, Setup, build_pair, machine_of
from benchmarks.model_report import FrameCost, ModelReport, PersonaCost
from personaplex_ui.accept.reference import prompt_frames_of
from personaplex_ui.audio.frames import FRAME_SAMPLES, Samples
from personaplex_ui.engine.speech_model import PreparedPersona, Sampling, complete
from personaplex_ui.models.personaplex.model import PersonaPlexModel
from personaplex_ui.models.personaplex.runtime.prompt import CODEBOOKS

RUNS = 5
"""Over which the frames and the personas are spread. Each run measures everything once."""

COMPARED_FRAMES = 8
FULL_WINDOW_CALLERS = 4
"""The most at full window, which takes long."""

Times = dict[str, list[float]]
"""Milliseconds by what was done, of one run."""


def measure_model(setup: Setup) -> ModelReport:
    """Everything, one after the other, in this thread. Raises PersonaplexError when there is no room."""
    with tempfile.TemporaryDirectory(prefix="personaplex-bench-") as folder, torch.no_grad():
        pair = build_pair(setup, Path(folder))
        bench = SideBySide(pair)
        prompts = bench.prompt_times()
        # With rounding as coarse as bfloat16's, one pass and many steps draw apart sooner or later.
        compared = COMPARED_FRAMES if setup.dtype == torch.float32 and setup.device.type == "cpu" else 0
        same = bench.same_tokens(compared)
        frames = bench.frame_times()
    reference = _cost(frames, "reference", 1)
    return ModelReport(
        size=setup.size,
        machine=machine_of(setup.device, setup.dtype),
        seed=setup.seed,
        parameters=pair.parameters,
        reference_parameters=pair.reference_parameters,
        mimi_parameters=pair.mimi_parameters,
        frames_measured=sum(len(run["reference 1"]) for run in frames),
        reference_frame=reference,
        frames=tuple(_cost(frames, "ours", n) for n in setup.callers),
        full_window=tuple(_cost(frames, "full", n) for n in setup.callers if n <= FULL_WINDOW_CALLERS),
        persona=_persona_cost(prompts, reference.frame_ms),
        memory=pair.memory,
        same_tokens=same,
        compared_frames=compared,
    )


class SideBySide:
    """``prompt_times`` comes first: it prompts the reference, then ``same_tokens`` goes on with it."""

    def __init__(self, pair: Pair) -> None:
        self._ours = pair.ours
        self._reference = pair.reference
        self._pair = pair
        self._device = pair.setup.device
        self._sampling = Sampling(seed=pair.setup.seed)
        # On a GPU the first frames of a new batch also capture CUDA graphs.
        self._warm_up_frames = 3 if self._device.type == "cuda" else 1
        self._frames_a_run = -(-pair.setup.frames // RUNS)
        self._heard = 0

    def prompt_times(self) -> list[Times]:
        """Ours is prepared again between the parts of the reference's prompt, which takes long: a part is a
        run."""
        frames = prompt_frames_of(self._pair.prompt, self._device)
        runs: list[Times] = []
        for frame in frames[: self._warm_up_frames]:
            self._reference.step_prompt(frame)
        self._reference.begin()
        part = -(-len(frames) // RUNS)
        for start in range(0, len(frames), part):
            times: Times = defaultdict(list)
            for frame in frames[start : start + part]:
                # The last one chooses the first tokens of the answer, which are compared.
                self._reference.set_greedy(frame is frames[-1])
                times["reference"].append(self._timed(self._reference.step_prompt, frame))
            self._ours.forget_personas()
            self._start("cold", times)
            self._start("kept", times)
            runs.append(times)
        return runs

    def _start(self, kind: str, times: Times) -> None:
        joined = self._timed(lambda: self._join(0, complete(self._ours.prepare(PERSONA))))
        first = self._timed(self._ours.step, {0: self._next_sound()})
        self._ours.leave(0)
        times[kind].append(joined)
        times[f"{kind} first"].append(joined + first)

    def same_tokens(self, frames: int) -> int:
        """Of so many ``frames``, heard by both, for how many they choose the same: to see that what is
        compared is the same work."""
        self._ours.join(0, complete(self._ours.prepare(PERSONA)), Sampling(greedy=True))
        same = 0
        for _ in range(frames):
            sound = self._next_sound()
            tokens, _ = self._reference.step(sound)
            ours = self._ours.step_tokens({0: sound})[0].tokens
            same += tokens.tolist() == ours.tolist()
        self._ours.leave(0)
        self._reference.set_greedy(False)
        return same

    def frame_times(self) -> list[Times]:
        """Of each run, by name and number of callers: ``ours 4`` with Mimi and ``ours 4 alone`` without;
        ``full`` is ours at full window."""
        kept = complete(self._ours.prepare(PERSONA))
        return [self._frames_of_a_run(kept) for _ in range(RUNS)]

    def _frames_of_a_run(self, kept: PreparedPersona) -> Times:
        times: Times = defaultdict(list)
        for name, persona in (("ours", kept), ("full", self._pair.full)):
            on = 0
            for number in self._pair.setup.callers:
                if name == "ours" or number <= FULL_WINDOW_CALLERS:
                    for slot in range(on, number):
                        self._join(slot, persona)
                    on = number
                    self._step_some(name, number, times)
            for slot in range(on):
                self._ours.leave(slot)
        return times

    def _step_some(self, name: str, callers: int, times: Times) -> None:
        for number in range(-self._warm_up_frames, self._frames_a_run):
            taken = self._our_turn(f"{name} {callers}", callers)
            if (name, callers) == ("ours", 1):
                taken |= self._reference_turn()
            if number >= 0:
                for kind, ms in taken.items():
                    times[kind].append(ms)

    def _our_turn(self, name: str, callers: int) -> dict[str, float]:
        heard = {slot: self._next_sound() for slot in range(callers)}
        whole = self._timed(self._ours.step, heard)
        with _without_mimi(self._ours):
            alone = self._timed(self._ours.step, heard)
        return {name: whole, f"{name} alone": alone}

    def _reference_turn(self) -> dict[str, float]:
        whole = self._timed(self._reference.step, self._next_sound())
        codes = torch.zeros(CODEBOOKS, dtype=torch.long, device=self._device)
        return {"reference 1": whole, "reference 1 alone": self._timed(self._reference.step_codes, codes)}

    def _join(self, slot: int, persona: PreparedPersona) -> None:
        self._ours.join(slot, persona, self._sampling)

    def _next_sound(self) -> Samples:
        self._heard += 1
        return self._pair.sound[self._heard % len(self._pair.sound)]

    def _timed(self, action: Callable[..., object], *arguments: object) -> float:
        """Milliseconds until the GPU is done, too."""
        self._wait()
        started = perf_counter()
        action(*arguments)
        self._wait()
        return 1_000 * (perf_counter() - started)

    def _wait(self) -> None:
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)


class _NoMimi:
    """In the codec's place: any sound is the same codes, any codes are silence."""

    def __init__(self, device: torch.device) -> None:
        self._device = device

    def keep(self, active: Tensor) -> None:
        pass

    def encode(self, sound: Tensor) -> Tensor:
        return torch.zeros(len(sound), CODEBOOKS, dtype=torch.long, device=self._device)

    def decode(self, codes: Tensor) -> Tensor:
        return torch.zeros(len(codes), FRAME_SAMPLES, device=self._device)


@contextmanager
def _without_mimi(model: PersonaPlexModel) -> Generator[None]:
    stepper: Any = model.stepper
    codec = stepper.codec
    stepper.codec = _NoMimi(codec.device)
    try:
        yield
    finally:
        stepper.codec = codec


def _cost(runs: Sequence[Times], name: str, callers: int) -> FrameCost:
    kind = f"{name} {callers}"
    return FrameCost(callers, _medians(runs, kind), _medians(runs, f"{kind} alone"))


def _persona_cost(runs: Sequence[Times], reference_frame_ms: float) -> PersonaCost:
    """NVIDIA's fork is one frame late, so two frames go in before one comes out; but it swallows the first
    frame of its prompt without a step. So the steps are one for each frame of the prompt and one more."""
    positions = sum(len(run["reference"]) for run in runs)
    prompts_ms = [positions * frame_ms for frame_ms in _medians(runs, "reference")]
    return PersonaCost(
        positions=positions,
        cold_runs_ms=_medians(runs, "cold"),
        kept_runs_ms=_medians(runs, "kept"),
        cold_first_frame_runs_ms=_medians(runs, "cold first"),
        kept_first_frame_runs_ms=_medians(runs, "kept first"),
        reference_runs_ms=tuple(prompts_ms),
        reference_first_frame_runs_ms=tuple(prompt_ms + reference_frame_ms for prompt_ms in prompts_ms),
    )


def _medians(runs: Sequence[Times], kind: str) -> tuple[float, ...]:
    return tuple(median(run[kind]) for run in runs)
