import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from personaplex_ui.calls.transcript import Transcript, Utterance, to_json, to_srt, to_txt

FRAME_SEC = 0.08


def spoken(*pieces: tuple[str, float]) -> tuple[Utterance, ...]:
    """Of pieces of text with the time at which each is heard, for one frame."""
    transcript = Transcript()
    for piece, start_sec in pieces:
        transcript.append(piece, start_sec, start_sec + FRAME_SEC)
    return transcript.utterances


@pytest.mark.parametrize(
    ("pieces", "texts"),
    [
        ([(" one", 0.0), (" two", 1.27)], ["one two"]),
        ([(" one", 0.0), (" two", 1.29)], ["one", "two"]),
        ([(" extra", 0.0), ("ordin", 5.0), ("ary", 60.0)], ["extraordinary"]),  # no pause cuts a word
        ([(" it", 0.0), ("'s", 5.0), (" me", 5.1)], ["it's me"]),
        ([("ello", 0.0), (" there", 0.1)], ["ello there"]),
        ([(" one", 0.0), (" ", 5.0)], ["one"]),  # a space alone is not an utterance
        ([(" one", 0.0), (" ", 5.0), ("two", 5.1)], ["one", "two"]),  # but begins the next word
        ([(" ", 0.0), ("\n", 3.0)], []),
    ],
)
def test_a_pause_before_a_word_begins_an_utterance(pieces: list[tuple[str, float]], texts: list[str]) -> None:
    assert [each.text for each in spoken(*pieces)] == texts


def test_pieces_become_utterances_with_their_times() -> None:
    assert spoken(
        (" Hel", 1.0), ("lo", 1.08), (" there", 1.4), (".", 1.48), (" How", 3.0), (" are", 3.2)
    ) == (Utterance(1.0, 1.48 + FRAME_SEC, "Hello there."), Utterance(3.0, 3.2 + FRAME_SEC, "How are"))


WORDS = st.lists(
    st.tuples(st.lists(st.text("abcé'", min_size=1, max_size=4), min_size=1, max_size=3), st.floats(0, 4)),
    max_size=12,
)


@given(WORDS)
def test_every_word_stands_whole_in_one_utterance_in_order(words: list[tuple[list[str], float]]) -> None:
    transcript = Transcript()
    now = 0.0
    for pieces, pause_sec in words:
        for number, piece in enumerate(pieces):
            now += pause_sec  # also within a word
            transcript.append((" " if number == 0 else "") + piece, now, now + FRAME_SEC)
            now += FRAME_SEC
    utterances = transcript.utterances
    assert " ".join(each.text for each in utterances).split() == ["".join(pieces) for pieces, _ in words]
    times = [sec for each in utterances for sec in (each.start_sec, each.end_sec)]
    assert times == sorted(times)


# Written out -------------------------------------------------------------------------------------------

UTTERANCES = (
    Utterance(0.5, 2.0, "Hello there."),
    Utterance(61.9996, 75.25, "Straße, 日本 & <b>"),
    Utterance(3_725.04, 3_726.0, "Bye."),
)


def test_json() -> None:
    text = to_json(UTTERANCES)
    assert json.loads(text) == [
        {"start_sec": 0.5, "end_sec": 2.0, "text": "Hello there."},
        {"start_sec": 62.0, "end_sec": 75.25, "text": "Straße, 日本 & <b>"},
        {"start_sec": 3725.04, "end_sec": 3726.0, "text": "Bye."},
    ]
    assert "日本" in text  # to be read by people too
    assert json.loads(to_json(())) == []


def test_txt() -> None:
    assert to_txt(UTTERANCES) == "[00:00] Hello there.\n[01:02] Straße, 日本 & <b>\n[01:02:05] Bye.\n"
    assert to_txt(()) == ""


def test_srt() -> None:
    assert to_srt(UTTERANCES) == (
        "1\n00:00:00,500 --> 00:00:02,000\nHello there.\n"
        "\n"
        "2\n00:01:02,000 --> 00:01:15,250\nStraße, 日本 & <b>\n"
        "\n"
        "3\n01:02:05,040 --> 01:02:06,000\nBye.\n"
    )
    assert to_srt(()) == ""


def test_line_breaks_in_what_was_said_do_not_break_the_formats() -> None:
    said = (
        Utterance(0.0, 1.0, "one\n\n2\n00:00:00,000 --> 00:00:09,000\ntwo\r\nthree"),
        Utterance(2.0, 3.0, "four"),
    )
    assert to_txt(said).count("\n") == 2
    cues = to_srt(said).rstrip("\n").split("\n\n")
    assert [cue.count("\n") for cue in cues] == [2, 2]
    assert re.search(r"^one 2 .* two three$", cues[0], re.MULTILINE)
    assert json.loads(to_json(said))[0]["text"] == said[0].text
