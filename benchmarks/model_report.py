"""What a model costs compared with the reference: medians, ratios and targets."""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass

from benchmarks.report import aligned


@dataclass(frozen=True, slots=True)
class FrameCost:
    """One step of a number of callers. ``language_model_ms``: the same without Mimi."""

    callers: int
    frame_ms: float
    language_model_ms: float


@dataclass(frozen=True, slots=True)
class PersonaCost:
    """``*_first_frame_ms``: all work from the start of a call until the first answer is out, without the
    time in which the caller's first frame is spoken. The reference keeps no personas."""

    positions: int
    cold_ms: float
    kept_ms: float
    cold_first_frame_ms: float
    kept_first_frame_ms: float
    reference_ms: float
    reference_first_frame_ms: float


@dataclass(frozen=True, slots=True)
class Memory:
    """``*_mb``: what the tensors hold; ``*_growth_mb``: by how much this process grew, or on a GPU what
    PyTorch allocated. The reference's growth is that of its weights beside ours, which it shares.
    A slot is taken with its window full."""

    weights_mb: float
    weights_growth_mb: float
    reference_weights_mb: float
    reference_growth_mb: float
    mimi_mb: float
    slot_mb: float
    slot_growth_mb: float
    persona_mb: float


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
    """One line of the table. ``reference`` is what ``ratio`` compares with, if anything; ``aim`` is for
    the ratio, or where there is none, for ours."""

    what: str
    unit: str
    ours: float
    reference: float | None = None
    ratio: float | None = None
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
        rows = [["", "unit", "ours", "reference", "ratio", "aim", ""]]
        rows += [_cells(one) for one in self.comparisons()]
        return "\n".join(
            [
                f"{self.size}: {self.parameters / 1e9:.2f}e9 parameters "
                f"(reference {self.reference_parameters / 1e9:.2f}e9, "
                f"Mimi {self.mimi_parameters / 1e9:.2f}e9), "
                f"{machine.dtype} on {machine.device_name} ({machine.device}, {machine.threads} threads), "
                f"torch {machine.torch}, moshi {machine.moshi}, Python {machine.python}",
                f"medians of {self.frames_measured} frames of each kind, ours and the reference in turns; "
                f"a prompt of {self.persona.positions} positions",
                self._sameness(),
                "",
                *aligned(rows, left=1),
                "",
                f"weights {memory.weights_mb:,.0f} MB (reference {memory.reference_weights_mb:,.0f}), "
                f"measured {memory.weights_growth_mb:,.0f} (the reference's beside them "
                f"{memory.reference_growth_mb:,.0f}); Mimi {memory.mimi_mb:,.0f} MB",
                f"a slot {memory.slot_mb:,.1f} MB at full window, measured {memory.slot_growth_mb:,.1f}; "
                f"a kept persona {memory.persona_mb:,.1f} MB",
            ]
        )

    def _sameness(self) -> str:
        if not self.compared_frames:
            return "greedy tokens are compared on a CPU in float32 only"
        return f"greedy tokens as the reference's: {self.same_tokens} of {self.compared_frames} frames"

    def comparisons(self) -> Iterator[Comparison]:
        """All times, in the order of the table."""
        one, reference = self.frames[0], self.reference_frame
        yield _less("frame, 1 caller", one.frame_ms, reference.frame_ms, most=0.72)
        yield _less("  language model alone", one.language_model_ms, reference.language_model_ms)
        for more in self.frames[1:]:
            most = 1.8 if more.callers == 4 else None
            yield _callers(f"frame, {more.callers} callers", more.frame_ms, one.frame_ms, most)
            yield _callers("  language model alone", more.language_model_ms, one.language_model_ms)
        for full in self.full_window:
            what = f"frame, {full.callers} caller{'s' if full.callers > 1 else ''}, window full"
            yield _less(what, full.frame_ms, reference.frame_ms)
            yield _less("  language model alone", full.language_model_ms, reference.language_model_ms)
        persona = self.persona
        yield _faster("persona, cold", persona.cold_ms, persona.reference_ms, least=30.0)
        yield _below("persona, kept", persona.kept_ms, 20.0)
        cold, kept = persona.cold_first_frame_ms, persona.kept_first_frame_ms
        yield _faster("start to first frame, cold", cold, persona.reference_first_frame_ms)
        yield _faster("start to first frame, kept", kept, persona.reference_first_frame_ms)


def _less(what: str, ours: float, reference: float, most: float | None = None) -> Comparison:
    ratio = ours / reference
    if most is None:
        return Comparison(what, "ms", ours, reference, ratio)
    return Comparison(what, "ms", ours, reference, ratio, f"<= {most:g}", ratio <= most)


def _callers(what: str, ours: float, one_caller: float, most: float | None = None) -> Comparison:
    """The ratio is to one caller of ours: the reference serves no more than one."""
    ratio = ours / one_caller
    if most is None:
        return Comparison(what, "ms", ours, None, ratio, "(to 1 caller)")
    return Comparison(what, "ms", ours, None, ratio, f"(to 1 caller) <= {most:g}", ratio <= most)


def _faster(what: str, ours: float, reference: float, least: float | None = None) -> Comparison:
    """The ratio says how many times faster ours is."""
    ratio = reference / ours
    if least is None:
        return Comparison(what, "ms", ours, reference, ratio, "(times faster)")
    return Comparison(what, "ms", ours, reference, ratio, f"(times faster) >= {least:g}", ratio >= least)


def _below(what: str, ours: float, most_ms: float) -> Comparison:
    return Comparison(what, "ms", ours, aim=f"< {most_ms:g} ms", met=ours < most_ms)


def _cells(one: Comparison) -> list[str]:
    reference = "" if one.reference is None else f"{one.reference:,.1f}"
    ratio = "" if one.ratio is None else f"{one.ratio:.2f}"
    met = "" if one.met is None else "met" if one.met else "MISSED"
    return [one.what, one.unit, f"{one.ours:,.1f}", reference, ratio, one.aim, met]
