"""Checks what ``config.json`` says about the language model: sizes may differ, the kind of model may not.

Depends on moshi's argument names and PersonaPlex's values; builds nothing.
"""

from dataclasses import dataclass
from typing import Any, cast

import torch
from moshi.models.loaders import (
    _lm_kwargs,  # pyright: ignore[reportPrivateUsage, reportUnknownVariableType]
)

from personaplex_ui.models.personaplex.loading.checkpoint_files import (
    CONFIG,
    HF_REPO,
    CheckpointUnusable,
    Config,
)
from personaplex_ui.models.personaplex.runtime.prompt import CODEBOOKS, DELAYS

PERSONAPLEX_7B: dict[str, Any] = {**_lm_kwargs, "dep_q": 2 * CODEBOOKS, "delays": DELAYS.tolist()}
"""The defaults for missing values; the released config is a stub."""

FEEDFORWARD = "depformer_dim_feedforward"
"""One whole number, or one for each depth step."""

WHOLE_NUMBERS = (
    "dim text_card num_heads num_layers context dep_q depformer_dim depformer_num_heads depformer_num_layers "
    f"depformer_context {FEEDFORWARD}"
)
NUMBERS: dict[str, tuple[Any, str]] = {
    **dict.fromkeys(WHOLE_NUMBERS.split(), (int, "a whole number")),
    **dict.fromkeys(("hidden_scale", "max_period", "depformer_max_period"), ((int, float), "a number")),
}
"""The sizes that may differ, with their kinds."""


@dataclass(frozen=True, slots=True)
class Sizes:
    """``arguments`` of ``LMModel``, with the depth steps of the released file."""

    arguments: dict[str, Any]

    @property
    def released_depth_steps(self) -> int:
        return self.arguments["dep_q"]

    @property
    def text_card(self) -> int:
        return self.arguments["text_card"]

    def moshi_arguments(self) -> dict[str, Any]:
        """The arguments of the model we run, without the depth steps of the caller's codebooks."""
        feedforward: Any = self.arguments[FEEDFORWARD]
        if isinstance(feedforward, list):
            feedforward = cast(list[object], feedforward)[:CODEBOOKS]
        return {**self.arguments, "dep_q": CODEBOOKS, FEEDFORWARD: feedforward}

    def key_value_bytes(self, dtype: torch.dtype) -> int:
        """Keys and values of one call at full window."""
        arguments = self.arguments
        return 2 * arguments["num_layers"] * arguments["context"] * arguments["dim"] * dtype.itemsize


def language_model_sizes(config: Config) -> Sizes:
    """The 7B sizes, overridden by ``config``; unknown keys are ignored.

    Raises:
        CheckpointUnusable: a value makes no sense, or belongs to another kind of model.
    """
    arguments: dict[str, Any] = {key: config.get(key, usual) for key, usual in PERSONAPLEX_7B.items()}
    for key, value in arguments.items():
        if key not in NUMBERS:
            if value != PERSONAPLEX_7B[key]:
                raise _another_model(key, value, f"{PERSONAPLEX_7B[key]}")
            continue
        kind, wanted = NUMBERS[key]
        numbers = cast(list[Any], value) if key == FEEDFORWARD and isinstance(value, list) else [value]
        if not all(isinstance(n, kind) and not isinstance(n, bool) and n > 0 for n in numbers):
            raise CheckpointUnusable(
                f"{CONFIG} says {key} = {value!r}, but it must be {wanted} above 0. Fetch it again."
            )
    if arguments["dep_q"] < CODEBOOKS:
        raise _another_model("dep_q", arguments["dep_q"], f"at least {CODEBOOKS}")
    for prefix in ("", "depformer_"):
        size, heads = arguments[f"{prefix}dim"], arguments[f"{prefix}num_heads"]
        if size % heads:
            raise CheckpointUnusable(
                f"{CONFIG} says {prefix}dim = {size} and {prefix}num_heads = {heads}, "
                "but the first must be a multiple of the second. Fetch it again."
            )
    return Sizes(arguments)


def _another_model(key: str, value: object, wanted: str) -> CheckpointUnusable:
    return CheckpointUnusable(
        f"{CONFIG} says {key} = {value}, but PersonaPlex has {wanted}: this is another model. "
        f"Correct {HF_REPO}."
    )
