"""Kyutai's STT: loads it from its files. It has no Mimi of its own here, as it reads PersonaPlex's codes."""

import re
from dataclasses import dataclass
from typing import Any, cast

import torch
from moshi.models.compression import MimiModel
from moshi.models.lm import LMModel

from personaplex_ui.models.personaplex.captions.sizes import CAPTIONS_REPO, SttSizes, stt_sizes
from personaplex_ui.models.personaplex.loading.checkpoint import (
    check_names,
    empty_language_model,
    for_inference,
    read_tokenizer,
)
from personaplex_ui.models.personaplex.loading.checkpoint_files import (
    CheckpointFiles,
    CheckpointUnusable,
    Report,
)
from personaplex_ui.models.personaplex.loading.safetensors_file import SafetensorsFile
from personaplex_ui.models.personaplex.runtime.text import Tokenizer

NAME = "Kyutai STT"

EXTRA_HEADS = "extra_heads."
"""Tell whether the caller has finished. Nothing here asks them."""


@dataclass(frozen=True, slots=True, eq=False)
class SttModel:
    lm: LMModel
    tokenizer: Tokenizer
    sizes: SttSizes
    licence_note: str


def load_recogniser(
    files: CheckpointFiles,
    mimi_name: str,
    mimi: MimiModel,
    device: torch.device,
    dtype: torch.dtype,
    report: Report,
) -> SttModel:
    """On ``device``, to read the codes of ``mimi``, which came from the file ``mimi_name``.

    Raises:
        CheckpointUnusable: with what is wrong and what to do next.
    """
    sizes = stt_sizes(files.config)
    _check_codec(files, sizes, mimi_name, mimi)
    report("Loading the recogniser for captions.", 0.0)
    model = empty_language_model(sizes.arguments, dtype)
    with SafetensorsFile(files.weights) as file:
        names = [name for name in file.shapes if not name.startswith(EXTRA_HEADS)]
        state = {name: file.read(name, device, dtype) for name in names}
    try:
        result = model.load_state_dict(state, strict=False, assign=True)
    except RuntimeError as error:
        raise CheckpointUnusable(
            f"The tensors of {files.weights.name} have other sizes than its config.json says. Fetch both "
            f"again from one repository, or correct {CAPTIONS_REPO}."
        ) from error
    missing, unexpected = cast(list[str], result.missing_keys), cast(list[str], result.unexpected_keys)
    check_names(files.weights.name, "recogniser", missing, unexpected, len(names))
    tokenizer: Any = read_tokenizer(files.tokenizer, sizes.arguments["text_card"])
    report("Loading the recogniser for captions.", 1.0)
    return SttModel(for_inference(model), tokenizer, sizes, _licence_note(files))


def _check_codec(files: CheckpointFiles, sizes: SttSizes, mimi_name: str, mimi: MimiModel) -> None:
    if mimi.total_codebooks < sizes.codebooks:
        raise CheckpointUnusable(
            f"The recogniser reads {sizes.codebooks} codebooks of Mimi, and this Mimi has "
            f"{mimi.total_codebooks}. Correct {CAPTIONS_REPO}."
        )
    wanted, there = _signature(files.mimi.name), _signature(mimi_name)
    if wanted and there and wanted != there:
        raise CheckpointUnusable(
            f"The recogniser was made for the Mimi {wanted}, and PersonaPlex has {there}, whose codes mean "
            f"something else. Correct {CAPTIONS_REPO}."
        )


def _signature(name: str) -> str:
    """Of a training, as in ``mimi-pytorch-e351c8d8@125`` and ``tokenizer-e351c8d8-checkpoint125``, which are
    the same file."""
    found = re.search(r"(?<![0-9a-f])[0-9a-f]{8}(?![0-9a-f])", name)
    return found[0] if found else ""


def _licence_note(files: CheckpointFiles) -> str:
    return f"Captions of the caller: {NAME}. {files.licence_note}"
