import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from itertools import pairwise

import pytest

from personaplex_ui.audio.levels import Segment
from personaplex_ui.calls.snapshot import EndedCall
from personaplex_ui.ui.timeline import clock, conversation, summary, timeline_svg

LOUD, QUIET = -20.0, -80.0


def levels(frames: int, *spoken: tuple[int, int]) -> tuple[float, ...]:
    return tuple(LOUD if any(a <= i < b for a, b in spoken) else QUIET for i in range(frames))


def ended(caller: tuple[float, ...], assistant: tuple[float, ...]) -> EndedCall:
    return EndedCall(
        call_id="c1",
        started_at=0.0,
        duration_sec=0.08 * max(len(caller), len(assistant)),
        voice="NATF2",
        reason="You hung up.",
        notes=(),
        lines=(),
        caller_levels_dbfs=caller,
        assistant_levels_dbfs=assistant,
        recorded=True,
    )


def seconds(segments: tuple[Segment, ...]) -> list[tuple[float, float]]:
    return [(round(x.start_sec, 2), round(x.end_sec, 2)) for x in segments]


def drawn(call: EndedCall) -> ElementTree.Element:
    return ElementTree.fromstring(timeline_svg(call))


def by_class(root: ElementTree.Element, name: str) -> list[ElementTree.Element]:
    return [x for x in root.iter() if x.get("class") == name]


def test_response_times_run_from_the_callers_end_to_the_next_answer() -> None:
    call = ended(levels(100, (0, 10), (50, 60)), levels(100, (20, 40), (65, 80)))
    talk = conversation(call)
    assert seconds(talk.responses) == [(0.8, 1.6), (4.8, 5.2)]
    assert talk.median_response_sec == pytest.approx(0.6)
    assert talk.overlaps == ()


def test_an_assistant_that_was_talked_over_did_not_respond() -> None:
    talk = conversation(ended(levels(100, (20, 30)), levels(100, (10, 50))))
    assert talk.responses == ()
    assert seconds(talk.overlaps) == [(1.6, 2.4)]


def test_a_word_in_between_does_not_hide_the_response() -> None:
    talk = conversation(ended(levels(100, (0, 40)), levels(100, (10, 15), (50, 60))))
    assert seconds(talk.overlaps) == [(0.8, 1.2)]
    assert seconds(talk.responses) == [(3.2, 4.0)]


def test_only_the_first_answer_after_the_caller_is_a_response() -> None:
    talk = conversation(ended(levels(100, (0, 10)), levels(100, (20, 30), (50, 60))))
    assert seconds(talk.responses) == [(0.8, 1.6)]


def test_silences_are_what_nobody_filled() -> None:
    talk = conversation(ended(levels(100, (10, 20)), levels(100, (30, 90))))
    assert seconds(talk.silences) == [(0.0, 0.8), (1.6, 2.4), (7.2, 8.0)]


def test_an_empty_call_is_said_in_words() -> None:
    for call in (ended((), ()), ended(levels(50), levels(50))):
        assert "".join(drawn(call).itertext()) == "Nobody spoke in this call."


@pytest.mark.parametrize("caller_speaks", [True, False])
def test_a_one_sided_call_is_drawn(caller_speaks: bool) -> None:
    spoken, silent = levels(50, (10, 40)), ()
    root = drawn(ended(spoken, silent) if caller_speaks else ended(silent, spoken))
    assert len(by_class(root, "pp-tl-caller")) == caller_speaks
    assert len(by_class(root, "pp-tl-assistant")) == (not caller_speaks)
    assert "Median response none" in " ".join("".join(root.itertext()).split())


def test_ten_minutes_scroll_instead_of_shrinking() -> None:
    caller = levels(7500, *((i, i + 30) for i in range(0, 7500, 100)))
    assistant = levels(7500, *((i + 40, i + 90) for i in range(0, 7500, 100)))
    root = drawn(ended(caller, assistant))
    svg = next(x for x in root.iter() if x.tag.endswith("svg"))
    assert svg.get("style") == "min-width:4200px"
    assert by_class(root, "pp-timeline-scroll pp-scrolls")[0].get("tabindex") == "0"
    assert len(by_class(root, "pp-tl-response")) == 75
    ticks = [x.text for x in by_class(root, "pp-tl-tick")]
    assert ticks[0] == "0:00"
    assert ticks[-1] == "10:00"
    assert len(ticks) == 61


def test_labels_are_left_out_where_they_would_collide() -> None:
    caller = levels(7500, *((i, i + 4) for i in range(0, 7500, 20)))
    assistant = levels(7500, *((i + 10, i + 14) for i in range(0, 7500, 20)))
    root = drawn(ended(caller, assistant))
    centres = [float(str(x.get("x")).rstrip("%")) * 42 for x in by_class(root, "pp-tl-label")]
    assert len(by_class(root, "pp-tl-response")) == 375
    assert 50 < len(centres) < 375
    assert all(b - a >= 35.9 for a, b in pairwise(centres))


def test_nothing_is_drawn_outside() -> None:
    call = replace(ended(levels(10, (0, 10)), levels(10, (5, 10))), duration_sec=0.1)
    root = drawn(call)
    for bar in root.iter():
        if bar.get("class") in ("pp-tl-caller", "pp-tl-assistant", "pp-tl-overlap"):
            assert float(str(bar.get("x"))[:-1]) + float(str(bar.get("width"))[:-1]) <= 100.001


def test_the_picture_is_told_to_those_who_do_not_see_it() -> None:
    call = ended(levels(1000, (0, 800)), levels(1000, (810, 900)))
    words = summary(conversation(call))
    assert words == (
        "The call lasted 1:20 min. You spoke once, 1:04 min in all. "
        "The assistant spoke once, 7.2 s in all. "
        "The assistant answered once, after 0.8 s in the median. The longest silence lasted 8.0 s."
    )
    svg = next(x for x in drawn(call).iter() if x.tag.endswith("svg"))
    assert svg.get("role") == "img"
    assert [x.text for x in svg][:2] == ["Who spoke when", words]


@pytest.mark.parametrize(
    ("sec", "words"), [(-1, "0:00"), (0, "0:00"), (59.9, "0:59"), (754, "12:34"), (3723, "1:02:03")]
)
def test_clock(sec: float, words: str) -> None:
    assert clock(sec) == words
