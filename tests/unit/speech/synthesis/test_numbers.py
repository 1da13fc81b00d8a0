"""Numbers in words."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from personaplex_ui.speech.synthesis.numbers import cardinal, decimal, digits, ordinal, plural, year


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (0, "zero"),
        (13, "thirteen"),
        (20, "twenty"),
        (42, "forty two"),
        (100, "one hundred"),
        (305, "three hundred five"),
        (1_000, "one thousand"),
        (48_213, "forty eight thousand two hundred thirteen"),
        (2_000_001, "two million one"),
        (10**12, "one trillion"),
        (-7, "minus seven"),
        (10**15, "one " + " ".join(["zero"] * 15)),
    ],
)
def test_cardinals(number: int, said: str) -> None:
    assert cardinal(number) == said


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (1, "first"),
        (2, "second"),
        (3, "third"),
        (5, "fifth"),
        (8, "eighth"),
        (9, "ninth"),
        (12, "twelfth"),
        (20, "twentieth"),
        (22, "twenty second"),
        (100, "one hundredth"),
        (111, "one hundred eleventh"),
    ],
)
def test_ordinals(number: int, said: str) -> None:
    assert ordinal(number) == said


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (1984, "nineteen eighty four"),
        (1900, "nineteen hundred"),
        (1906, "nineteen oh six"),
        (2000, "two thousand"),
        (2005, "two thousand five"),
        (2024, "twenty twenty four"),
        (1066, "ten sixty six"),
    ],
)
def test_years(number: int, said: str) -> None:
    assert year(number) == said


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("3.14", "three point one four"),
        ("1,250.5", "one thousand two hundred fifty point five"),
        (".5", "zero point five"),
        ("-2", "minus two"),
        ("007", "zero zero seven"),
        ("0.05", "zero point zero five"),
        ("9" * 20, " ".join(["nine"] * 20)),
    ],
)
def test_decimals(text: str, said: str) -> None:
    assert decimal(text) == said


def test_plurals_and_digits() -> None:
    assert [plural("ninety"), plural("six"), plural("hundred")] == ["nineties", "sixes", "hundreds"]
    assert digits("(212) 55") == "two one two five five"


@given(st.integers(0, 10**15 - 1))
def test_a_cardinal_can_be_read_back(number: int) -> None:
    assert _value(cardinal(number)) == number


def _value(words: str) -> int:
    small = {cardinal(n): n for n in [*range(20), *range(20, 100, 10)]}
    scales = {"thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12}
    total = part = 0
    for word in words.split():
        if word in scales:
            total, part = total + part * scales[word], 0
        elif word == "hundred":
            part *= 100
        else:
            part += small[word]
    return total + part
