"""What a model would say at each position of a conversation that is given: its hidden states and logits.

The same positions go through two models, so that a difference of one position does not become another
conversation. ``forced_by_ours`` is the one place here that knows the inside of ``runtime``.
"""

from typing import Any, cast

import torch
from moshi.models.lm import LMModel
from moshi.utils.compile import no_compile
from torch import Tensor

from personaplex_ui.accept.agreement import Forced
from personaplex_ui.models.personaplex.model import PersonaPlexModel
from personaplex_ui.models.personaplex.runtime.prefill import hidden_states
from personaplex_ui.models.personaplex.runtime.prompt import Tokens
from personaplex_ui.models.personaplex.runtime.temporal import Temporal


def to_numpy(tensor: Tensor) -> Any:
    """``tensor`` on the CPU, as numpy sees it."""
    return cast(Any, tensor.cpu()).numpy()


@torch.no_grad()  # pyright: ignore[reportUntypedFunctionDecorator]
def forced_by_ours(lm: LMModel, positions: Tokens, int8_cache: bool = False) -> Forced:
    """By the app's own loop; ``int8_cache``: with keys and values as int8. ``positions`` ``[17, n + 1]`` from
    the very beginning, at most a window of them; the last one is only what the one before it should have
    said."""
    temporal = Temporal(lm)
    tokens = torch.from_numpy(positions).to(lm.device)
    inputs = temporal.embed(tokens[:, :-1].T)
    return _with_logits(lm, tokens, hidden_states(temporal, inputs, int8_cache))


def forced_as_in_calls(model: PersonaPlexModel, positions: Tokens) -> Forced:
    """As ``forced_by_ours``, with keys and values kept as ``model`` keeps them."""
    return forced_by_ours(model.language_model, positions, model.stepper.options.int8_cache)


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
