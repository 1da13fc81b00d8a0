"""Who spoke when, from the levels of both sides."""

import pytest

from personaplex_ui.audio.levels import Segment
from personaplex_ui.calls.snapshot import EndedCall
from personaplex_ui.calls.turns import turns_of

LOUD, QUIET = -20.0, -80.0
Spans = tuple[tuple[int, int], ...]


def levels(frames: int, *spoken: tuple[int, int]) -> tuple[float, ...]:
    return tuple(LOUD if any(a <= i < b for a, b in spoken) else QUIET for i in range(frames))


def ended_call(caller: tuple[float, ...], assistant: tuple[float, ...]) -> EndedCall:
    return EndedCall(
        call_id="c1",
        started_at=0.0,
        duration_sec=0.08 * max(len(caller), len(assistant)),
        voice="NATF2",
        reason="You hung up.",
        notes=(),
        utterances=(),
        caller_levels_dbfs=caller,
        assistant_levels_dbfs=assistant,
        recorded=True,
    )


def in_frames(segments: tuple[Segment, ...]) -> Spans:
    return tuple((round(x.start_sec / 0.08), round(x.end_sec / 0.08)) for x in segments)


@pytest.mark.parametrize(
    ("caller", "assistant", "overlaps", "responses"),
    [
        pytest.param(
            ((0, 10), (50, 60)), ((20, 40), (65, 80)), (), ((10, 20), (60, 65)), id="from the caller's end on"
        ),
        pytest.param(((20, 30),), ((10, 50),), ((20, 30),), (), id="talked over is not a response"),
        pytest.param(((0, 40),), ((10, 15), (50, 60)), ((10, 15),), ((40, 50),), id="a word in between"),
        pytest.param(((0, 10),), ((20, 30), (50, 60)), (), ((10, 20),), id="the first answer only"),
        pytest.param((), ((20, 30),), (), (), id="nobody asked"),
    ],
)
def test_overlaps_and_responses(caller: Spans, assistant: Spans, overlaps: Spans, responses: Spans) -> None:
    turns = turns_of(ended_call(levels(100, *caller), levels(100, *assistant)))
    assert (in_frames(turns.caller), in_frames(turns.assistant)) == (caller, assistant)
    assert in_frames(turns.overlaps) == overlaps
    assert in_frames(turns.responses) == responses


def test_the_median_response() -> None:
    call = ended_call(levels(100, (0, 10), (50, 60)), levels(100, (20, 40), (65, 80)))
    assert turns_of(call).median_response_sec == pytest.approx(0.6)
    assert turns_of(ended_call((), ())).median_response_sec is None
