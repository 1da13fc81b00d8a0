"""The timeline of an ended call: two lanes of speech over time, as inline SVG.

``Timeline`` computes the layout, ``templates/timeline.html`` draws it. All x positions are fractions of the
width, so that the picture fills the available space; below ``_PX_PER_SEC`` it scrolls instead of shrinking,
and labels are placed for that width.
"""

from dataclasses import dataclass

from personaplex_ui.audio.frames import FRAME_SEC
from personaplex_ui.audio.levels import Segment
from personaplex_ui.calls.snapshot import EndedCall
from personaplex_ui.calls.turns import Turns, length_sec, turns_of
from personaplex_ui.ui.rendering import clock

_PX_PER_SEC = 7.0
_MIN_WIDTH_PX = 300.0
_LABEL_WIDTH_PX = 36.0
_TICK_STEPS_SEC = (1, 2, 5, 10, 15, 30, 60)
_MIN_TICK_PX = 52.0
_LONG_SILENCE_SEC = 1.0


@dataclass(frozen=True, slots=True)
class Timeline:
    """One call in which somebody spoke."""

    turns: Turns

    @property
    def width_px(self) -> float:
        return max(_MIN_WIDTH_PX, self.turns.duration_sec * _PX_PER_SEC)

    @property
    def px_per_sec(self) -> float:
        return self.width_px / self.turns.duration_sec

    @property
    def ticks(self) -> list[tuple[int, str]]:
        """The second of each label on the axis, and its ``text-anchor``."""
        fitting = (step for step in _TICK_STEPS_SEC if step * self.px_per_sec >= _MIN_TICK_PX)
        step = next(fitting, _TICK_STEPS_SEC[-1])
        last_centred_sec = self.turns.duration_sec - _LABEL_WIDTH_PX / 2 / self.px_per_sec
        seconds = range(step, int(self.turns.duration_sec) + 1, step)
        return [(0, "start"), *((sec, "end" if sec > last_centred_sec else "middle") for sec in seconds)]

    @property
    def labels(self) -> list[tuple[float, str]]:
        """The centre, in seconds, and the label of each response time with room for a label."""
        found: list[tuple[float, str]] = []
        free_from_px = 0.0
        for response in self.turns.responses:
            centre_sec = (response.start_sec + response.end_sec) / 2
            left_px = centre_sec * self.px_per_sec - _LABEL_WIDTH_PX / 2
            if free_from_px <= left_px <= self.width_px - _LABEL_WIDTH_PX:
                found.append((centre_sec, f"{length_sec(response):.1f} s"))
                free_from_px = left_px + _LABEL_WIDTH_PX
        return found

    @property
    def long_silences(self) -> list[Segment]:
        """The long silences that are not response times."""
        answered_from = [x.start_sec for x in self.turns.responses]
        return [
            silence
            for silence in self.turns.silences
            if length_sec(silence) >= _LONG_SILENCE_SEC
            and not any(abs(silence.start_sec - start_sec) < FRAME_SEC / 2 for start_sec in answered_from)
        ]

    @property
    def totals(self) -> tuple[tuple[str, str], ...]:
        response_sec = self.turns.median_response_sec
        return (
            ("You", _seconds(length_sec(*self.turns.caller))),
            ("Assistant", _seconds(length_sec(*self.turns.assistant))),
            ("Both at once", _seconds(length_sec(*self.turns.overlaps))),
            ("Median response", "none" if response_sec is None else _seconds(response_sec)),
        )

    @property
    def in_words(self) -> str:
        """A description of the picture for screen readers."""
        turns = self.turns
        assistant_sec = length_sec(*turns.assistant)
        sentences = [
            f"The call lasted {_seconds(turns.duration_sec)}.",
            f"You spoke {_times(turns.caller)}, {_seconds(length_sec(*turns.caller))} in all.",
            f"The assistant spoke {_times(turns.assistant)}, {_seconds(assistant_sec)} in all.",
        ]
        if turns.overlaps:
            sentences.append(f"Both spoke at once for {_seconds(length_sec(*turns.overlaps))}.")
        if turns.median_response_sec is not None:
            sentences.append(
                f"The assistant answered {_times(turns.responses)},"
                f" after a median of {_seconds(turns.median_response_sec)}."
            )
        if turns.silences:
            sentences.append(f"The longest silence lasted {_seconds(max(map(length_sec, turns.silences)))}.")
        return " ".join(sentences)


def timeline_of(call: EndedCall) -> Timeline | None:
    """The timeline, or None if nobody spoke."""
    turns = turns_of(call)
    return Timeline(turns) if turns.caller or turns.assistant else None


def _seconds(sec: float) -> str:
    return f"{clock(sec)} min" if sec >= 60 else f"{sec:.1f} s"


def _times(segments: tuple[Segment, ...]) -> str:
    return "once" if len(segments) == 1 else f"{len(segments)} times"
