"""The preset voices of a checkpoint: unpacks their archive, and checks each voice before the model uses it.

Depends on the archive and the reference's voice files. Neither is trusted.
"""

import shutil
from pathlib import Path, PurePosixPath
from typing import Any, cast

import torch
from torch import Tensor

from personaplex_ui.errors import InvalidInput
from personaplex_ui.models.personaplex.loading.checkpoint_files import CheckpointUnusable
from personaplex_ui.models.personaplex.loading.torch_file import TorchFileUnusable, read_tensors
from personaplex_ui.models.personaplex.runtime.prompt import DELAYS, STREAMS, PresetVoice
from personaplex_ui.tar import ArchiveUnusable, Limits, extract_tar
from personaplex_ui.voices.folder import SUFFIXES
from personaplex_ui.voices.names import trouble_with_name

LIMITS = Limits(members=500, file_bytes=64_000_000, total_bytes=1_000_000_000)
"""Generous: the 7B model has 18 presets of some 0.5 MB."""

RING_POSITIONS = 4
MOST_PRESET_POSITIONS = 1_000
"""A preset is some seconds of speech, 12.5 positions each; a third of the window leaves room for a call."""

AUDIO_CARD = 2_048


def unpack_voices(archive: Path, folder: Path) -> None:
    """Unpack the voices of ``archive`` into the new ``folder``, which is removed again on failure.

    Raises:
        CheckpointUnusable: the archive is damaged or contains something unexpected, or the disk is full.
    """
    try:
        folder.mkdir()
        extract_tar(archive, folder, LIMITS, _voice_file)
    except (ArchiveUnusable, OSError) as error:
        shutil.rmtree(folder, ignore_errors=True)
        if isinstance(error, OSError):
            raise CheckpointUnusable(
                f"{archive.name} cannot be unpacked into {folder} ({error.strerror}). Make room there and "
                "allow this app to write."
            ) from error
        raise CheckpointUnusable(
            f"{archive.name} {error}, so its voices are not used. Remove {archive.resolve()} and "
            "restart to fetch it again, or copy it again."
        ) from error


def _voice_file(path: PurePosixPath) -> str | None:
    """All voices go into one folder, whatever folders they come in; other files are skipped."""
    is_voice = path.suffix.lower() in SUFFIXES and not trouble_with_name(path.stem)
    return path.name if is_voice else None


def load_preset(path: Path, dim: int, text_card: int = 32_000) -> tuple[PresetVoice, Tensor]:
    """Load a voice saved by the reference: its tokens, and the inputs of its positions ``[T, 1, 1, dim]``.

    Raises:
        InvalidInput: for ``voice``; the file is not such a voice, is damaged, or was made for another model.
    """
    voice = _load(path)
    embeddings, ring = voice.get("embeddings"), voice.get("cache")
    if embeddings is None or ring is None:
        raise _foreign(path, "it does not hold embeddings and cache")
    if embeddings.ndim != 4 or embeddings.shape[1:3] != (1, 1) or not embeddings.is_floating_point():
        raise _foreign(path, f"its embeddings are {_described(embeddings)}")
    if embeddings.shape[3] != dim:
        raise InvalidInput(
            "voice",
            f"The voice {path.stem} was made for a model of width {embeddings.shape[3]:,}, and this one has "
            f"{dim:,}. Choose another voice.",
        )
    positions = embeddings.shape[0]
    if not 1 <= positions <= MOST_PRESET_POSITIONS:
        raise _foreign(
            path, f"it has {positions:,} positions, and 1 to {MOST_PRESET_POSITIONS:,} can be used"
        )
    if ring.dtype != torch.int64 or ring.shape != (1, STREAMS, RING_POSITIONS):
        raise _foreign(path, f"its cache is {_described(ring)}")
    if not bool(torch.isfinite(embeddings).all()) or not _known_tokens(ring[0], positions, text_card):
        raise _foreign(path, "it holds numbers that make no sense")
    return PresetVoice(positions, cast(Any, ring[0].numpy())), embeddings


def _load(path: Path) -> dict[str, Tensor]:
    try:
        return read_tensors(path, ("embeddings", "cache"), LIMITS.file_bytes)
    except OSError as error:
        raise InvalidInput("voice", f"The voice {path.stem} cannot be read. Choose another voice.") from error
    except TorchFileUnusable as error:
        raise _foreign(path, str(error)) from error


def _known_tokens(ring: Tensor, positions: int, text_card: int) -> bool:
    """Whether the tokens still needed (see ``PresetVoice``) exist; -1 means none."""
    late = torch.from_numpy(DELAYS == 1)
    column = ring[:, positions % RING_POSITIONS]
    needed = torch.cat([column[1:], ring[late, (positions + 1) % RING_POSITIONS]])
    return bool((needed >= -1).all() and (needed <= AUDIO_CARD).all() and -1 <= int(column[0]) <= text_card)


def _described(tensor: Tensor) -> str:
    return f"{' x '.join(map(str, tensor.shape))} of {str(tensor.dtype).removeprefix('torch.')}"


def _foreign(path: Path, why: str) -> InvalidInput:
    return InvalidInput(
        "voice",
        f"{path.name} is not a voice of PersonaPlex: {why}. Choose another voice, or put another file in its "
        "place.",
    )
