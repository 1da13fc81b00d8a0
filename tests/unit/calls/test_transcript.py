import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from personaplex_ui.calls.transcript import (
    Transcript,
    Utterance,
    ends_sentence,
    to_json,
    to_srt,
    to_txt,
    to_vtt,
)

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
        {"start_sec": 0.5, "end_sec": 2.0, "text": "Hello there.", "speaker": "assistant"},
        {"start_sec": 62.0, "end_sec": 75.25, "text": "Straße, 日本 & <b>", "speaker": "assistant"},
        {"start_sec": 3725.04, "end_sec": 3726.0, "text": "Bye.", "speaker": "assistant"},
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


def test_vtt() -> None:
    assert to_vtt(UTTERANCES) == (
        "WEBVTT\n"
        "\n"
        "00:00:00.500 --> 00:00:02.000\n<v Assistant>Hello there.\n"
        "\n"
        "00:01:02.000 --> 00:01:15.250\n<v Assistant>Straße, 日本 &amp; &lt;b&gt;\n"
        "\n"
        "01:02:05.040 --> 01:02:06.000\n<v Assistant>Bye.\n"
    )
    assert to_vtt(()) == "WEBVTT\n"
    assert "00:00:01.000 --> 00:00:01.001" in to_vtt((Utterance(1.0, 1.0, "a cue ends after its start"),))
    assert to_vtt((Utterance(1.0, 2.0, "a --> b\n\n1"),)).endswith(">a --&gt; b 1\n")


def test_where_both_sides_have_words_the_speaker_is_named() -> None:
    said = (Utterance(0.0, 1.0, "What time is it?", "caller"), Utterance(1.5, 2.0, "Nine."))
    assert to_txt(said) == "[00:00] Caller: What time is it?\n[00:01] Assistant: Nine.\n"
    assert "\nCaller: What time is it?\n" in to_srt(said)
    assert "<v Caller>What time is it?\n" in to_vtt(said)
    assert [each["speaker"] for each in json.loads(to_json(said))] == ["caller", "assistant"]


@pytest.mark.parametrize(
    ("ends", "whole"),
    [("Yes.", True), ('"No!"', True), ("Well…", True), ("Is it (so?)", True), ("and", False), ("I'", False)],
)
def test_the_end_of_a_sentence(ends: str, whole: bool) -> None:
    assert ends_sentence(ends) is whole


def test_a_speaker_who_makes_no_pause_still_ends_utterances() -> None:
    sentences = spoken(*[(" word." if n % 20 == 19 else " word", n * 0.1) for n in range(200)])
    assert all(299 <= len(each.text) <= 420 and each.text[-1] == "." for each in sentences[:-1])
    words = spoken(*[(" word", n * 0.1) for n in range(400)])
    assert all(599 <= len(each.text) <= 605 for each in words[:-1])
    letters = spoken(*[("x", n * 0.1) for n in range(3_000)])
    assert [len(each.text) for each in letters] == [1_200, 1_200, 600]


def test_an_utterance_that_was_interrupted_ends_with_its_word() -> None:
    transcript = Transcript()
    for piece in (" one", " tw"):
        transcript.append(piece, 0.0, 0.1)
    transcript.end_utterance()
    began = [transcript.append(piece, 0.2, 0.3) for piece in ("o", " three", " four")]
    assert began == [False, True, False]
    assert [each.text for each in transcript.utterances] == ["one two", "three four"]


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
