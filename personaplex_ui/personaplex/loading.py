"""From a repository's name to a model that is ready: find, check for room, load, warm up. Runs in the
engine's thread.

Each stage tells its progress; each failure is a sentence.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import cast

import torch

from personaplex_ui.audio.frames import silent_frame
from personaplex_ui.engine.speech_model import Persona, Sampling
from personaplex_ui.personaplex.checkpoint import (
    check_gpu_room,
    load_codec,
    load_language_model,
    load_tokenizer,
)
from personaplex_ui.personaplex.checkpoint_files import CheckpointFiles, CheckpointUnusable, Report
from personaplex_ui.personaplex.download import Hub, find_checkpoint
from personaplex_ui.personaplex.model import PersonaPlexModel
from personaplex_ui.personaplex.text import Tokenizer
from personaplex_ui.personaplex.voice_archive import unpack_voices
from personaplex_ui.personaplex.voices import VoiceLibrary

WARM_UP_FRAMES = 2


@dataclass(frozen=True, slots=True)
class Source:
    """Which model, and where it runs. ``device``: ``auto``, ``cpu`` or ``cuda``; ``dtype`` None: bfloat16
    on a GPU, float32 on a CPU. ``voice_folders`` come before the checkpoint's own presets, unpacked into
    ``unpack_into``."""

    repo: str
    revision: str | None = None
    token: str | None = None
    device: str = "auto"
    dtype: torch.dtype | None = None
    slots: int = 1
    persona_cache_bytes: int = 1 << 30
    voice_folders: tuple[Path, ...] = ()
    unpack_into: Path = Path("voices")


def choose_device(name: str) -> torch.device:
    """``auto`` is the GPU where there is one.

    Raises:
        CheckpointUnusable: a GPU was asked for and there is none.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if name.startswith("cuda") and not torch.cuda.is_available():
        raise CheckpointUnusable(
            "DEVICE asks for a GPU, but PyTorch finds none. Check it with nvidia-smi, or set DEVICE=cpu."
        )
    return torch.device(name)


def load_personaplex(source: Source, report: Report) -> PersonaPlexModel:
    """The model, loaded and warmed up.

    Raises:
        CheckpointUnusable: with what is wrong and what to do next.
    """
    device = choose_device(source.device)
    dtype = source.dtype or (torch.bfloat16 if device.type == "cuda" else torch.float32)

    def check_room(config: dict[str, object]) -> None:
        check_gpu_room(config, device, dtype, source.slots, source.persona_cache_bytes)

    files = find_checkpoint(source.repo, source.revision, Hub(token=source.token), report, check_room)
    lm = load_language_model(files, device, dtype, report)
    model = PersonaPlexModel(
        lm,
        load_codec(files, device),
        cast(Tokenizer, load_tokenizer(files)),
        VoiceLibrary(_voice_folders(source, files)),
        source.slots,
        source.persona_cache_bytes,
        files.licence_note,
    )
    report("Warming up the model.", 1.0)
    _warm_up(model)
    return model


def _voice_folders(source: Source, files: CheckpointFiles) -> tuple[Path, ...]:
    if files.voices is None:
        return source.voice_folders
    return (*source.voice_folders, unpack_voices(files.voices, source.unpack_into))


def _warm_up(model: PersonaPlexModel) -> None:
    # The first steps choose kernels and allocate; no caller should wait for that.
    names = model.voices.names()
    if not names:
        return
    preparation = model.prepare(Persona(names[0], ""))
    while True:
        try:
            next(preparation)
        except StopIteration as done:
            model.join(0, done.value, Sampling(greedy=True))
            break
    for _ in range(WARM_UP_FRAMES):
        model.step({0: silent_frame()})
    model.leave(0)
