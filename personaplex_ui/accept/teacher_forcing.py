"""What a model would say at each position of a conversation that is given: its hidden states and logits.

The same positions go through two models, so that a difference of one position does not become another
conversation. ``forced_by_ours`` is the one place here that knows the inside of ``runtime``.
"""

from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import torch
from moshi.models.lm import LMModel
from moshi.utils.compile import no_compile
from torch import Tensor

from personaplex_ui.models.personaplex.model import PersonaPlexModel
from personaplex_ui.models.personaplex.runtime.prefill import hidden_states
from personaplex_ui.models.personaplex.runtime.prompt import Tokens

Floats = npt.NDArray[np.float32]


def to_numpy(tensor: Tensor) -> Any:
    """``tensor`` on the CPU, as numpy sees it."""
    return cast(Any, tensor.cpu()).numpy()


@dataclass(frozen=True, slots=True)
class Forced:
    """At each of ``n`` positions: the temporal transformer's hidden state ``[n, dim]``, the logits of the
    next text token ``[n, text_card]`` and of the assistant's codebooks ``[n, 8, card]``. On the CPU: two
    models may not fit a GPU together."""

    hidden: Floats
    text_logits: Floats
    audio_logits: Floats


@torch.no_grad()  # pyright: ignore[reportUntypedFunctionDecorator]
def forced_by_ours(model: PersonaPlexModel, positions: Tokens) -> Forced:
    """By the app's own loop, with keys and values kept as in calls. ``positions`` ``[17, n + 1]`` from the
    very beginning, at most a window of them; the last one is only what the one before it should have said."""
    stepper = model.stepper
    tokens = torch.from_numpy(positions).to(stepper.temporal.device)
    inputs = stepper.temporal.embed(tokens[:, :-1].T)
    hidden = hidden_states(stepper.temporal, inputs, stepper.options.int8_cache)
    return _with_logits(model.language_model, tokens, hidden)


@torch.no_grad()  # pyright: ignore[reportUntypedFunctionDecorator]
def forced_by_moshi(lm: LMModel, positions: Tokens) -> Forced:
    """As ``forced_by_ours``, by moshi's own ``forward_text``, in one pass."""
    tokens = torch.from_numpy(positions).to(lm.device)
    with no_compile():
        hidden, _ = lm.forward_text(tokens[None, :, :-1])
    return _with_logits(lm, tokens, hidden[0])


def _with_logits(lm: LMModel, tokens: Tensor, hidden: Tensor) -> Forced:
    """``hidden`` ``[n, dim]``. The depth transformer is moshi's own, in its form for training: it gives the
    logits of all codebooks after the given ones."""
    with no_compile():
        text: Tensor = lm.text_linear(hidden)
        audio = lm.forward_depformer_training(tokens[None, :, 1:], hidden[None])[0].transpose(0, 1)
    return Forced(to_numpy(hidden.float()), to_numpy(text.float()), to_numpy(audio.float()))
