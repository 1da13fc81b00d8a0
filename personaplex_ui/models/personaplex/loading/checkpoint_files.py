"""The files of a checkpoint, and how they are found in one folder.

Depends on file names and the two JSON files, not on the hub or the weights.
"""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TypeAlias, cast

from personaplex_ui.errors import PersonaplexError, setting

Report: TypeAlias = Callable[[str, float], None]
"""Called with a sentence and the progress of one stage in [0, 1]."""

Config: TypeAlias = dict[str, object]

HF_REPO = setting("HF_REPO")
"""The name in error messages."""

CONFIG = "config.json"
WEIGHTS = "model.safetensors"
MIMI = "tokenizer-e351c8d8-checkpoint125.safetensors"
TOKENIZER = "tokenizer_spm_32k_3.model"
VOICES = "voices.tgz"

LICENCE_NOTES = {
    "kyutai/stt-1b-en_fr": "Its weights, by Kyutai, are under CC BY 4.0.",
    "nvidia/personaplex-7b-v1": "These weights are under the NVIDIA Open Model License.",
    "kyutai/personaplex-rl-seamless": (
        "For non-commercial use only: these weights are under CC BY-NC 4.0 and the NVIDIA Open Model License."
    ),
}


class CheckpointUnusable(PersonaplexError):
    """A checkpoint cannot be found, fetched or loaded, or there is no room for it."""

    code = "checkpoint_unusable"


@dataclass(frozen=True, slots=True)
class CheckpointFiles:
    """``config`` and ``mimi_config`` as in their files; ``voices``: the archive of the presets. ``mimi`` may
    not be there where it is not needed, see ``FileNames``."""

    config: Config
    weights: Path
    mimi: Path
    tokenizer: Path
    mimi_config: Config | None
    voices: Path | None
    repo: str
    licence_note: str


@dataclass(frozen=True, slots=True)
class FileNames:
    """The names of the files that a config requires; ``voices.tgz`` is not included, since it is optional."""

    weights: str
    mimi: str
    tokenizer: str
    mimi_config: str | None
    needs_mimi: bool = True
    """Not for a recogniser, which reads the codes of PersonaPlex's Mimi: it only names the one it knows."""

    @classmethod
    def from_config(cls, config: Config) -> "FileNames":
        """Raises CheckpointUnusable if a name leads out of the checkpoint."""

        def name(key: str, default: str) -> str:
            value = config.get(key) or default
            if not isinstance(value, str) or not _is_plain(value):
                raise CheckpointUnusable(
                    f"{CONFIG} names {value!r} as {key}, which is not a file of the same checkpoint. "
                    f"Put that file beside {CONFIG} and name it there."
                )
            return value

        return cls(
            name("moshi_name", WEIGHTS),
            name("mimi_name", MIMI),
            name("tokenizer_name", TOKENIZER),
            name("mimi_config_name", "") if config.get("mimi_config_name") else None,
            config.get("model_type") != "stt",
        )

    def in_order(self) -> list[str]:
        """The smallest first, so that problems show early."""
        mimi = [self.mimi] if self.needs_mimi else []
        return [*([self.mimi_config] if self.mimi_config else []), self.tokenizer, *mimi, self.weights]


def files_in(folder: Path, repo: str, licence_note: str, remedy: str) -> CheckpointFiles:
    """The checkpoint in ``folder``. ``remedy``: what to do if a file is missing or damaged.

    Raises:
        CheckpointUnusable: a file is missing, or one of the JSON files cannot be read.
    """
    config = read_json(folder / CONFIG, remedy)
    names = FileNames.from_config(config)
    missing = [name for name in names.in_order() if not (folder / name).is_file()]
    if missing:
        raise CheckpointUnusable(f"{folder} lacks {listed(missing)}. {remedy}")
    voices = folder / VOICES
    return CheckpointFiles(
        config=config,
        weights=folder / names.weights,
        mimi=folder / names.mimi,
        tokenizer=folder / names.tokenizer,
        mimi_config=read_json(folder / names.mimi_config, remedy) if names.mimi_config else None,
        voices=voices if voices.is_file() else None,
        repo=repo,
        licence_note=licence_note,
    )


def read_json(path: Path, remedy: str) -> Config:
    """Raises CheckpointUnusable if ``path`` does not contain a JSON object."""
    try:
        content: object = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise CheckpointUnusable(f"{path.parent} lacks {path.name}. {remedy}") from None
    except OSError as error:
        raise CheckpointUnusable(
            f"{path} cannot be read ({error.strerror}). Allow this app to read it."
        ) from error
    except (ValueError, RecursionError) as error:
        raise CheckpointUnusable(f"{path} is damaged: it is not JSON. {remedy}") from error
    if not isinstance(content, dict):
        raise CheckpointUnusable(f"{path} holds JSON, but not an object. {remedy}")
    return cast(Config, content)


def licence_note(repo: str) -> str:
    """A sentence for users about the licence of a repository's weights."""
    return LICENCE_NOTES.get(
        repo.lower(), f"For the licence of these weights see https://huggingface.co/{repo}."
    )


def listed(names: list[str]) -> str:
    """``a, b and c``."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def human_size(size: float) -> str:
    """Bytes as people read them."""
    return f"{size / 1e9:,.1f} GB" if size >= 1e9 else f"{size / 1e6:,.1f} MB"


def _is_plain(name: str) -> bool:
    path = PurePosixPath(name)
    return bool(path.parts) and ".." not in path.parts and not re.search(r"^/|[\\:\0]", name)
