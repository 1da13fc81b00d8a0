"""A float32 model beside the same one in bf16 and in int8, given the same random tokens."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from moshi.models.lm import LMModel
from torch import Tensor

from benchmarks.fidelity_report import FidelityReport
from benchmarks.random_weights import SMALL, parameters, random_language_model
from personaplex_ui.accept.agreement import agreement
from personaplex_ui.accept.teacher_forcing import forced_by_ours
from personaplex_ui.errors import PersonaplexError
from personaplex_ui.models.personaplex.loading.checkpoint import empty_language_model, load_language_model
from personaplex_ui.models.personaplex.loading.checkpoint_files import files_in
from personaplex_ui.models.personaplex.loading.int8 import quantize, quantize_layers
from personaplex_ui.models.personaplex.loading.model_sizes import Sizes, language_model_sizes
from personaplex_ui.models.personaplex.runtime.prompt import CODEBOOKS, Tokens, positions_of
from personaplex_ui.models.personaplex.runtime.temporal import window_of

CPU = torch.device("cpu")
KINDS: tuple[tuple[str, torch.dtype, bool, bool], ...] = (
    ("bf16", torch.bfloat16, False, False),
    ("int8 weights", torch.float32, True, False),
    ("int8 weights, bf16", torch.bfloat16, True, False),
    ("int8 keys and values", torch.float32, False, True),
    ("int8 weights, keys and values, bf16", torch.bfloat16, True, True),
)
"""Name, dtype of the rest, int8 weights, int8 keys and values."""


def measure_fidelity(checkpoint: Path | None, positions: int, seed: int) -> FidelityReport:
    """``checkpoint``: a folder with a model's files; None for random weights."""
    sizes, lm = _checkpoint(checkpoint) if checkpoint else _random(seed)
    if positions > window_of(lm):
        raise PersonaplexError(f"The window of this model has {window_of(lm)} positions. Use --positions.")
    tokens = _random_tokens(lm, positions, seed)
    exact = forced_by_ours(lm, tokens)
    kinds = {
        name: agreement(forced_by_ours(_converted(sizes, lm, dtype, int8), tokens, int8_cache), exact)
        for name, dtype, int8, int8_cache in KINDS
    }
    name = checkpoint.name if checkpoint else "random weights"
    return FidelityReport(name, parameters(lm), positions, seed, kinds)


def _checkpoint(folder: Path) -> tuple[Sizes, LMModel]:
    files = files_in(folder, str(folder), "", "Name another folder with --checkpoint.")
    return language_model_sizes(files.config), load_language_model(files, CPU, torch.float32, _unheard)


def _unheard(sentence: str, progress: float) -> None:
    """Hears the reports of loading."""


def _random(seed: int) -> tuple[Sizes, LMModel]:
    sizes = Sizes(SMALL)
    return sizes, random_language_model(sizes.moshi_arguments(), CPU, torch.float32, seed, None)


def _random_tokens(lm: LMModel, positions: int, seed: int) -> Tokens:
    dice = np.random.default_rng(seed)
    text = dice.integers(0, lm.text_card, (1, positions + 1))
    frames = np.concatenate([text, dice.integers(0, lm.card, (2 * CODEBOOKS, positions + 1))])
    return positions_of(frames, lm.initial_token_id, lm.text_initial_token_id)


def _converted(sizes: Sizes, lm: LMModel, dtype: torch.dtype, int8: bool) -> LMModel:
    """A copy of ``lm`` as the loader would make it of the same weights."""
    model = empty_language_model(sizes.moshi_arguments(), dtype)
    quantized = quantize_layers(model) if int8 else {}
    state = dict(_converted_state(lm, dtype, lambda name: name in quantized))
    model.load_state_dict(state, assign=True)
    return model.eval().requires_grad_(False)


def _converted_state(
    lm: LMModel, dtype: torch.dtype, is_quantized: Callable[[str], bool]
) -> Iterator[tuple[str, Tensor]]:
    for name, tensor in lm.state_dict().items():
        if is_quantized(name):
            weight, scale = quantize(tensor, dtype)
            yield name, weight
            yield name.removesuffix("weight") + "scale", scale
        else:
            yield name, tensor.to(dtype)
