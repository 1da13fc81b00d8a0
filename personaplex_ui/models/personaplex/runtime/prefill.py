"""A prompt on its way through the temporal transformer, a stretch at a time: by itself, or in the pass of a
tick.

Whatever the stretches are, the state after the last one is the same.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from personaplex_ui.models.personaplex.runtime.ring_cache import RingCache
from personaplex_ui.models.personaplex.runtime.temporal import Block, Temporal

RIDING_POSITIONS = 16
"""Of a prompt in one tick: beside a few callers, they are free, since the weights are read anyway."""

CHUNK_POSITIONS = 32
"""Of a prompt in a pass of its own."""


@dataclass(frozen=True, slots=True)
class PrefillState:
    """The model after a prompt: keys and values of its positions, one row; its last hidden state ``[1,
    dim]`` and the logits of the text token that follows ``[1, text_card]``."""

    cache: RingCache
    hidden: Tensor
    text_logits: Tensor
    positions: int

    @property
    def size_bytes(self) -> int:
        return self.cache.nbytes + self.hidden.nbytes + self.text_logits.nbytes


class Prefill:
    """Uses ``row`` of ``cache`` for one prompt after the other. ``inputs`` and ``hidden`` ``[16, dim]`` are
    what a tick reads and writes of a stretch that rides along, always at the same address."""

    def __init__(self, temporal: Temporal, cache: RingCache, row: int) -> None:
        self._temporal = temporal
        self._cache = cache
        self._row = row
        dim = temporal.dim
        device = temporal.device
        self.inputs = torch.zeros(RIDING_POSITIONS, dim, device=device, dtype=temporal.dtype)
        self.hidden = torch.zeros_like(self.inputs)
        self._start = torch.zeros(1, 1, dtype=torch.long, device=device)
        self._steps = torch.arange(RIDING_POSITIONS, device=device)[None]
        self._none_pinned = torch.zeros(1, dtype=torch.long, device=device)
        self._prompt: Tensor | None = None
        self._last: Tensor | None = None
        self._done = 0

    @property
    def free(self) -> bool:
        return self._prompt is None

    def begin(self, prompt: Tensor) -> None:
        """Take the row for ``prompt``, the inputs ``[n, dim]`` of all its positions."""
        assert self.free, "another prompt is being prepared"
        self._prompt, self._last, self._done = prompt, None, 0

    def end(self) -> None:
        """Give the row back."""
        self._prompt = self._last = None

    @property
    def progress(self) -> float:
        return 0.0 if self._prompt is None else self._done / len(self._prompt)

    @property
    def complete(self) -> bool:
        return self._prompt is not None and self._done == len(self._prompt)

    def state(self) -> PrefillState:
        """Once ``complete``: a copy that outlives the row."""
        assert self.complete
        assert self._last is not None
        cache = self._cache.excerpt(self._row, self._done)
        return PrefillState(cache, self._last, self._temporal.text_logits(self._last), self._done)

    @torch.no_grad()  # pyright: ignore[reportUntypedFunctionDecorator]
    def advance(self) -> Tensor:
        """The next stretch in a pass of its own. Returns its hidden states ``[n, dim]``."""
        assert self._prompt is not None
        stretch = self._prompt[self._done : self._done + CHUNK_POSITIONS]
        end = self._done + len(stretch)
        positions = torch.arange(self._done, end, device=stretch.device)[None]
        block = self._temporal.block(self._cache.layers(self._row, 1), positions, self._none_pinned, end)
        hidden = self._temporal.forward(stretch, [block])
        self._last, self._done = hidden[-1:], end
        return hidden

    # In a tick --------------------------------------------------------------------------------------

    @property
    def filled(self) -> int:
        """How many places of the row are visible to the stretch that ``load`` loads."""
        return self._done + RIDING_POSITIONS

    def load(self) -> None:
        """Put the next stretch where the tick reads it. What is missing to a whole stretch may be anything:
        it comes after the prompt, so nothing of the prompt sees it."""
        assert self._prompt is not None
        stretch = self._prompt[self._done : self._done + RIDING_POSITIONS]
        self.inputs[: len(stretch)] = stretch
        self._start.fill_(self._done)

    def block(self, filled: int) -> Block:
        """Within a tick: the loaded stretch."""
        layers = self._cache.layers(self._row, 1)
        return self._temporal.block(layers, self._start + self._steps, self._none_pinned, filled)

    def passed(self) -> None:
        """The tick is over."""
        assert self._prompt is not None
        count = min(RIDING_POSITIONS, len(self._prompt) - self._done)
        self._done += count
        if self.complete:
            self._last = self.hidden[count - 1 : count].clone()


def hidden_states(temporal: Temporal, inputs: Tensor, int8_cache: bool = False) -> Tensor:
    """The hidden states ``[n, dim]`` after each of ``inputs`` ``[n, dim]``, whatever the model would have
    said (teacher-forced). They must fit the window."""
    prefill = Prefill(temporal, temporal.new_cache(1, len(inputs), int8_cache), 0)
    prefill.begin(inputs)
    found: list[Tensor] = []
    while not prefill.complete:
        found.append(prefill.advance())
    return torch.cat(found)
