"""An answer that several workers fetch in turn, and that is given up at any moment."""

import threading
from collections.abc import Callable, Iterator

import pytest

from personaplex_ui.speech.work.sentences import SharedSentences

WITHIN_SEC = 10


class Waiting(Iterator[str]):
    """Waits in ``next`` until it is closed."""

    def __init__(self) -> None:
        self.entered, self.closed = threading.Event(), threading.Event()

    def __next__(self) -> str:
        self.entered.set()
        assert self.closed.wait(WITHIN_SEC)
        raise StopIteration

    def close(self) -> None:
        self.closed.set()


def in_a_thread(work: Callable[[], object]) -> threading.Thread:
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread


def test_sentences_come_in_order_and_end() -> None:
    sentences = SharedSentences(lambda: iter(("One.", "Two.")))
    assert [sentences.next() for _ in range(4)] == ["One.", "Two.", None, None]


def test_closing_ends_the_wait_of_a_worker() -> None:
    answer = Waiting()
    sentences = SharedSentences(lambda: answer)
    found: list[str | None] = []
    worker = in_a_thread(lambda: found.append(sentences.next()))
    assert answer.entered.wait(WITHIN_SEC)
    sentences.close()
    worker.join(WITHIN_SEC)
    assert found == [None]
    assert sentences.next() is None


def test_a_generator_is_closed_by_the_worker_that_is_in_it() -> None:
    entered, go, ended = threading.Event(), threading.Event(), threading.Event()

    def answer() -> Iterator[str]:
        try:
            entered.set()
            assert go.wait(WITHIN_SEC)
            yield "Too late."
        finally:
            ended.set()

    sentences = SharedSentences(answer)
    worker = in_a_thread(sentences.next)
    assert entered.wait(WITHIN_SEC)
    sentences.close()
    assert not ended.is_set()
    go.set()
    worker.join(WITHIN_SEC)
    assert ended.is_set()


@pytest.mark.parametrize("begun", [False, True])
def test_nothing_is_begun_after_the_end(begun: bool) -> None:
    started: list[int] = []

    def start() -> Iterator[str]:
        started.append(1)
        return iter(("One.", "Two."))

    sentences = SharedSentences(start)
    if begun:
        assert sentences.next() == "One."
    sentences.close()
    sentences.close()
    assert sentences.next() is None
    assert len(started) == begun
