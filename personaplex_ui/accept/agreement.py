"""How far two models agree that were given the same positions. Pure numbers."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Forced:
    """At each of ``n`` positions: the temporal transformer's hidden state ``[n, dim]``, the logits of the
    next text token ``[n, text_card]`` and of the assistant's codebooks ``[n, 8, card]``. On the CPU: two
    models may not fit a GPU together."""

    hidden: Floats
    text_logits: Floats
    audio_logits: Floats


@dataclass(frozen=True, slots=True)
class Agreement:
    """Of ``positions`` positions. ``*_cosine``: means, ``worst_cosine`` the least of the hidden states.
    ``*_top1``: share of the tokens that both think most likely."""

    positions: int
    hidden_cosine: float
    worst_cosine: float
    text_cosine: float
    audio_cosine: float
    text_top1: float
    audio_top1: float

    @property
    def row(self) -> tuple[str, ...]:
        return (
            f"{self.hidden_cosine:.5f}",
            f"{self.worst_cosine:.5f}",
            f"{self.text_cosine:.5f}",
            f"{self.audio_cosine:.5f}",
            f"{self.text_top1:.1%}",
            f"{self.audio_top1:.1%}",
        )


HEADING = ("hidden state", "at its worst", "text logits", "audio logits", "text top-1", "audio top-1")
"""Of ``Agreement.row``: four cosines and two shares."""


def agreement(one: Forced, other: Forced, first: int = 0) -> Agreement:
    """From position ``first`` on."""
    hidden = cosines(one.hidden[first:], other.hidden[first:])
    text, other_text = one.text_logits[first:], other.text_logits[first:]
    audio, other_audio = one.audio_logits[first:], other.audio_logits[first:]
    return Agreement(
        positions=len(hidden),
        hidden_cosine=float(hidden.mean()),
        worst_cosine=float(hidden.min()),
        text_cosine=float(cosines(text, other_text).mean()),
        audio_cosine=float(cosines(audio, other_audio).mean()),
        text_top1=_same_top1(text, other_text),
        audio_top1=_same_top1(audio, other_audio),
    )


def _same_top1(one: Floats, other: Floats) -> float:
    return float(np.equal(np.argmax(one, axis=-1), np.argmax(other, axis=-1)).mean())


def cosines(one: Floats, other: Floats) -> npt.NDArray[np.float64]:
    """Along the last axis; NaN counts as no agreement at all."""
    a, b = one.astype(np.float64), other.astype(np.float64)
    norms = np.linalg.norm(a, axis=-1) * np.linalg.norm(b, axis=-1)
    found = np.sum(a * b, axis=-1) / np.maximum(norms, 1e-30)
    return np.nan_to_num(found, nan=-1.0)


@dataclass(frozen=True, slots=True)
class Difference:
    """The first token of two conversations that differs. ``stream``: 0 for text, else the codebook.
    ``margin``: by how much the one's logit is above the other's, where both are computed from the same past;
    ``rounding``: how much rounding alone may move such logits."""

    frame: int
    stream: int
    one: int
    other: int
    margin: float = 0.0
    rounding: float = 0.0

    @property
    def is_rounding(self) -> bool:
        return abs(self.margin) <= self.rounding

    @property
    def words(self) -> str:
        what = f"codebook {self.stream}" if self.stream else "the text"
        return (
            f"They part at frame {self.frame}, in {what}, where the logits of both tokens are "
            f"{abs(self.margin):.2g} apart; rounding may move them by {self.rounding:.2g}."
        )


def first_difference(one: npt.NDArray[np.int32], other: npt.NDArray[np.int32]) -> Difference | None:
    """Of tokens ``[n, 9]``, in the order in which they are chosen; None if there is none."""
    differs = np.argwhere(one != other)
    if not len(differs):
        return None
    frame, stream = (int(value) for value in differs[0])
    return Difference(frame, stream, int(one[frame, stream]), int(other[frame, stream]))


ROUNDING_BITS: Mapping[str, int] = {"bfloat16": 8, "float16": 11, "float32": 24}
"""Of the significand: a number is stored to within one part of two to this power."""

LAYERS_ROUND = 8.0
"""Roundings of dozens of layers add up: two right ways of computing the same bf16 logits differ by this many
steps at most, as a rule."""


def rounding_of(logits: Floats, dtype: str) -> float:
    """How much rounding alone may move ``logits`` ``[card]`` computed in ``dtype``."""
    return LAYERS_ROUND * float(np.abs(logits).max()) * 2.0 ** -ROUNDING_BITS[dtype]
