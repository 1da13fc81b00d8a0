"""Cosines, shares and first differences, on numbers whose answers are known."""

import numpy as np
import pytest

from personaplex_ui.accept.agreement import (
    Difference,
    Forced,
    agreement,
    cosines,
    first_difference,
    rounding_of,
)
from personaplex_ui.accept.fidelity import on_fidelity
from personaplex_ui.accept.report import OK, PROBLEM, WARNING, Verdict

DICE = np.random.default_rng(3)


def drawn(positions: int = 20) -> Forced:
    shapes = (positions, 12), (positions, 30), (positions, 8, 40)
    return Forced(*(DICE.normal(size=shape).astype(np.float32) for shape in shapes))


def test_the_same_agrees_and_its_opposite_does_not():
    one = drawn()
    same = agreement(one, one)
    assert (same.hidden_cosine, same.text_top1, same.audio_top1) == (pytest.approx(1.0), 1.0, 1.0)
    opposite = agreement(one, Forced(-one.hidden, -one.text_logits, -one.audio_logits))
    assert opposite.hidden_cosine == pytest.approx(-1.0)
    assert opposite.text_top1 == 0.0


def test_only_the_positions_of_the_conversation_count():
    one, other = drawn(), drawn()
    for name in ("hidden", "text_logits", "audio_logits"):
        getattr(other, name)[5:] = getattr(one, name)[5:]
    assert agreement(one, other).hidden_cosine < 0.9
    later = agreement(one, other, first=5)
    assert (later.positions, later.text_top1, later.worst_cosine) == (15, 1.0, pytest.approx(1.0))


def test_a_share_counts_codebooks_one_by_one():
    one = drawn(10)
    audio = one.audio_logits.copy()
    for position in range(8):
        audio[position, 0, (int(audio[position, 0].argmax()) + 1) % 40] = 99.0
    found = agreement(one, Forced(one.hidden, one.text_logits, audio))
    assert found.audio_top1 == pytest.approx(1 - 8 / 80)


def test_nan_is_no_agreement():
    broken = np.array([[np.nan, 1.0], [1.0, 0.0]], dtype=np.float32)
    assert cosines(broken, np.ones((2, 2), np.float32)).tolist() == [-1.0, pytest.approx(0.7071, abs=1e-4)]


def test_the_first_difference_is_that_of_the_earliest_frame():
    one = np.arange(90, dtype=np.int32).reshape(10, 9)
    assert first_difference(one, one.copy()) is None
    other = one.copy()
    other[7, 0] = other[4, 6] = -1
    found = first_difference(one, other)
    assert found == Difference(4, 6, 42, -1)
    assert found is not None
    assert "frame 4, in codebook 6" in found.words


def test_rounding_depends_on_the_dtype():
    logits = np.array([16.0, -20.0, 3.0], np.float32)
    margin = Difference(0, 0, 1, 2, margin=0.3)
    for dtype, is_rounding in (("bfloat16", True), ("float32", False)):
        found = Difference(0, 0, 1, 2, margin.margin, rounding_of(logits, dtype))
        assert found.is_rounding is is_rounding


@pytest.mark.parametrize(
    ("hidden", "text", "audio", "verdict"),
    [
        (0.999, 0.98, 0.9, OK),
        (0.99, 0.98, 0.9, WARNING),
        (0.999, 0.93, 0.9, WARNING),
        (0.999, 0.98, 0.5, PROBLEM),
    ],
)
def test_the_worst_of_three_numbers_decides_on_int8(
    hidden: float, text: float, audio: float, verdict: Verdict
):
    one = agreement(drawn(), drawn())
    found = on_fidelity(
        type(one)(one.positions, hidden, hidden, hidden, hidden, text_top1=text, audio_top1=audio),
        "int8 weights",
        "whole ones",
    )
    assert found.verdict is verdict
    assert bool(found.next_step) is (verdict is not OK)
