"""What two sides do with each other's turns, from made-up times: each rule at both sides of its limit."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from personaplex_ui.audio.levels import Segment
from personaplex_ui.duplex.report import Turns, total_sec
from personaplex_ui.duplex.turn_taking import turns_of
from personaplex_ui.duplex.words import NO_WORDS, AssistantWords, Said

Spans = list[tuple[float, float]]
KINDS = ("responses", "stops", "ignored", "take_overs", "talk_overs", "backchannels")


def found(caller: Spans, assistant: Spans, words: AssistantWords = NO_WORDS) -> dict[str, Spans]:
    """The kinds of which there are any."""
    turns = turns_of([Segment(*x) for x in caller], [Segment(*x) for x in assistant], 60.0, words)
    told = {kind: [(x.start_sec, x.end_sec) for x in getattr(turns, kind)] for kind in KINDS}
    return {kind: spans for kind, spans in told.items() if spans}


def span(*times: float) -> object:
    return [pytest.approx(times)]


@pytest.mark.parametrize(
    ("caller", "assistant", "told"),
    [
        pytest.param([(0, 2)], [(2.7, 5)], {"responses": span(2, 2.7)}, id="an answer"),
        pytest.param([(0, 2)], [(1.95, 5)], {"responses": span(1.95, 1.95)}, id="an answer at once"),
        pytest.param([(0, 2)], [(1.8, 5)], {"talk_overs": span(1.8, 2)}, id="too early"),
        pytest.param([], [(1, 3)], {}, id="a greeting"),
        pytest.param([(0, 2)], [(3, 5), (7, 9)], {"responses": span(2, 3)}, id="it goes on by itself"),
        pytest.param(
            [(0, 2)], [(3, 5), (5.4, 9)], {"responses": span(2, 3)}, id="a breath within what it says"
        ),
        # The caller over the assistant.
        pytest.param([(3, 5)], [(1, 3.4)], {"stops": span(3, 3.4)}, id="it stops"),
        pytest.param([(3, 5)], [(1, 4), (4.3, 4.9)], {"stops": span(3, 4.9)}, id="a breath is no stop"),
        pytest.param([(3, 3.4)], [(1, 6)], {}, id="the caller's mhm"),
        pytest.param([(3, 3.4)], [(1, 4.2)], {"stops": span(3, 4.2)}, id="one word is enough to stop it"),
        pytest.param([(3, 4.2)], [(1, 6)], {"ignored": span(3, 6)}, id="it does not stop"),
        pytest.param([(3, 4.2)], [(1, 5.1)], {"stops": span(3, 5.1)}, id="it stops late"),
        pytest.param(
            [(3, 3.4), (5, 7)], [(1, 5.5)], {"stops": span(5, 5.5)}, id="mhm, and then an interruption"
        ),
        pytest.param(
            [(0, 2), (6, 8)],
            [(2.5, 6.3), (9, 10)],
            {"responses": [pytest.approx((2, 2.5)), pytest.approx((8, 9))], "stops": span(6, 6.3)},
            id="asked, interrupted, asked again",
        ),
        # The assistant in the caller's turn.
        pytest.param(
            [(0, 2), (3.2, 5)], [(2.6, 4)], {"take_overs": span(2.6, 3.2)}, id="a pause is taken over"
        ),
        pytest.param(
            [(0, 2), (4.2, 6)],
            [(2.6, 4.7)],
            {"responses": span(2, 2.6), "stops": span(4.2, 4.7)},
            id="an answer is heard before it is interrupted",
        ),
        pytest.param(
            [(0, 2), (5.3, 7)],
            [(4.6, 6)],
            {"responses": span(2, 4.6), "stops": span(5.3, 6)},
            id="who was silent for long had no pause",
        ),
        pytest.param([(0, 5)], [(3, 3.5)], {"backchannels": span(3, 3.5)}, id="mhm"),
        pytest.param([(0, 5)], [(3, 4.1)], {"talk_overs": span(3, 4.1)}, id="too long for mhm"),
        pytest.param([(0, 5)], [(4.7, 5.4)], {"talk_overs": span(4.7, 5)}, id="nobody goes on after it"),
        pytest.param([(0, 2), (3, 5)], [(2.2, 2.6)], {"backchannels": span(2.2, 2.6)}, id="mhm in a pause"),
        pytest.param(
            [(0, 2), (3, 5)], [(2.8, 3.2)], {"backchannels": span(2.8, 3.2)}, id="mhm that is spoken over"
        ),
        pytest.param([(0, 2), (4, 5)], [(2.2, 2.6)], {"responses": span(2, 2.2)}, id="yes"),
        pytest.param([(0, 5)], [(3, 3.4), (3.7, 5.6)], {"talk_overs": span(3, 5)}, id="mhm and more"),
    ],
)
def test_what_is_what(caller: Spans, assistant: Spans, told: dict[str, object]) -> None:
    assert found(caller, assistant) == told


def test_overlaps_and_dead_air() -> None:
    turns = turns_of([Segment(0.5, 3), Segment(9, 12)], [Segment(2, 4), Segment(6.1, 9.5)], 14.5)
    assert turns.overlaps == (Segment(2, 3), Segment(9, 9.5))
    assert turns.dead_air == (Segment(4, 6.1), Segment(12, 14.5))
    assert turns.caller_share == pytest.approx(5.5 / 10.9)
    assert turns_of([], [], 2.0).dead_air == ()
    assert turns_of([], [], 2.1).dead_air == (Segment(0, 2.1),)
    assert (Turns().caller_share, Turns().median_response_sec) == (None, None)


def test_words_tell_a_backchannel_from_a_sentence_and_an_end_from_a_stop() -> None:
    mhm = AssistantWords([Said(3.1, 3.3, " Uh-huh.")])
    sentence = AssistantWords([Said(3.0, 3.2, "No,"), Said(3.2, 3.4, "it is"), Said(3.4, 3.5, "not.")])
    assert found([(0, 5)], [(3, 3.5)], mhm) == {"backchannels": span(3, 3.5)}
    assert found([(0, 5)], [(3, 3.5)], sentence) == {"talk_overs": span(3, 3.5)}
    complete = AssistantWords([Said(1.0, 3.3, "We open at eight.")])
    cut = AssistantWords([Said(1.0, 3.3, "We open at")])
    elsewhere = AssistantWords([Said(0.0, 1.0, "Hello.")])
    assert found([(3, 5)], [(1, 3.4)], complete) == {}
    assert (
        found([(3, 5)], [(1, 3.4)], cut) == found([(3, 5)], [(1, 3.4)], elsewhere) == {"stops": span(3, 3.4)}
    )


SPANS = st.lists(st.tuples(st.integers(20, 400), st.integers(10, 400)), max_size=12)
"""Silence of at least 0.2 s, then speech, in steps of 10 ms."""


def segments(lengths: list[tuple[int, int]]) -> list[Segment]:
    found: list[Segment] = []
    now = 0
    for silent, spoken in lengths:
        found.append(Segment((now + silent) / 100, (now + silent + spoken) / 100))
        now += silent + spoken
    return found


@given(SPANS, SPANS)
def test_whatever_happens_each_utterance_is_one_thing(
    of_caller: list[tuple[int, int]], of_assistant: list[tuple[int, int]]
) -> None:
    caller, assistant = segments(of_caller), segments(of_assistant)
    turns = turns_of(caller, assistant, 100.0)
    begins = [each.start_sec for each in assistant]
    of_turns = [each.end_sec for each in turns.responses]
    of_turns += [
        each.start_sec for kind in (turns.take_overs, turns.talk_overs, turns.backchannels) for each in kind
    ]
    assert len(of_turns) == len(set(of_turns)), "no utterance is two of them"
    assert set(of_turns) <= set(begins)
    stops = [*turns.stops, *turns.ignored]
    assert {each.start_sec for each in stops} <= {each.start_sec for each in caller}
    assert {each.end_sec for each in stops} <= {each.end_sec for each in assistant}
    assert len({each.end_sec for each in stops}) == len(stops), "one utterance is interrupted once"
    for kind in KINDS:
        assert all(each.start_sec <= each.end_sec for each in getattr(turns, kind)), kind
    spoken = total_sec(caller) + total_sec(assistant) - total_sec(turns.overlaps)
    assert total_sec(turns.dead_air) <= 100.0 - spoken + 1e-6
    mirrored = turns_of(assistant, caller, 100.0)
    assert (mirrored.overlaps, mirrored.dead_air) == (turns.overlaps, turns.dead_air)
