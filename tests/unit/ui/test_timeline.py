"""The picture of an ended call; who spoke when is tested in calls/test_turns.py."""

import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from itertools import pairwise

import pytest

from personaplex_ui.calls.snapshot import EndedCall
from personaplex_ui.ui.rendering import render
from personaplex_ui.ui.timeline import timeline_of
from tests.unit.calls.test_turns import ended_call, levels


def drawn(call: EndedCall) -> ElementTree.Element:
    return ElementTree.fromstring(render("timeline", timeline=timeline_of(call)))


def by_class(root: ElementTree.Element, name: str) -> list[ElementTree.Element]:
    return [x for x in root.iter() if x.get("class") == name]


def share(element: ElementTree.Element, attribute: str) -> float:
    return float(str(element.get(attribute)).removesuffix("%")) / 100


@pytest.mark.parametrize("call", [ended_call((), ()), ended_call(levels(50), levels(50))])
def test_an_empty_call_is_said_in_words(call: EndedCall) -> None:
    assert "".join(drawn(call).itertext()) == "Nobody spoke in this call."


@pytest.mark.parametrize("caller_speaks", [True, False])
def test_a_one_sided_call_is_drawn(caller_speaks: bool) -> None:
    spoken, silent = levels(50, (10, 40)), ()
    root = drawn(ended_call(spoken, silent) if caller_speaks else ended_call(silent, spoken))
    assert len(by_class(root, "pp-tl-caller")) == caller_speaks
    assert len(by_class(root, "pp-tl-assistant")) == (not caller_speaks)
    assert "Median response none" in " ".join("".join(root.itertext()).split())


def test_ten_minutes_scroll_instead_of_shrinking() -> None:
    caller = levels(7500, *((i, i + 30) for i in range(0, 7500, 100)))
    assistant = levels(7500, *((i + 40, i + 90) for i in range(0, 7500, 100)))
    root = drawn(ended_call(caller, assistant))
    svg = next(x for x in root.iter() if x.tag.endswith("svg"))
    assert svg.get("style") == "min-width:4200px"
    assert by_class(root, "pp-timeline-scroll pp-scrolls")[0].get("tabindex") == "0"
    assert len(by_class(root, "pp-tl-response")) == 75
    ticks = [(x.text, x.get("text-anchor")) for x in by_class(root, "pp-tl-tick")]
    assert (ticks[0], ticks[1], ticks[-1]) == (("0:00", "start"), ("0:10", "middle"), ("10:00", "end"))
    assert len(ticks) == 61


def test_labels_are_left_out_where_they_would_collide() -> None:
    caller = levels(7500, *((i, i + 4) for i in range(0, 7500, 20)))
    assistant = levels(7500, *((i + 10, i + 14) for i in range(0, 7500, 20)))
    root = drawn(ended_call(caller, assistant))
    centres_px = [share(x, "x") * 4200 for x in by_class(root, "pp-tl-label")]
    assert len(by_class(root, "pp-tl-response")) == 375
    assert 50 < len(centres_px) < 375
    assert all(b - a >= 35.9 for a, b in pairwise(centres_px))


def test_a_silence_is_drawn_unless_it_is_a_response_time_or_short() -> None:
    root = drawn(ended_call(levels(100, (10, 20), (45, 50)), levels(100, (40, 60))))
    silences = [(share(x, "x1"), share(x, "x2")) for x in by_class(root, "pp-tl-silence")]
    assert silences == [(0.6, 1.0)]
    assert len(by_class(root, "pp-tl-response")) == len(by_class(root, "pp-tl-overlap")) == 1


def test_nothing_is_drawn_outside() -> None:
    call = replace(ended_call(levels(10, (0, 10)), levels(10, (5, 10))), duration_sec=0.1)
    root = drawn(call)
    drawn_spans = [x for kind in ("caller", "assistant", "overlap") for x in by_class(root, f"pp-tl-{kind}")]
    assert len(drawn_spans) == 3
    assert all(share(x, "x") + share(x, "width") <= 1.00001 for x in drawn_spans)


def test_the_picture_is_told_to_those_who_do_not_see_it() -> None:
    root = drawn(ended_call(levels(1000, (0, 800)), levels(1000, (810, 900))))
    svg = next(x for x in root.iter() if x.tag.endswith("svg"))
    assert svg.get("role") == "img"
    assert [x.text for x in svg][:2] == [
        "Who spoke when",
        "The call lasted 1:20 min. You spoke once, 1:04 min in all. "
        "The assistant spoke once, 7.2 s in all. "
        "The assistant answered once, after a median of 0.8 s. The longest silence lasted 8.0 s.",
    ]
