"""Conversations recorded with NVIDIA's own implementation, to compare with: one folder each, or a folder of
them.

``case.json`` names the voice (``NATF0.pt``, a preset, or a WAV beside it), the ``text_prompt``, the caller's
recording ``user`` (24 kHz) and the ``dtype``; ``expected.npz`` holds ``tokens`` int32 ``[frames, 9]``, chosen
greedily."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np

from personaplex_ui.accept.agreement import first_difference
from personaplex_ui.accept.conversation import OnFrame, Said, answer
from personaplex_ui.accept.report import OK, PROBLEM, WARNING, Finding
from personaplex_ui.audio.files.clip_file import decode_clip
from personaplex_ui.audio.frames import FRAME_SAMPLES, Samples, pad_to_frames
from personaplex_ui.engine.speech_model import Persona, Sampling
from personaplex_ui.errors import InvalidInput, PersonaplexError
from personaplex_ui.models.personaplex.model import PersonaPlexModel

CASE, EXPECTED = "case.json", "expected.npz"
LONGEST_SEC = 3_600.0

PARTED = (
    "Compare with the lines beside plain moshi: if those are good, the two machines round differently, which "
    "is harmless. If not, please report it."
)


@dataclass(frozen=True, slots=True)
class Case:
    """``voice``: a preset's name or a file. ``sound`` ``[n, 1920]``; ``said`` ``[frames, 9]``, at most n."""

    name: str
    voice: str | Path
    text_prompt: str
    sound: Samples
    said: Said
    dtype: str


def read_cases(folder: Path) -> list[Case]:
    """Raises PersonaplexError: there is none, or one cannot be read."""
    folders = (
        [folder] if (folder / CASE).is_file() else sorted(path.parent for path in folder.glob(f"*/{CASE}"))
    )
    if not folders:
        raise PersonaplexError(
            f"--reference names {folder}, but neither it nor a folder in it holds {CASE}. Name the folder "
            "that the reference wrote (docs/DEPLOYMENT.md)."
        )
    return [_read_case(path) for path in folders]


def _read_case(folder: Path) -> Case:
    try:
        facts = cast(dict[str, Any], json.loads((folder / CASE).read_text(encoding="utf-8")))
        user = pad_to_frames(decode_clip(folder / str(facts["user"]), LONGEST_SEC).samples)
        with np.load(folder / EXPECTED) as expected:
            said = np.asarray(expected["tokens"], dtype=np.int32)
        if said.ndim != 2 or said.shape[1] != 9:
            raise ValueError(f"its tokens have the shape {said.shape}, not [frames, 9]")
        voice = str(facts["voice"])
        return Case(
            folder.name,
            Path(voice).stem if voice.endswith(".pt") and not (folder / voice).is_file() else folder / voice,
            str(facts.get("text_prompt", "")),
            user.reshape(-1, FRAME_SAMPLES),
            said,
            str(facts.get("dtype", "bfloat16")),
        )
    except (InvalidInput, OSError, ValueError, KeyError, AttributeError, TypeError) as error:
        why = f"{error} is missing" if isinstance(error, KeyError) else str(error)
        raise PersonaplexError(f"The case {folder} cannot be read: {why}.") from error


def compare_with_cases(model: PersonaPlexModel, cases: list[Case], on_frame: OnFrame) -> Iterator[Finding]:
    for number, case in enumerate(cases):

        def tell(part: float, done: int = number) -> None:
            on_frame((done + part) / len(cases))

        try:
            yield _compare(model, case, tell)
        except InvalidInput as error:
            yield Finding(f"Recorded case {case.name}", PROBLEM, "not played", str(error))


def _compare(model: PersonaPlexModel, case: Case, on_frame: OnFrame) -> Finding:
    voice = case.voice if isinstance(case.voice, str) else model.voices.add_file(case.voice)
    frames = min(len(case.said), len(case.sound))
    persona = Persona(voice, case.text_prompt)
    said = answer(model, persona, case.sound[:frames], Sampling(greedy=True), on_frame)
    difference = first_difference(said, case.said[:frames])
    name = f"Recorded case {case.name}"
    dtype = str(model.stepper.temporal.dtype).removeprefix("torch.")
    data: dict[str, object] = {"frames": frames, "dtype": dtype, "recorded_dtype": case.dtype}
    if difference is None:
        sentence = f"All greedy tokens of {frames} frames are those that were recorded ({dtype})."
        return Finding(
            name, OK, f"{frames} of {frames} frames equal", sentence, data=data | {"equal": frames}
        )
    stream = f"codebook {difference.stream}" if difference.stream else "the text"
    sentence = f"They part at frame {difference.frame}, in {stream} ({dtype} here, {case.dtype} there)."
    exact = case.dtype == dtype == "float32"
    number = f"{difference.frame} of {frames} frames equal"
    data |= {"equal": difference.frame, "stream": difference.stream}
    return Finding(name, PROBLEM if exact else WARNING, number, sentence, PARTED, data=data)
