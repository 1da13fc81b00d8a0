"""Reads the codes that Mimi makes of what the callers say, a text token a frame, in the tick of the stepper.

Row r is row r of the stepper. As there, all tensors stay where they are, and ``read`` takes nothing else of
the callers. Always the most probable token, so that nothing is drawn. Source: ``LMGen`` of moshi with
``dep_q=0``, fed as in its ``run_inference.py``.
"""

from collections.abc import Iterable

import torch
from torch import Tensor

from personaplex_ui.audio.frames import FRAME_SAMPLES
from personaplex_ui.models.personaplex.captions.recogniser import SttModel
from personaplex_ui.models.personaplex.runtime.codec import Codec
from personaplex_ui.models.personaplex.runtime.ring_cache import RingCache
from personaplex_ui.models.personaplex.runtime.temporal import Temporal

FILLED_STEP = 64
"""Where nothing is captured, attention reads a multiple of so many places of the rings."""


class CodesReader:
    """For ``rows`` callers at once. ``codec``: the one whose codes it reads."""

    def __init__(self, model: SttModel, codec: Codec, rows: int) -> None:
        self._temporal = Temporal(model.lm)
        self._codebooks = model.sizes.codebooks
        self._prefix = model.sizes.prefix
        self._codec = codec
        device = self._temporal.device
        self._cache = self._temporal.new_cache(rows)
        self._positions = torch.zeros(rows, dtype=torch.long, device=device)
        self._pinned = torch.zeros_like(self._positions)
        self._text = torch.zeros_like(self._positions)
        """The text token of each row's next position."""
        self._nothing = torch.full((1, 1 + self._codebooks), model.lm.initial_token_id, device=device)
        self._nothing[0, 0] = model.lm.text_initial_token_id
        self._lengths = [0] * rows
        self._beginning: tuple[RingCache, Tensor] | None = None

    @property
    def window(self) -> int:
        """How many frames it remembers of a call."""
        return self._temporal.window

    def start_row(self, row: int) -> None:
        """Put ``row`` in the state of a new call, which has no word of the one before."""
        if self._beginning is None:
            self._beginning = self._begin()
        cache, text = self._beginning
        places = cache.window
        self._cache.copy_row(row, cache, 0, places)
        self._text[row : row + 1].copy_(text)
        self._positions[row].fill_(places)
        self._lengths[row] = places

    def _begin(self) -> tuple[RingCache, Tensor]:
        """Keys and values of what precedes each call, nothing and then silence, and the next token."""
        cache = self._temporal.new_cache(1, 1 + self._prefix)
        text = self._think(self._nothing, cache, 1, self._positions.new_zeros(1), cache.window)
        silence = torch.zeros(self._prefix, FRAME_SAMPLES, device=self._temporal.device)
        for number, codes in enumerate(self._codec.encode_alone(silence), 1):
            tokens = torch.cat([text, codes[: self._codebooks]])[None]
            text = self._think(tokens, cache, 1, self._positions.new_full((1,), number), cache.window)
        return cache, text

    def copy_row(self, source: int, target: int) -> None:
        """Make row ``target`` the same as ``source``."""
        self._cache.copy_row(target, self._cache, source, min(self._lengths[source], self.window))
        for values in (self._positions, self._text):
            values[target] = values[source]
        self._lengths[target] = self._lengths[source]

    def passed(self, rows: Iterable[int]) -> None:
        """A tick is over in which ``rows`` were active."""
        for row in rows:
            self._lengths[row] += 1

    def filled(self, rows: int) -> int:
        """The places of the rings that the next tick of the first ``rows`` rows may see."""
        longest = max(self._lengths[:rows]) + 1
        return min(self.window, -(-longest // FILLED_STEP) * FILLED_STEP)

    # Within a tick ----------------------------------------------------------------------------------

    def read(self, codes: Tensor, active: Tensor, filled: int) -> Tensor:
        """``codes`` ``[n, codebooks or more]`` of the frame that the first n rows hear, of which only those
        with True in ``active`` ``[n]`` have one, to their text tokens int64 ``[n]``. ``filled``: see
        ``TickShape``."""
        n = len(codes)
        before = self._text[:n]
        tokens = torch.cat([before[:, None], codes[:, : self._codebooks]], dim=1)
        text = self._think(tokens, self._cache, n, self._positions[:n], filled)
        before.copy_(torch.where(active, text, before))
        self._positions[:n].add_(active)
        return text

    def _think(self, tokens: Tensor, cache: RingCache, rows: int, positions: Tensor, filled: int) -> Tensor:
        layers, pinned = cache.layers(0, rows), self._pinned[:rows]
        block = self._temporal.block(layers, positions[:, None], pinned, filled)
        hidden = self._temporal.forward(self._temporal.embed_known(tokens), [block])
        return self._temporal.text_logits(hidden).argmax(dim=-1)

    # Before anybody is on ---------------------------------------------------------------------------

    def state_tensors(self) -> list[Tensor]:
        """What has to be restored to undo frames. What these have written to the rings is not seen then."""
        return [self._positions, self._text]

    def fill(self) -> None:
        """Let all rows stand at the end of their windows, to measure what that takes."""
        self._positions.fill_(self.window - 1)
