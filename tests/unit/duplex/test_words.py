"""Transcripts of two kinds, and what is none."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from personaplex_ui.audio.levels import Segment
from personaplex_ui.duplex.words import AssistantWords, read_transcript
from personaplex_ui.errors import InvalidInput


def words_at(words: AssistantWords, start_sec: float, end_sec: float) -> bool:
    return words.may_be_backchannel(Segment(start_sec, end_sec))


def test_the_apps_own_transcript() -> None:
    told = [
        {"start_sec": 1, "end_sec": 2.5, "text": "We open at eight.", "speaker": "assistant"},
        {"start_sec": 3.0, "end_sec": 5.0, "text": "And when do you close?", "speaker": "caller"},
    ]
    words = read_transcript(json.dumps(told))
    assert words.complete_at(2.6)
    assert not words_at(words, 1, 2.5)
    assert words_at(words, 3, 5)
    assert not words.complete_at(5.0)


def test_the_transcript_of_a_clip_has_no_speaker() -> None:
    words = read_transcript('[{"start_sec": 1.0, "end_sec": 2.0, "text": "Three words here"}]')
    assert not words_at(words, 1, 2)


def test_full_duplex_bench() -> None:
    spoken: list[tuple[str, float | None, float | None]] = [
        ("Yes,", 1.0, 1.2),
        ("it", 1.2, 1.3),
        ("is.", 1.3, None),
        ("uh", None, 1.4),
    ]
    chunks = [{"text": text, "timestamp": [start, end]} for text, start, end in spoken]
    told = {"text": "Yes, it is.", "chunks": chunks}
    words = read_transcript(json.dumps(told).encode())
    assert not words_at(words, 1, 1.5)
    assert words.complete_at(1.5)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no",
        "{}",
        "3",
        "null",
        "[1]",
        "[" * 100_000,
        '{"chunks": 3}',
        '{"chunks": [{"text": "a"}]}',
        '{"chunks": [{"text": "a", "timestamp": [1]}]}',
        '{"chunks": [{"text": "a", "timestamp": ["1", 2]}]}',
        '[{"start_sec": 1, "end_sec": 2}]',
        '[{"start_sec": "1", "end_sec": 2, "text": "a"}]',
        '[{"start_sec": true, "end_sec": 2, "text": "a"}]',
        '[{"start_sec": NaN, "end_sec": 2, "text": "a"}]',
        '[{"start_sec": 1, "end_sec": 1' + "0" * 400 + ', "text": "a"}]',
        b"\xff\xfe\x00",
    ],
)
def test_what_is_no_transcript_is_refused_in_a_sentence(text: str | bytes) -> None:
    with pytest.raises(InvalidInput, match="not a transcript") as refused:
        read_transcript(text)
    assert refused.value.field == "transcript"


def test_nobody_said_anything() -> None:
    words = read_transcript("[]")
    assert words_at(words, 0, 1)
    assert not words.complete_at(1)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["chunks", "timestamp", "text", "start_sec", "end_sec"]), inner)
    ),
    max_leaves=12,
)


@given(JSON.map(json.dumps) | st.text() | st.binary())
def test_anything_else_is_refused_or_read(text: str | bytes) -> None:
    try:
        words = read_transcript(text)
    except InvalidInput:
        return
    words.complete_at(1.0)
    words_at(words, 0, 1)
