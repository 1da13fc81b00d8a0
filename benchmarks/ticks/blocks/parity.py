"""The tiny checkpoint's conversations on this device: the tokens that the reference chose on a CPU, and those
of captured ticks beside those of the same ticks operator by operator."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from benchmarks.ticks.block import Block, Cell
from benchmarks.ticks.random_model import free_memory
from benchmarks.ticks.setup import TickSetup, say
from personaplex_ui.audio.frames import Frame
from personaplex_ui.engine.speech_model import Sampling, complete
from personaplex_ui.models.personaplex.loading.load import Source, load_personaplex
from personaplex_ui.models.personaplex.model import PersonaPlexModel
from personaplex_ui.models.personaplex.runtime.graph import CudaRecorder
from personaplex_ui.voices.library import VoiceLibrary
from tests.support.parity import TINY, Case, read_case, unheard

CASES = ("voice_preset", "past_the_context_window")
SLOTS = 4


@dataclass(frozen=True, slots=True)
class Played:
    tokens: npt.NDArray[Any]
    sound: npt.NDArray[Any]


async def measure(setup: TickSetup) -> Block:
    rows: list[tuple[Cell, ...]] = []
    notes: list[str] = []
    for dtype in (torch.float32, torch.bfloat16):
        for int8 in (False, True):
            # The reference's tokens were chosen in float32, without shortcuts.
            with torch.backends.cudnn.flags(allow_tf32=False):
                rows += _rows_of(setup, dtype, int8, notes)
            free_memory(setup)
    notes.append(
        "Greedy. In bfloat16 and int8 a choice between two nearly equal tokens goes another way sooner or "
        "later, and with it all that follows; captured and eager ticks run the same kernels, so these agree."
    )
    columns = ("case", "frames", "as the reference until", "captured as eager until", "difference of sound")
    return Block("parity", columns, tuple(rows), tuple(notes))


def _rows_of(setup: TickSetup, dtype: torch.dtype, int8: bool, notes: list[str]) -> list[tuple[Cell, ...]]:
    kind = f"{str(dtype).removeprefix('torch.')}{', int8 weights' if int8 else ''}"
    say(f"Playing the parity cases in {kind} ...")
    model = _load(setup, dtype, int8)
    cases = [read_case(name) for name in CASES]
    eager = [_play(model, case) for case in cases]
    captured = eager
    if setup.on_gpu:
        model.stepper.capture(CudaRecorder(setup.device), lambda shape: None)
        if model.stepper.graphs.trouble:
            notes.append(f"{kind}: {model.stepper.graphs.trouble}.")
        captured = [_play(model, case) for case in cases]
    return [
        (f"{case.name}, {kind}", *_compared(case, one, other))
        for case, one, other in zip(cases, eager, captured, strict=True)
    ]


def _load(setup: TickSetup, dtype: torch.dtype, int8: bool) -> PersonaPlexModel:
    source = Source(
        str(TINY),
        device=str(setup.device),
        dtype=dtype,
        slots=SLOTS,
        voices=VoiceLibrary(),
        quantize=int8,
        pin_persona=False,
    )
    model = load_personaplex(source, unheard)
    graphs: Any = model.stepper.graphs
    graphs._replays.clear()  # so that the first ticks are eager, whatever the loader captured
    return model


def _play(model: PersonaPlexModel, case: Case) -> Played:
    model.join(1, complete(model.prepare(case.persona)), Sampling(greedy=True))
    tokens: list[npt.NDArray[Any]] = []
    sound: list[Frame] = []
    for frame in case.user:
        output = model.step_tokens({1: frame})[1]
        tokens.append(output.tokens)
        sound.append(output.frame)
    model.leave(1)
    return Played(np.array(tokens), np.array(sound))


def _compared(case: Case, eager: Played, captured: Played) -> tuple[Cell, ...]:
    frames = len(case.tokens)
    difference = float(np.abs(eager.sound - captured.sound).max())
    return (
        frames,
        _first_other(captured.tokens[:frames], case.tokens),
        _first_other(captured.tokens, eager.tokens),
        f"{difference:.1e}",
    )


def _first_other(ours: npt.NDArray[Any], theirs: npt.NDArray[Any]) -> str:
    other = np.flatnonzero((ours != theirs).any(axis=1))
    return f"frame {other[0]}" if len(other) else "the end"
