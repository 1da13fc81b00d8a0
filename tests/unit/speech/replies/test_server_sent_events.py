"""Events in a stream of bytes, however it is cut, and its limits."""

import pytest

from personaplex_ui.speech.replies.server_sent_events import EventReader, TooMuchSent

STREAM = (
    b": hello\r\n\r\ndata: one\n\nevent: x\ndata: two\r\ndata:three\r\n\r\nid: 7\n\ndata: f\xc3\xbcnf\n\n"
)


@pytest.mark.parametrize("size", [1, 2, 3, 5, 1_000])
def test_events_are_the_same_however_they_arrive(size: int) -> None:
    reader = EventReader()
    found: list[str] = []
    for start in range(0, len(STREAM), size):
        found += reader.feed(STREAM[start : start + size])
    assert found + reader.finish() == ["one", "two\nthree", "fünf"]


def test_the_last_event_may_lack_its_end() -> None:
    reader = EventReader()
    assert reader.feed(b"data: [DONE]") == []
    assert reader.finish() == ["[DONE]"]


@pytest.mark.parametrize("piece", [b"x" * 1_000, b"data: " + b"x" * 1_000 + b"\n", b": c\n\n" * 100])
def test_limits(piece: bytes) -> None:
    reader = EventReader(most_bytes=300_000)

    def feed_much() -> None:
        for _ in range(1_000):
            reader.feed(piece)

    with pytest.raises(TooMuchSent):
        feed_much()
