import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from personaplex_ui.calls.transcript import Transcript, Utterance, to_json, to_srt, to_txt

FRAME_SEC = 0.08


def spoken(*pieces: tuple[str, float]) -> Transcript:
    """Pieces of text with the time at which each is heard, for one frame."""
    transcript = Transcript()
    for piece, start_sec in pieces:
        transcript.append(piece, start_sec, start_sec + FRAME_SEC)
    return transcript


def test_pieces_become_lines() -> None:
    transcript = spoken(
        (" Hel", 1.0), ("lo", 1.08), (" there", 1.4), (".", 1.48), (" How", 3.0), (" are", 3.2)
    )
    assert transcript.utterances == (
        Utterance(1.0, 1.48 + FRAME_SEC, "Hello there."),
        Utterance(3.0, 3.2 + FRAME_SEC, "How are"),
    )


def test_nothing_said() -> None:
    assert Transcript().utterances == ()
    assert to_txt(()) == ""
    assert to_srt(()) == ""
    assert json.loads(to_json(())) == []


@pytest.mark.parametrize(("pause_sec", "lines"), [(1.19, 1), (1.2, 2), (60.0, 2)])
def test_a_pause_begins_a_line(pause_sec: float, lines: int) -> None:
    transcript = Transcript()
    transcript.append(" one", 0.0, 1.0)
    transcript.append(" two", 1.0 + pause_sec, 2.0 + pause_sec)
    assert len(transcript.utterances) == lines


def test_no_pause_cuts_a_word() -> None:
    assert [line.text for line in spoken((" extra", 0.0), ("ordin", 5.0), ("ary", 60.0)).utterances] == [
        "extraordinary"
    ]
    assert [line.text for line in spoken((" it", 0.0), ("'s", 5.0), (" me", 5.1)).utterances] == ["it's me"]


def test_a_first_piece_without_a_space_is_kept() -> None:
    assert [line.text for line in spoken(("ello", 0.0), (" there", 0.1)).utterances] == ["ello there"]


def test_a_space_alone_makes_no_line_but_begins_the_next_word() -> None:
    transcript = spoken((" one", 0.0), (" ", 5.0))
    assert [line.text for line in transcript.utterances] == ["one"]
    transcript.append("two", 5.1, 5.2)
    assert transcript.utterances[1:] == (Utterance(5.0, 5.2, "two"),)
    assert spoken((" ", 0.0), ("\n", 3.0)).utterances == ()


def test_what_was_handed_out_does_not_change() -> None:
    transcript = spoken((" one", 0.0))
    before = transcript.utterances
    transcript.append(" two", 0.1, 0.2)
    assert [line.text for line in before] == ["one"]


WORDS = st.lists(
    st.tuples(st.lists(st.text("abcé'", min_size=1, max_size=4), min_size=1, max_size=3), st.floats(0, 4)),
    max_size=12,
)


@given(WORDS)
def test_every_word_stands_whole_in_one_line_in_order(words: list[tuple[list[str], float]]) -> None:
    transcript = Transcript()
    now = 0.0
    for pieces, pause_sec in words:
        for number, piece in enumerate(pieces):
            now += pause_sec  # also within a word
            transcript.append((" " if number == 0 else "") + piece, now, now + FRAME_SEC)
            now += FRAME_SEC
    lines = transcript.utterances
    assert " ".join(line.text for line in lines).split() == ["".join(pieces) for pieces, _ in words]
    times = [sec for line in lines for sec in (line.start_sec, line.end_sec)]
    assert times == sorted(times)


# Written out -------------------------------------------------------------------------------------------

LINES = (
    Utterance(0.5, 2.0, "Hello there."),
    Utterance(61.9996, 75.25, "Straße, 日本 & <b>"),
    Utterance(3_725.04, 3_726.0, "Bye."),
)


def test_json() -> None:
    text = to_json(LINES)
    assert json.loads(text) == [
        {"start_sec": 0.5, "end_sec": 2.0, "text": "Hello there."},
        {"start_sec": 62.0, "end_sec": 75.25, "text": "Straße, 日本 & <b>"},
        {"start_sec": 3725.04, "end_sec": 3726.0, "text": "Bye."},
    ]
    assert "日本" in text  # to be read by people too


def test_txt() -> None:
    assert to_txt(LINES) == "[00:00] Hello there.\n[01:02] Straße, 日本 & <b>\n[01:02:05] Bye.\n"


def test_srt() -> None:
    assert to_srt(LINES) == (
        "1\n00:00:00,500 --> 00:00:02,000\nHello there.\n"
        "\n"
        "2\n00:01:02,000 --> 00:01:15,250\nStraße, 日本 & <b>\n"
        "\n"
        "3\n01:02:05,040 --> 01:02:06,000\nBye.\n"
    )


def test_line_breaks_in_what_was_said_do_not_break_the_formats() -> None:
    lines = (
        Utterance(0.0, 1.0, "one\n\n2\n00:00:00,000 --> 00:00:09,000\ntwo\r\nthree"),
        Utterance(2.0, 3.0, "four"),
    )
    assert to_txt(lines).count("\n") == 2
    cues = to_srt(lines).rstrip("\n").split("\n\n")
    assert [cue.count("\n") for cue in cues] == [2, 2]
    assert re.search(r"^one 2 .* two three$", cues[0], re.MULTILINE)
    assert json.loads(to_json(lines))[0]["text"] == lines[0].text
