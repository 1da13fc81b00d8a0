"""Who spoke when in an ended call, and what that comes to in three figures, for its owner's page.

From the duplex report of the recording where there is one, else from the loudness of both sides: by the same
rules, so that one never says what the other denies. Pure.
"""

from dataclasses import dataclass
from typing import Any

from personaplex_ui.calls.snapshot import EndedCall
from personaplex_ui.calls.turns import turns_of
from personaplex_ui.duplex.report import pairs

Pairs = list[list[float]]


@dataclass(frozen=True, slots=True)
class Figures:
    """``answer_sec``: the median time from the caller's end to the assistant's begin, None without an answer.
    ``caller_share``: the caller's part of all speech, from 0 to 1, None if nobody spoke. ``interruptions``:
    how often the caller interrupted the assistant. The others are ``[start, end]`` in seconds."""

    answer_sec: float | None
    caller_share: float | None
    interruptions: int
    caller: Pairs
    assistant: Pairs
    overlaps: Pairs


def figures_of(call: EndedCall, report: dict[str, Any] | None) -> Figures:
    """``report``: as ``DuplexReport.record``."""
    if report is not None:
        return Figures(
            answer_sec=report["response_gaps"]["median_sec"],
            caller_share=report["talk_share"]["caller"],
            interruptions=report["stop_latency"]["count"],
            caller=report["turns"]["caller"],
            assistant=report["turns"]["assistant"],
            overlaps=report["overlaps"]["at"],
        )
    turns = turns_of(call)
    return Figures(
        answer_sec=turns.median_response_sec,
        caller_share=turns.caller_share,
        interruptions=len(turns.stops),
        caller=pairs(turns.caller),
        assistant=pairs(turns.assistant),
        overlaps=pairs(turns.overlaps),
    )
