"""Words as questions and facts are compared, and words that sound alike."""

import pytest

from personaplex_ui.speech.replies.sound_alike import distance, meant_by, sound_code
from personaplex_ui.speech.replies.vocabulary import SAME_MEANING
from personaplex_ui.speech.replies.words import SILENT, canonical, days_in, numbers_in, raw_words


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("bikes", "bike"),
        ("included", "include"), ("closing", "closed"), ("dishes", "dish"), ("kids", "children"),
        ("cancelled", "cancellation"), ("shot", "vaccination"), ("parties", "party"), ("stopped", "stop"),
    ],
)  # fmt: skip
def test_the_same_word(one: str, other: str) -> None:
    assert canonical(one) == canonical(other)


@pytest.mark.parametrize(
    ("one", "other"), [("pita", "pizza"), ("boss", "bus"), ("sell", "rent"), ("suite", "single")]
)
def test_other_words(one: str, other: str) -> None:
    assert canonical(one) != canonical(other)


def test_no_meaning_is_silent() -> None:
    assert not [group for group in SAME_MEANING if canonical(group.split()[0]) in SILENT]


def test_raw_words() -> None:
    assert raw_words("The PhoenixDrone's check-out, e-bike & Wi-Fi: nine, $1,200.50!") == [
        "the", "phoenix", "drone", "checkout", "ebike", "wifi", "9", "1200.50",
    ]  # fmt: skip
    assert numbers_in("two rooms at 9:30 for $95") == {"2", "9:30", "95"}


@pytest.mark.parametrize(
    ("text", "days"),
    [
        ("Monday to Friday", {0, 1, 2, 3, 4}), ("on Sundays", {6}), ("Friday through Sunday", {4, 5, 6}),
        ("Saturday to Monday", {0, 5, 6}), ("every day", set(range(7))), ("at the weekend", {5, 6}),
        ("on weekdays", {0, 1, 2, 3, 4}), ("within 5 working days", set[int]()), ("the sun", set[int]()),
    ],
)  # fmt: skip
def test_days(text: str, days: set[int]) -> None:
    assert days_in(text) == days


VOCABULARY = {word: word for word in ("pita", "shakshuka", "phoenix", "salad", "tandems", "lasagna")}


@pytest.mark.parametrize(
    ("heard", "meant"),
    [
        ("Peter", "pita"),
        ("peeta", "pita"),
        ("shakshouka", "shakshuka"),
        ("fenix", "phoenix"),
        ("lasagne", "lasagna"),
    ],
)
def test_what_was_meant(heard: str, meant: str) -> None:
    assert meant_by(heard.lower(), VOCABULARY) == meant


@pytest.mark.parametrize(
    "heard", ["pizza", "water", "salmon", "soap", "tea", "hummus", "burger", "insurance"]
)
def test_what_was_not_meant(heard: str) -> None:
    assert meant_by(heard, VOCABULARY | {"soup": "soup", "waiter": "waiter"}) is None


def test_sounds_and_distances() -> None:
    assert sound_code("pita") == sound_code("peter")
    assert sound_code("shakshuka") == sound_code("chuckshooka")
    assert distance("pita", "pizza") == 2
    assert distance("", "abc") == 3
