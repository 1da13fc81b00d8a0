"""What an owner's page gets of an ended call, also of one that an earlier version kept."""

import json
import re
from dataclasses import replace

import pytest

from personaplex_ui.audio.frames import FRAME_SEC
from personaplex_ui.calls.call_table import KeptCall, from_json
from personaplex_ui.calls.call_table import to_json as to_json_of
from personaplex_ui.calls.conversation_lines import Line, Who
from personaplex_ui.calls.record import lines_of, readable, record_of, spoken, summary_of
from personaplex_ui.calls.snapshot import CallStats, EndedCall
from personaplex_ui.calls.transcript import Utterance, to_json, to_srt, to_txt, to_vtt
from tests.support.conversations import Script, sentence
from tests.unit.calls.test_turns import ended_call

TALK = Script(
    20.0,
    caller=[(1.0, 3.0), (7.0, 8.6), (16.0, 16.4)],
    assistant=[(3.4, 7.4), (9.6, 12.0)],
    words=[
        *sentence("There are three ways to the station and the first of them is", 3.4, 7.2),
        *sentence("It is the one by the river.", 9.6, 12.0),
    ],
)


def call_of(script: Script, keeps_lines: bool = True) -> EndedCall:
    talk = script.played()
    call = ended_call(script.caller_levels, script.assistant_levels)
    return replace(
        call,
        utterances=talk.transcript.utterances,
        lines=talk.lines if keeps_lines else (),
        text_prompt="Hi.",
    )


@pytest.mark.parametrize("keeps_lines", [True, False], ids=["now", "earlier version"])
def test_the_whole_record(keeps_lines: bool):
    told = json.loads(json.dumps(record_of(call_of(TALK, keeps_lines), True, 1e9), allow_nan=False))
    assert [(x["who"], x["cut"], x["interrupts"], x["open"]) for x in told["lines"]] == [
        ("caller", False, False, False),
        ("assistant", True, False, False),
        ("caller", False, True, False),
        ("assistant", False, False, False),
        ("caller", False, False, False),
    ]
    assert told["turns"]["caller"] == [pytest.approx(each, abs=FRAME_SEC) for each in TALK.caller]
    assert told["turns"]["assistant"] == [pytest.approx(each, abs=FRAME_SEC) for each in TALK.assistant]
    assert told["turns"]["overlaps"] == [pytest.approx((7.0, 7.4), abs=FRAME_SEC)]
    assert told["figures"] == {
        "answer_sec": pytest.approx(0.7, abs=FRAME_SEC),
        "caller_share": pytest.approx(4.0 / 10.4, abs=0.02),
        "interruptions": 1,
    }
    assert told["report"] is None
    assert (told["text_prompt"], told["keep_until"], told["recorded"]) == ("Hi.", 1e9, True)
    assert told["files"] == {
        "recording": "calls/c1/recording.wav",
        "report": "calls/c1/report.json",
        "face": "calls/c1/face.mp4",
        **{kind: f"calls/c1/transcript.{kind}" for kind in ("txt", "srt", "vtt", "json")},
    }


def test_lines_of_an_earlier_version_are_those_the_call_would_have_had():
    now, earlier = (lines_of(call_of(TALK, keeps)) for keeps in (True, False))
    assert [(x.who, x.text, x.levels) for x in earlier] == [(x.who, x.text, x.levels) for x in now]
    for one, other in zip(earlier, now, strict=True):
        assert (one.start_sec, one.end_sec) == pytest.approx((other.start_sec, other.end_sec), abs=0.1)


def test_a_call_in_which_nobody_spoke():
    told = record_of(ended_call((), ()), False, 0.0)
    assert (told["lines"], told["files"]["recording"]) == ([], None)
    assert told["figures"] == {"answer_sec": None, "caller_share": None, "interruptions": 0}
    assert "title" not in summary_of(ended_call((), ()))


def test_words_without_levels_are_lines_too():
    said = (Utterance(0.5, 1.0, "Hello."), Utterance(1.5, 2.0, "Are you there?"))
    lines = lines_of(replace(ended_call((), ()), utterances=said))
    assert [(line.n, line.who, line.text, line.open) for line in lines] == [
        (0, Who.ASSISTANT, "Hello.", False),
        (1, Who.ASSISTANT, "Are you there?", False),
    ]


def test_what_people_download_to_read_has_both_sides_and_what_was_typed():
    lines = (
        Line(0, Who.CALLER, 1.0, 2.5),
        Line(1, Who.ASSISTANT, 3.0, 5.0, "There are three ways", cut=True),
        Line(2, Who.TYPED, 6.0, 6.0, "Say hello."),
    )
    assert to_txt(readable(replace(ended_call((), ()), lines=lines))) == (
        "[00:01] Caller: (1.5 s of speech)\n"
        "[00:03] Assistant: There are three ways —\n"
        "[00:06] Typed: Say hello.\n"
    )


SPOKEN_LINES = (
    Line(0, Who.ASSISTANT, 0.2, 1.0, "Hello."),
    Line(1, Who.CALLER, 1.5, 2.5),
    Line(2, Who.ASSISTANT, 6.0, 7.0, "At eight."),
    Line(3, Who.TYPED, 8.0, 8.0, "Say goodbye."),
    Line(4, Who.CALLER, 3.0, 5.0, MARKUP := "When <b>do</b> you open?\n\n2\n00:00:09,000 --> 00:00:10,000"),
)
SPOKEN = (Utterance(0.2, 1.0, "Hello."), Utterance(6.0, 7.0, "At eight."))


def test_what_both_said_in_words_stands_in_the_order_of_time():
    said = spoken(SPOKEN, SPOKEN_LINES)
    assert [(each.speaker, each.text, each.start_sec) for each in said] == [
        ("assistant", "Hello.", 0.2),
        ("caller", MARKUP, 3.0),
        ("assistant", "At eight.", 6.0),
    ]
    call = replace(ended_call((), ()), lines=SPOKEN_LINES)
    assert [line.n for line in lines_of(call)] == [0, 1, 4, 2, 3]
    assert to_txt(readable(call)).splitlines()[1:3] == [
        "[00:01] Caller: (1.0 s of speech)",
        "[00:03] Caller: When <b>do</b> you open? 2 00:00:09,000 --> 00:00:10,000",
    ]


def test_markup_in_the_callers_words_changes_no_file():
    said = spoken(SPOKEN, SPOKEN_LINES)
    for written in (to_srt(said), to_vtt(said)):
        assert len(re.findall(r"^\S+ --> \S+$", written, re.M)) == 3
    assert "<v Caller>When &lt;b&gt;do&lt;/b&gt; you open? 2 00:00:09,000 --&gt; 00:00:10,000\n" in to_vtt(
        said
    )
    assert json.loads(to_json(said))[1] == {
        "start_sec": 3.0,
        "end_sec": 5.0,
        "text": MARKUP,
        "speaker": "caller",
    }


def test_a_call_that_was_kept_with_words_comes_back_with_them():
    call = replace(ended_call((), ()), lines=SPOKEN_LINES, stats=CallStats(dropped_utterances=2))
    kept = KeptCall("", call)
    assert from_json(to_json_of(kept)).call.lines == SPOKEN_LINES
    earlier = json.loads(to_json_of(kept))
    del earlier["figures"]["dropped_utterances"]
    assert from_json(json.dumps(earlier)).call.stats == CallStats()


def test_lines_that_were_kept_are_told_as_they_are():
    typed = Line(7, Who.TYPED, 1.0, 1.0, "Say it.")
    assert lines_of(replace(ended_call((), ()), lines=(typed,))) == (typed,)


@pytest.mark.parametrize(
    ("said", "title"),
    [
        ("Hello.", "Hello."),
        ("word " * 12 + "more", "word " * 11 + "word…"),
        ("x" * 100, "x" * 59 + "…"),
        ("y" * 60, "y" * 60),
    ],
)
def test_the_title_in_the_list_is_what_it_said_first(said: str, title: str):
    call = replace(ended_call((), ()), utterances=(Utterance(0.0, 1.0, said), Utterance(2.0, 3.0, "Two.")))
    assert summary_of(call) == {
        "call_id": "c1",
        "started_at": 0.0,
        "duration_sec": 0.0,
        "voice": "NATF2",
        "recorded": True,
        "title": title,
    }
