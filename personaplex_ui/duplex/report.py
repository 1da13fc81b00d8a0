"""The report as values, and as JSON. What each figure means: docs/EVALUATION.md, "The duplex report"."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from personaplex_ui.audio.levels import Segment

FORMAT = "personaplex_ui duplex report 1"


@dataclass(frozen=True, slots=True)
class Turns:
    """What happened between the two sides, as stretches of time in the order they began.

    ``caller``, ``assistant``: when each spoke. ``overlaps``: when both did. ``responses``: from the caller's
    end to the assistant's begin. ``stops``: from when the caller began to speak over the assistant until it
    fell silent; ``ignored``: the same where it did not give way. ``take_overs``: from the assistant's begin
    in a pause of the caller until the caller went on. ``talk_overs``: from the assistant's begin, while the
    caller spoke, to the end of what the caller said. ``backchannels``: "mhm" of the assistant while the
    caller had the turn. ``dead_air``: when nobody spoke for over 2 s.
    """

    caller: tuple[Segment, ...] = ()
    assistant: tuple[Segment, ...] = ()
    overlaps: tuple[Segment, ...] = ()
    responses: tuple[Segment, ...] = ()
    stops: tuple[Segment, ...] = ()
    ignored: tuple[Segment, ...] = ()
    take_overs: tuple[Segment, ...] = ()
    talk_overs: tuple[Segment, ...] = ()
    backchannels: tuple[Segment, ...] = ()
    dead_air: tuple[Segment, ...] = ()

    @property
    def caller_share(self) -> float | None:
        """The caller's part of all speech, from 0 to 1; None if nobody spoke."""
        caller, both = total_sec(self.caller), total_sec((*self.caller, *self.assistant))
        return caller / both if both else None

    @property
    def median_response_sec(self) -> float | None:
        """None without a response."""
        return quantile(self.responses, 0.5)


@dataclass(frozen=True, slots=True)
class Echo:
    """One side's sound in the other's channel, ``lag_sec`` later and by ``level_db`` (negative) less loud.

    ``prominence``: how far its peak in the whitened cross correlation stands out, in standard deviations.
    """

    lag_sec: float
    level_db: float
    prominence: float


@dataclass(frozen=True, slots=True)
class DuplexReport:
    """``assistant_echo``: the assistant in the caller's channel; ``caller_echo``: the other way round."""

    duration_sec: float
    turns: Turns
    assistant_echo: Echo | None = None
    caller_echo: Echo | None = None

    def record(self) -> dict[str, Any]:
        """Plain values for JSON; times rounded to 0.01 s."""
        turns = self.turns
        share = turns.caller_share
        return {
            "format": FORMAT,
            "duration_sec": round(self.duration_sec, 2),
            "response_gaps": _lengths(turns.responses),
            "stop_latency": _lengths(turns.stops),
            "ignored_interruptions": _times(turns.ignored),
            "overlaps": _times(turns.overlaps),
            "dead_air": _times(turns.dead_air)
            | {"longest_sec": max((length_sec(each) for each in turns.dead_air), default=0.0)},
            "pause_take_overs": _times(turns.take_overs),
            "talk_overs": _times(turns.talk_overs),
            "backchannels": _times(turns.backchannels),
            "talk_share": {
                "caller": None if share is None else round(share, 3),
                "assistant": None if share is None else round(1.0 - share, 3),
                "caller_sec": round(total_sec(turns.caller), 2),
                "assistant_sec": round(total_sec(turns.assistant), 2),
            },
            "self_echo": {
                "assistant_in_caller": _echo(self.assistant_echo),
                "caller_in_assistant": _echo(self.caller_echo),
            },
            "turns": {"caller": pairs(turns.caller), "assistant": pairs(turns.assistant)},
        }


def length_sec(segment: Segment) -> float:
    return round(segment.end_sec - segment.start_sec, 3)


def total_sec(segments: Iterable[Segment]) -> float:
    """The total length of all ``segments``."""
    return sum(each.end_sec - each.start_sec for each in segments)


def quantile(segments: Sequence[Segment], share: float) -> float | None:
    """Of the lengths, interpolated between the two nearest; None without any."""
    lengths = [each.end_sec - each.start_sec for each in segments]
    return round(float(np.quantile(lengths, share)), 3) if lengths else None


def pairs(segments: Iterable[Segment]) -> list[list[float]]:
    return [[round(each.start_sec, 2), round(each.end_sec, 2)] for each in segments]


def _lengths(segments: Sequence[Segment]) -> dict[str, Any]:
    return {
        "count": len(segments),
        "median_sec": quantile(segments, 0.5),
        "p90_sec": quantile(segments, 0.9),
        "all_sec": [length_sec(each) for each in segments],
        "at": pairs(segments),
    }


def _times(segments: Sequence[Segment]) -> dict[str, Any]:
    return {"count": len(segments), "total_sec": round(total_sec(segments), 2), "at": pairs(segments)}


def _echo(echo: Echo | None) -> dict[str, Any] | None:
    if echo is None:
        return None
    return {
        "level_db": round(echo.level_db, 1),
        "lag_ms": round(echo.lag_sec * 1000),
        "prominence": round(echo.prominence, 1),
    }
