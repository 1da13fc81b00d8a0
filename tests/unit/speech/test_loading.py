"""The parts of a conversation in one process: each is made once, and waits for no other."""

import threading
from pathlib import Path

import pytest

from personaplex_ui.speech import loading
from personaplex_ui.speech.loading import Loaded, Sources, SpeechParts
from personaplex_ui.speech.parts import Recogniser, SpeechPartFailed
from personaplex_ui.speech.weights.store import WeightStore
from tests.support.speech_parts import Listed

NOWHERE = Path(__file__) / "weights"
"""Below a file there can be no folder, so nothing is fetched."""


def silent(sentence: str, progress: float) -> None:
    """Nobody is told."""


def test_weights_that_are_being_fetched_hold_up_nobody_who_needs_none(monkeypatch: pytest.MonkeyPatch):
    fetched, asked = threading.Event(), threading.Event()

    def fetch(endpoint: object, store: WeightStore) -> Loaded[Recogniser]:
        asked.set()
        assert fetched.wait(20)
        return Loaded(Listed(), "a list")

    monkeypatch.setattr(loading, "_recogniser", fetch)
    parts = SpeechParts(Sources(1, NOWHERE))
    found: list[Loaded[Recogniser]] = []
    first, second = (
        threading.Thread(target=lambda: found.append(parts.recogniser(silent)), daemon=True) for _ in range(2)
    )
    first.start()
    assert asked.wait(10)
    second.start()
    assert parts.replier().part.greet("You are Ann.")
    assert parts.queue.submit(0, lambda: 7, heavy=False) is not None
    assert not found
    fetched.set()
    for thread in (first, second):
        thread.join(10)
    assert found[0] is found[1]


def test_what_could_not_be_made_is_tried_again(monkeypatch: pytest.MonkeyPatch):
    tries: list[int] = []

    def make(endpoint: object, store: WeightStore) -> Loaded[Recogniser]:
        tries.append(1)
        if len(tries) == 1:
            raise SpeechPartFailed("Not yet.")
        return Loaded(Listed(), "a list")

    monkeypatch.setattr(loading, "_recogniser", make)
    parts = SpeechParts(Sources(1, NOWHERE))
    with pytest.raises(SpeechPartFailed, match="Not yet"):
        parts.recogniser(silent)
    assert parts.recogniser(silent) is parts.recogniser(silent)
    assert len(tries) == 2
