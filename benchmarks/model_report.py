"""What a model costs compared with the reference: medians of runs, ratios, spreads and targets."""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from statistics import median

from benchmarks.report import aligned

ALONE = "  language model alone"


Runs = tuple[float, ...]
"""What several runs measured, one number each: the median of a run, in milliseconds."""


@dataclass(frozen=True, slots=True)
class FrameCost:
    """One step of a number of callers. ``language_model_runs_ms``: the same without Mimi."""

    callers: int
    frame_runs_ms: Runs
    language_model_runs_ms: Runs

    @property
    def frame_ms(self) -> float:
        return median(self.frame_runs_ms)


@dataclass(frozen=True, slots=True)
class PersonaCost:
    """``*_first_frame_*``: all work from the start of a call until the first answer is out, without the
    time in which the caller's first frame is spoken. The reference keeps no personas."""

    positions: int
    cold_runs_ms: Runs
    kept_runs_ms: Runs
    cold_first_frame_runs_ms: Runs
    kept_first_frame_runs_ms: Runs
    reference_runs_ms: Runs
    reference_first_frame_runs_ms: Runs


@dataclass(frozen=True, slots=True)
class Memory:
    """``*_mb``: what the tensors hold; ``*_growth_mb``: by how much this process grew, or on a GPU what
    PyTorch allocated. The reference's growth is that of its weights beside ours, which it shares.
    A slot is taken with its window full. ``packed_mb``: see ``PackedWeights``, 0 where nothing is packed."""

    weights_mb: float
    weights_growth_mb: float
    reference_weights_mb: float
    reference_growth_mb: float
    mimi_mb: float
    slot_mb: float
    slot_growth_mb: float
    persona_mb: float
    packed_mb: float


@dataclass(frozen=True, slots=True)
class Machine:
    device: str
    device_name: str
    dtype: str
    threads: int
    python: str
    torch: str
    moshi: str


@dataclass(frozen=True, slots=True)
class Comparison:
    """One line of the table: medians over the runs. ``reference`` is what ``ratio`` compares with, if
    anything: each run compares what was measured in it. ``lowest`` and ``highest`` of the runs, and ``aim``,
    are for the ratio, or where there is none, for ours; ``met``: whether the median meets the aim."""

    what: str
    unit: str
    ours: float
    reference: float | None
    ratio: float | None
    lowest: float
    highest: float
    aim: str = ""
    met: bool | None = None


@dataclass(frozen=True, slots=True)
class ModelReport:
    """``frames``: shortly after the prompt; ``full_window``: four minutes later. ``same_tokens``: of how
    many greedy frames ours and the reference said the same, of ``compared_frames``."""

    size: str
    machine: Machine
    seed: int
    parameters: int
    reference_parameters: int
    mimi_parameters: int
    frames_measured: int
    reference_frame: FrameCost
    frames: tuple[FrameCost, ...]
    full_window: tuple[FrameCost, ...]
    persona: PersonaCost
    memory: Memory
    same_tokens: int
    compared_frames: int

    def to_json(self) -> str:
        comparisons = [asdict(one) for one in self.comparisons()]
        return json.dumps(asdict(self) | {"comparisons": comparisons}, indent=2)

    def to_table(self) -> str:
        machine, memory = self.machine, self.memory
        rows = [["", "unit", "ours", "reference", "ratio", "spread", "aim", ""]]
        rows += [_cells(one) for one in self.comparisons()]
        return "\n".join(
            [
                f"{self.size}: {self.parameters / 1e9:.2f}e9 parameters "
                f"(reference {self.reference_parameters / 1e9:.2f}e9, "
                f"Mimi {self.mimi_parameters / 1e9:.2f}e9), "
                f"{machine.dtype} on {machine.device_name} ({machine.device}, {machine.threads} threads), "
                f"torch {machine.torch}, moshi {machine.moshi}, Python {machine.python}",
                f"medians of {len(self.persona.cold_runs_ms)} runs with {self.frames_measured} frames "
                "of each kind, ours and the reference in turns; "
                f"a prompt of {self.persona.positions} positions",
                self._sameness(),
                "",
                *aligned(rows, left=1),
                "",
                f"weights {memory.weights_mb:,.0f} MB (reference {memory.reference_weights_mb:,.0f}), "
                f"measured {memory.weights_growth_mb:,.0f} (the reference's beside them "
                f"{memory.reference_growth_mb:,.0f}); Mimi {memory.mimi_mb:,.0f} MB",
                f"a slot {memory.slot_mb:,.1f} MB at full window, measured {memory.slot_growth_mb:,.1f}; "
                f"a kept persona {memory.persona_mb:,.1f} MB; "
                f"packed copies of weights {memory.packed_mb:,.0f} MB",
            ]
        )

    def _sameness(self) -> str:
        if not self.compared_frames:
            return "greedy tokens are compared on a CPU in float32 only"
        return f"greedy tokens as the reference's: {self.same_tokens} of {self.compared_frames} frames"

    def comparisons(self) -> Iterator[Comparison]:
        """All times, in the order of the table."""
        one, reference = self.frames[0], self.reference_frame
        reference_alone = reference.language_model_runs_ms
        yield _less("frame, 1 caller", one.frame_runs_ms, reference.frame_runs_ms, most=0.66)
        yield _less(ALONE, one.language_model_runs_ms, reference_alone)
        for more in self.frames[1:]:
            most = 1.5 if more.callers == 4 else None
            yield _callers(f"frame, {more.callers} callers", more.frame_runs_ms, one.frame_runs_ms, most)
            yield _callers(ALONE, more.language_model_runs_ms, one.language_model_runs_ms)
        for full in self.full_window:
            what = f"frame, {full.callers} caller{'s' if full.callers > 1 else ''}, window full"
            yield _less(what, full.frame_runs_ms, reference.frame_runs_ms)
            yield _less(ALONE, full.language_model_runs_ms, reference_alone)
        persona = self.persona
        yield _faster("persona, cold", persona.cold_runs_ms, persona.reference_runs_ms, least=30.0)
        yield _below("persona, kept", persona.kept_runs_ms, 15.0)
        first = persona.reference_first_frame_runs_ms
        yield _faster("start to first frame, cold", persona.cold_first_frame_runs_ms, first)
        yield _faster("start to first frame, kept", persona.kept_first_frame_runs_ms, first)


def _less(what: str, ours: Runs, reference: Runs, most: float | None = None) -> Comparison:
    ratios = _quotients(ours, reference)
    aim = "" if most is None else f"<= {most:g}"
    return _comparison(what, ours, reference, ratios, aim, None if most is None else median(ratios) <= most)


def _callers(what: str, ours: Runs, one_caller: Runs, most: float | None = None) -> Comparison:
    """The ratio is to one caller of ours: the reference serves no more than one."""
    ratios = _quotients(ours, one_caller)
    aim = "(to 1 caller)" if most is None else f"(to 1 caller) <= {most:g}"
    return _comparison(what, ours, None, ratios, aim, None if most is None else median(ratios) <= most)


def _faster(what: str, ours: Runs, reference: Runs, least: float | None = None) -> Comparison:
    """The ratio says how many times faster ours is."""
    ratios = _quotients(reference, ours)
    aim = "(times faster)" if least is None else f"(times faster) >= {least:g}"
    return _comparison(what, ours, reference, ratios, aim, None if least is None else median(ratios) >= least)


def _below(what: str, ours: Runs, most_ms: float) -> Comparison:
    return _comparison(what, ours, None, None, f"< {most_ms:g} ms", median(ours) < most_ms)


def _quotients(runs: Runs, others: Runs) -> Runs:
    return tuple(one / other for one, other in zip(runs, others, strict=True))


def _comparison(
    what: str, ours: Runs, reference: Runs | None, ratios: Runs | None, aim: str, met: bool | None
) -> Comparison:
    judged = ours if ratios is None else ratios
    return Comparison(
        what=what,
        unit="ms",
        ours=median(ours),
        reference=None if reference is None else median(reference),
        ratio=None if ratios is None else median(ratios),
        lowest=min(judged),
        highest=max(judged),
        aim=aim,
        met=met,
    )


def _cells(one: Comparison) -> list[str]:
    reference = "" if one.reference is None else f"{one.reference:,.1f}"
    ratio = "" if one.ratio is None else f"{one.ratio:.2f}"
    digits = 1 if one.ratio is None else 2
    spread = f"{one.lowest:.{digits}f}..{one.highest:.{digits}f}"
    met = "" if one.met is None else "met" if one.met else "MISSED"
    return [one.what, one.unit, f"{one.ours:,.1f}", reference, ratio, spread, one.aim, met]
