"""The voices the model can speak with: presets and recordings in folders, and recordings users uploaded.

Knows files and their checked content. A name is looked up in what the folders list and never becomes a path.
"""

import logging
import pickle
import secrets
import threading
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor

from personaplex_ui.audio.frames import Samples
from personaplex_ui.errors import InvalidInput
from personaplex_ui.personaplex.prompt import DELAYS, STREAMS, PresetVoice
from personaplex_ui.personaplex.voice_archive import MAX_FILE_BYTES, SUFFIXES, VOICE_NAME
from personaplex_ui.personaplex.voice_recording import read_voice_recording
from personaplex_ui.voices import canonical_voice_name

log = logging.getLogger(__name__)

RING_POSITIONS = 4
MOST_PRESET_POSITIONS = 1_000
"""A preset is some seconds of speech, 12.5 positions each; a third of the window leaves room for a call."""

AUDIO_CARD = 2_048
MOST_UPLOADS = 100
"""Of 30 s each they take 290 MB; the oldest is forgotten for a new one."""


class VoiceLibrary:
    """``folders``: the first one that has a voice of a name counts. They are looked through at every
    question, so that a voice dropped in is there at once. May be asked from any thread."""

    def __init__(self, folders: Sequence[Path]) -> None:
        self._folders = tuple(folders)
        self._uploads: OrderedDict[str, Samples] = OrderedDict()
        self._lock = threading.Lock()

    def names(self) -> list[str]:
        """All voices of the folders, sorted. What users uploaded is not among them."""
        return sorted(self._paths())

    def path_of(self, name: str) -> Path:
        """The file of the voice ``name``, with or without its suffix.

        Raises:
            InvalidInput: no folder has it.
        """
        paths = self._paths()
        wanted = canonical_voice_name(name)
        path = paths.get(wanted) or paths.get(wanted.removesuffix(".wav"))
        if path is None:
            which = f"no voice {wanted}" if VOICE_NAME.fullmatch(wanted) else "no such voice"
            raise InvalidInput("voice", f"There is {which}. Choose another one.")
        return path

    def preset(self, name: str, dim: int) -> tuple[PresetVoice, Tensor] | None:
        """See ``load_preset``; None when ``name`` is a recording. Raises InvalidInput."""
        with self._lock:
            if name in self._uploads:
                return None
        path = self.path_of(name)
        return load_preset(path, dim) if path.suffix.lower() == ".pt" else None

    def recording(self, name: str) -> Samples:
        """The recorded voice ``name`` as Mimi is to encode it, whole frames. Raises InvalidInput."""
        with self._lock:
            if name in self._uploads:
                self._uploads.move_to_end(name)
                return self._uploads[name]
        return read_voice_recording(self.path_of(name), "voice")

    def keep_upload(self, path: Path) -> str:
        """Check and keep a user's own recording until it is forgotten. Returns a name nobody can guess.

        Raises:
            InvalidInput: for ``voice_file``; it cannot be used.
        """
        samples = read_voice_recording(path)
        name = f"own-{secrets.token_hex(16)}"
        with self._lock:
            self._uploads[name] = samples
            while len(self._uploads) > MOST_UPLOADS:
                self._uploads.popitem(last=False)
        return name

    def forget_upload(self, name: str) -> None:
        """Drop a recording of ``keep_upload``; one that is gone already does not matter."""
        with self._lock:
            self._uploads.pop(name, None)

    def _paths(self) -> dict[str, Path]:
        paths: dict[str, Path] = {}
        for folder in self._folders:
            for path in _files(folder):
                paths.setdefault(path.stem, path)
        return paths


def load_preset(path: Path, dim: int, text_card: int = 32_000) -> tuple[PresetVoice, Tensor]:
    """A voice as the reference saves it: its tokens, and the inputs of its positions ``[T, 1, 1, dim]``.

    Raises:
        InvalidInput: for ``voice``; the file is no such voice, damaged, or made for another model.
    """
    voice = _load(path)
    embeddings, ring = voice.get("embeddings"), voice.get("cache")
    if not isinstance(embeddings, Tensor) or not isinstance(ring, Tensor):
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


def _files(folder: Path) -> list[Path]:
    """The voices of ``folder``; of two with one name the ``.pt`` comes first."""
    try:
        return [
            path
            for path in sorted(folder.iterdir())
            if path.suffix.lower() in SUFFIXES and VOICE_NAME.fullmatch(path.stem) and path.is_file()
        ]
    except FileNotFoundError:
        return []
    except OSError as error:
        log.warning("The voices in %s cannot be listed: %s.", folder, error.strerror)
        return []


def _load(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise _foreign(path, "it is too large")
        content: object = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise InvalidInput("voice", f"The voice {path.stem} cannot be read. Choose another voice.") from error
    except (
        pickle.UnpicklingError,
        RuntimeError,
        EOFError,
        ValueError,
        LookupError,
        TypeError,
        AttributeError,
        ImportError,
        AssertionError,
    ) as error:
        raise _foreign(path, "it is damaged, or something else altogether") from error
    if not isinstance(content, dict):
        raise _foreign(path, "it does not hold embeddings and cache")
    return cast(dict[str, Any], content)


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
        f"{path.name} is no voice of PersonaPlex: {why}. Choose another voice, or put another file in its "
        "place.",
    )
