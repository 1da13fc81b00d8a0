"""The lines of both sides: made-up conversations whose gaps, overlaps and interruptions are known."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from personaplex_ui.audio.frames import FRAME_SEC
from personaplex_ui.calls import conversation_lines as lines_module
from personaplex_ui.calls.conversation import Conversation
from personaplex_ui.calls.conversation_lines import Line, Who
from personaplex_ui.calls.turns import turns_of
from tests.support.conversations import LOUD_DBFS, QUIET_DBFS, Script, sentence
from tests.unit.calls.test_turns import ended_call

STORY = "Once upon a time there was a king who had three sons and a very old horse"


def shown(conversation: Conversation) -> list[tuple[str, str]]:
    """Who and text of each line; a cut one ends with a dash, an interrupting one begins with a star."""
    return [
        (each.who.value, "*" * each.interrupts + each.text + "-" * each.cut) for each in conversation.lines
    ]


def lines_of(conversation: Conversation, who: Who) -> list[Line]:
    return [each for each in conversation.lines if each.who is who]


# Lines -----------------------------------------------------------------------------------------------


def test_a_question_and_its_answer_are_two_lines_at_their_times():
    talk = Script(10.0, [(1.0, 3.0)], [(3.7, 6.0)], sentence("It is half past nine.", 3.7, 6.0)).played()
    asked, answered = talk.lines
    assert (asked.who, answered.who) == (Who.CALLER, Who.ASSISTANT)
    assert (asked.start_sec, asked.end_sec) == pytest.approx((1.0, 3.0), abs=FRAME_SEC)
    assert (answered.start_sec, answered.text) == (pytest.approx(3.7, abs=FRAME_SEC), "It is half past nine.")
    assert not any(line.cut or line.interrupts or line.open for line in talk.lines)
    assert talk.answer_sec == pytest.approx(0.7, abs=FRAME_SEC)


@pytest.mark.parametrize(
    ("caller", "assistant", "expected"),
    [
        pytest.param([(1, 2), (2.6, 4)], [], [(1, 4)], id="a short pause is no new line"),
        pytest.param([(1, 2), (3.5, 4)], [], [(1, 2), (3.5, 4)], id="a long one is"),
        pytest.param([(1, 2), (2.9, 4)], [(2.2, 2.7)], [(1, 2), (2.9, 4)], id="an answer in the pause"),
        pytest.param([(1, 3), (3.6, 4)], [(2.2, 2.7)], [(1, 4)], id="mhm of the assistant is no answer"),
        pytest.param([(1, 1.08), (3, 4)], [], [(3, 4)], id="a click is no line"),
        pytest.param([(0, 140)], [], [(0, 60), (60, 120), (120, 140)], id="who goes on and on"),
    ],
)
def test_lines_of_the_caller(
    caller: list[tuple[float, float]],
    assistant: list[tuple[float, float]],
    expected: list[tuple[float, float]],
):
    talk = Script(150.0 if caller[0][1] > 100 else 8.0, caller, assistant).played()
    times = [(line.start_sec, line.end_sec) for line in talk.lines]
    assert times == [pytest.approx(each, abs=FRAME_SEC) for each in expected]


def test_a_line_is_open_while_it_may_go_on():
    opened: dict[float, list[bool]] = {}
    Script(6.0, [(1.0, 2.0)]).played(
        lambda talk, now: opened.update({round(now, 2): [x.open for x in talk.lines]})
    )
    assert [opened[sec] for sec in (0.96, 1.6, 2.96, 3.44)] == [[], [True], [True], [False]]


def test_the_picture_of_loudness_is_small_and_follows_the_caller():
    talk = Conversation()
    for frame in range(400):
        talk.hear_caller(frame * FRAME_SEC, -14.0 if frame < 200 else -41.0)
    [line] = talk.lines
    assert line.levels == (8,) * 20 + (2,) * 20
    talk = Conversation()
    for frame, level in enumerate((-45.0, 0.0, -90.0, -30.0)):
        talk.hear_caller(frame * FRAME_SEC, level)
    assert talk.lines[0].levels == (1, 9, 0, 4)


def test_what_was_typed_is_a_line_of_its_own():
    talk = Conversation()
    talk.typed(" Say hello. ", 3.456)
    talk.say(" Hello.", 4.0, 4.08)
    assert shown(talk) == [("typed", "Say hello."), ("assistant", "Hello.")]
    assert json.loads(json.dumps(talk.lines[0].record())) == {
        "n": 0,
        "who": "typed",
        "start_sec": 3.46,
        "end_sec": 3.46,
        "text": "Say hello.",
        "cut": False,
        "interrupts": False,
        "levels": [],
        "open": False,
    }


def test_a_speaker_without_a_pause_fills_line_after_line():
    talk = Conversation()
    for number in range(400):
        talk.say(" word." if number % 10 == 9 else " word", number * 0.3, number * 0.3 + FRAME_SEC)
    texts = [line.text for line in talk.lines]
    assert all(text.endswith("word.") and len(text) < 400 for text in texts)
    assert sum(len(text.split()) for text in texts) == 400


# Interruptions ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("caller", "assistant_until", "words"),
    [
        pytest.param([(4.0, 6.0)], 4.4, 4.4, id="stops at once"),
        pytest.param([(4.0, 6.0)], 5.1, 5.1, id="stops after a second"),
        pytest.param([(4.0, 4.4)], 4.5, 4.5, id="one word, and it stays silent"),
        pytest.param([(4.0, 4.3), (4.8, 5.5)], 4.5, 4.5, id="in two pieces"),
        pytest.param([(2.0, 2.3), (4.0, 6.0)], 4.6, 4.6, id="after a mhm"),
        pytest.param([(3.4, 3.7), (4.2, 6.0)], 4.9, 4.9, id="soon after a mhm"),
    ],
)
def test_an_interruption_marks_both_lines(
    caller: list[tuple[float, float]], assistant_until: float, words: float
):
    said = [each for each in sentence(STORY, 1.0, 8.0) if each[0] < words]
    talk = Script(12.0, caller, [(1.0, assistant_until)], said).played()
    [cut] = lines_of(talk, Who.ASSISTANT)
    assert cut.cut
    assert cut.end_sec == pytest.approx(said[-1][0] + FRAME_SEC, abs=FRAME_SEC)
    assert [line.interrupts for line in lines_of(talk, Who.CALLER)].count(True) == 1
    assert talk.interruptions == 1


@pytest.mark.parametrize(
    ("script", "why"),
    [
        (Script(12.0, [(4.0, 4.3)], [(1.0, 8.0)], sentence(STORY, 1, 8)), "mhm, and the assistant goes on"),
        (
            Script(12.0, [(4.0, 4.3)], [(1.0, 4.6), (5.2, 8.0)], sentence(STORY, 1, 8)),
            "mhm, and it goes on after a breath",
        ),
        (Script(12.0, [(4.0, 9.0)], [(1.0, 8.0)], sentence(STORY, 1, 8)), "it talks on over the caller"),
        (Script(12.0, [(4.0, 6.0)], [(1.0, 4.4)], sentence("That is all.", 1, 4)), "its sentence was over"),
        (Script(12.0, [(4.6, 6.0)], [(1.0, 4.4)], sentence(STORY, 1, 4.4)), "it had stopped by itself"),
        (Script(12.0, [(1.0, 6.0)], [(3.0, 3.5)], sentence("mhm", 3, 3.5)), "mhm of the assistant"),
        (Script(12.0, [(4.0, 4.08)], [(1.0, 4.4)], sentence(STORY, 1, 4.4)), "a click"),
        (Script(12.0, [(4.0, 6.0)], [(1.0, 4.4)], []), "nothing was said"),
    ],
)
def test_what_is_no_interruption(script: Script, why: str):
    talk = script.played()
    assert not any(line.cut or line.interrupts for line in talk.lines), why
    assert talk.interruptions == 0


def test_what_it_says_next_begins_a_new_line():
    words = [*sentence("Once upon a time", 1, 4.2), *sentence("Oh sorry, go on.", 5.1, 6)]
    talk = Script(9.0, [(4.0, 4.5)], [(1.0, 4.3), (5.1, 6.0)], words).played()
    assert shown(talk) == [
        ("assistant", "Once upon a time-"),
        ("caller", "*"),
        ("assistant", "Oh sorry, go on."),
    ]
    assert [each.text for each in talk.transcript.utterances] == ["Once upon a time", "Oh sorry, go on."]


def test_the_mark_comes_while_the_caller_still_speaks():
    marked: list[float] = []
    Script(9.0, [(4.0, 8.0)], [(1.0, 4.5)], sentence("Once upon a time", 1, 4)).played(
        lambda talk, now: marked.append(now) if talk.interruptions and not marked else None
    )
    assert 4.5 < marked[0] < 5.3


# Versions --------------------------------------------------------------------------------------------

SPANS = st.lists(
    st.tuples(st.integers(1, 12), st.integers(1, 25)), max_size=12
)  # silent frames, then loud ones


def spans_of(lengths: list[tuple[int, int]]) -> list[tuple[float, float]]:
    spans: list[tuple[float, float]] = []
    now = 0
    for quiet, loud in lengths:
        spans.append(((now + quiet) * FRAME_SEC, (now + quiet + loud) * FRAME_SEC))
        now += quiet + loud
    return spans


@given(SPANS, SPANS, st.lists(st.tuples(st.floats(0, 30), st.sampled_from([" a", " B", "c.", " "]))))
def test_who_applies_every_change_has_all_lines(
    caller: list[tuple[int, int]], assistant: list[tuple[int, int]], words: list[tuple[float, str]]
):
    script = Script(30.0, spans_of(caller), spans_of(assistant), sorted(words))
    talk = Conversation()
    seen: dict[int, Line] = {}
    version = 0
    for number, _ in enumerate(script.steps(talk)):
        if number % 5 == 0:
            seen.update({line.n: line for line in talk.changed_since(version)})
            version = talk.version
    talk.finish()
    seen.update({line.n: line for line in talk.changed_since(version)})
    assert tuple(seen[n] for n in sorted(seen)) == talk.lines
    assert talk.changed_since(talk.version) == ()
    assert talk.changed_since(0) == talk.lines
    assert [line.n for line in talk.lines] == list(range(len(talk.lines)))
    assert sum(line.cut for line in talk.lines) == talk.interruptions
    assert any(line.interrupts for line in talk.lines) == (talk.interruptions > 0)


@given(st.lists(st.tuples(*(st.integers(7, 30),) * 4), max_size=8))
def test_answers_in_the_call_are_those_found_after_it(turns: list[tuple[int, int, int, int]]):
    """As long as each side lets the other finish: only afterwards it is known who had just paused."""
    caller: list[tuple[float, float]] = []
    assistant: list[tuple[float, float]] = []
    now = 0
    for silent, asking, thinking, answering in turns:
        caller.append(((now + silent) * FRAME_SEC, (now + silent + asking) * FRAME_SEC))
        now += silent + asking + thinking
        assistant.append((now * FRAME_SEC, (now + answering) * FRAME_SEC))
        now += answering
    script = Script((now + 10) * FRAME_SEC, caller, assistant)
    found = turns_of(ended_call(script.caller_levels, script.assistant_levels))
    assert len(found.responses) == len(turns)
    assert script.played().answer_sec == (
        None if found.median_response_sec is None else pytest.approx(found.median_response_sec, abs=0.001)
    )


def test_the_oldest_lines_are_forgotten(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(lines_module, "MOST_LINES", 3)
    talk = Conversation()
    talk.say(" One", 0.0, 0.1)
    for number in range(4):
        talk.typed(f"text {number}", 0.2)
    talk.say(" two", 0.3, 0.4)  # still in the forgotten line
    talk.finish()
    assert shown(talk) == [("typed", "text 1"), ("typed", "text 2"), ("typed", "text 3")]
    assert talk.changed_since(0) == talk.lines


def test_hours_of_noise_are_a_line_a_minute():
    talk = Conversation()
    for frame in range(45_000):
        talk.hear_assistant(frame * FRAME_SEC, QUIET_DBFS)
        talk.hear_caller(frame * FRAME_SEC, LOUD_DBFS)
    assert len(talk.lines) == pytest.approx(60, abs=1)
    assert len(talk.changed_since(talk.version - 100)) <= 2
