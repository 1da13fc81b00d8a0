"""The picture of an ended call: two lanes of speech over time, drawn as inline SVG.

Knows levels and times only. All x positions are percentages, so that the picture fills whatever width it
gets; below ``_PX_PER_SEC`` it scrolls instead of shrinking, and labels are placed for that width.
Colours come from the page's CSS variables.
"""

from dataclasses import dataclass
from html import escape
from statistics import median

from personaplex_ui.audio.frames import FRAME_SEC
from personaplex_ui.audio.levels import Segment, speech_segments
from personaplex_ui.calls.snapshot import EndedCall

_PX_PER_SEC = 7.0
_MIN_WIDTH_PX = 300.0
_LABEL_WIDTH_PX = 36.0
_TICK_STEPS_SEC = (1, 2, 5, 10, 15, 30, 60)
_MIN_TICK_PX = 52.0
_LONG_SILENCE_SEC = 1.0

_CALLER_Y, _BETWEEN_Y, _ASSISTANT_Y, _AXIS_Y, _HEIGHT = 22, 52, 98, 130, 150
_LANE_HEIGHT = 24


@dataclass(frozen=True, slots=True)
class Conversation:
    """Who spoke when. ``responses`` run from the end of the caller's speech to the answer's start."""

    duration_sec: float
    caller: tuple[Segment, ...]
    assistant: tuple[Segment, ...]
    overlaps: tuple[Segment, ...]
    responses: tuple[Segment, ...]
    silences: tuple[Segment, ...]

    @property
    def median_response_sec(self) -> float | None:
        return median(_length_sec(x) for x in self.responses) if self.responses else None


def conversation(call: EndedCall) -> Conversation:
    frames = max(len(call.caller_levels_dbfs), len(call.assistant_levels_dbfs))
    duration_sec = max(call.duration_sec, frames * FRAME_SEC, 0.0)
    caller = speech_segments(call.caller_levels_dbfs)
    assistant = speech_segments(call.assistant_levels_dbfs)
    return Conversation(
        duration_sec=duration_sec,
        caller=tuple(caller),
        assistant=tuple(assistant),
        overlaps=tuple(_overlaps(caller, assistant)),
        responses=tuple(_responses(caller, assistant)),
        silences=tuple(_silences([*caller, *assistant], duration_sec)),
    )


def clock(sec: float) -> str:
    """``0:07``, ``12:34``, ``1:02:03``."""
    minutes, seconds = divmod(int(max(0.0, sec)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


def timeline_svg(call: EndedCall) -> str:
    """The picture with its figures, as a ``<figure>``."""
    talk = conversation(call)
    if not talk.caller and not talk.assistant:
        return '<figure class="pp-timeline"><figcaption>Nobody spoke in this call.</figcaption></figure>'
    width_px = max(_MIN_WIDTH_PX, talk.duration_sec * _PX_PER_SEC)
    parts = [
        '<figure class="pp-timeline">',
        f"<figcaption>{_figures(talk)}</figcaption>",
        '<div class="pp-timeline-scroll pp-scrolls" role="region" aria-label="Timeline" tabindex="0">',
        f'<svg role="img" width="100%" height="{_HEIGHT}" style="min-width:{width_px:.0f}px"',
        ' xmlns="http://www.w3.org/2000/svg">',
        f"<title>Who spoke when</title><desc>{escape(summary(talk))}</desc>",
        *_axis(talk.duration_sec, width_px),
        *_lane("You", "caller", talk.caller, _CALLER_Y, talk.duration_sec),
        *_lane("Assistant", "assistant", talk.assistant, _ASSISTANT_Y, talk.duration_sec),
        *_between(talk, width_px),
        "</svg></div>",
        '<ul class="pp-legend" aria-hidden="true">',
        '<li class="pp-key-caller">You</li><li class="pp-key-assistant">Assistant</li>',
        '<li class="pp-key-overlap">Both at once</li><li class="pp-key-response">Response time</li>',
        "</ul></figure>",
    ]
    return "".join(parts)


def summary(talk: Conversation) -> str:
    """The picture in words, for those who do not see it."""
    sentences = [
        f"The call lasted {_seconds(talk.duration_sec)}.",
        f"You spoke {_times(len(talk.caller))}, {_seconds(_total_sec(talk.caller))} in all.",
        f"The assistant spoke {_times(len(talk.assistant))}, {_seconds(_total_sec(talk.assistant))} in all.",
    ]
    if talk.overlaps:
        sentences.append(f"Both spoke at once for {_seconds(_total_sec(talk.overlaps))}.")
    if talk.median_response_sec is not None:
        sentences.append(
            f"The assistant answered {_times(len(talk.responses))},"
            f" after {_seconds(talk.median_response_sec)} in the median."
        )
    if talk.silences:
        longest_sec = max(_length_sec(x) for x in talk.silences)
        sentences.append(f"The longest silence lasted {_seconds(longest_sec)}.")
    return " ".join(sentences)


def _figures(talk: Conversation) -> str:
    response = "none" if talk.median_response_sec is None else _seconds(talk.median_response_sec)
    figures = (
        ("You", _seconds(_total_sec(talk.caller))),
        ("Assistant", _seconds(_total_sec(talk.assistant))),
        ("Both at once", _seconds(_total_sec(talk.overlaps))),
        ("Median response", response),
    )
    return " ".join(
        f'<span class="pp-figure">{name} <strong>{escape(value)}</strong></span>' for name, value in figures
    )


def _axis(duration_sec: float, width_px: float) -> list[str]:
    px_per_sec = width_px / duration_sec
    fitting = (step for step in _TICK_STEPS_SEC if step * px_per_sec >= _MIN_TICK_PX)
    step = next(fitting, _TICK_STEPS_SEC[-1])
    parts: list[str] = []
    for sec in range(0, int(duration_sec) + 1, step):
        x = _percent(sec, duration_sec)
        parts.append(f'<line class="pp-tl-grid" x1="{x}" x2="{x}" y1="{_CALLER_Y}" y2="{_AXIS_Y}"/>')
        if sec == 0:
            anchor = "start"
        else:
            anchor = "end" if (duration_sec - sec) * px_per_sec < _LABEL_WIDTH_PX / 2 else "middle"
        parts.append(_text(x, _AXIS_Y + 15, anchor, "pp-tl-tick", clock(sec)))
    return parts


def _lane(name: str, kind: str, segments: tuple[Segment, ...], y: int, duration_sec: float) -> list[str]:
    parts = [
        _text("0", y - 6, "start", "pp-tl-name", name),
        f'<rect class="pp-tl-lane" x="0" width="100%" y="{y}" height="{_LANE_HEIGHT}" rx="4"/>',
    ]
    for segment in segments:
        parts.append(_rect(f"pp-tl-{kind}", segment, y, _LANE_HEIGHT, duration_sec))
    return parts


def _between(talk: Conversation, width_px: float) -> list[str]:
    """What lies between the lanes: overlaps, long silences, response times with labels where they fit."""
    middle = _BETWEEN_Y + 4
    parts = [_rect("pp-tl-overlap", x, _BETWEEN_Y, 8, talk.duration_sec) for x in talk.overlaps]
    parts += [
        _line("pp-tl-silence", x, middle, talk.duration_sec)
        for x in talk.silences
        if _length_sec(x) >= _LONG_SILENCE_SEC and not _starts_response(x, talk.responses)
    ]
    px_per_sec = width_px / talk.duration_sec
    free_from_px = 0.0
    for response in talk.responses:
        parts.append(_line("pp-tl-response", response, middle, talk.duration_sec))
        centre_sec = (response.start_sec + response.end_sec) / 2
        left_px = centre_sec * px_per_sec - _LABEL_WIDTH_PX / 2
        if free_from_px <= left_px <= width_px - _LABEL_WIDTH_PX:
            label = f"{_length_sec(response):.1f} s"
            x = _percent(centre_sec, talk.duration_sec)
            parts.append(_text(x, middle + 15, "middle", "pp-tl-label", label))
            free_from_px = left_px + _LABEL_WIDTH_PX
    return parts


def _starts_response(silence: Segment, responses: tuple[Segment, ...]) -> bool:
    return any(abs(silence.start_sec - x.start_sec) < FRAME_SEC / 2 for x in responses)


def _overlaps(first: list[Segment], second: list[Segment]) -> list[Segment]:
    found: list[Segment] = []
    i = j = 0
    while i < len(first) and j < len(second):
        start_sec = max(first[i].start_sec, second[j].start_sec)
        end_sec = min(first[i].end_sec, second[j].end_sec)
        if end_sec > start_sec:
            found.append(Segment(start_sec, end_sec))
        if first[i].end_sec < second[j].end_sec:
            i += 1
        else:
            j += 1
    return found


def _responses(caller: list[Segment], assistant: list[Segment]) -> list[Segment]:
    """From the end of the caller's speech to the assistant's next start, when neither spoke in between.

    An assistant that was already speaking when the caller ended was talked over, not asked.
    """
    found: list[Segment] = []
    assistant_end_sec = 0.0
    for answer in assistant:
        before = [x for x in caller if x.start_sec < answer.start_sec]
        if before and assistant_end_sec <= before[-1].end_sec <= answer.start_sec:
            found.append(Segment(before[-1].end_sec, answer.start_sec))
        assistant_end_sec = answer.end_sec
    return found


def _silences(segments: list[Segment], duration_sec: float) -> list[Segment]:
    found: list[Segment] = []
    quiet_from_sec = 0.0
    for segment in sorted(segments, key=lambda x: x.start_sec):
        if segment.start_sec > quiet_from_sec:
            found.append(Segment(quiet_from_sec, segment.start_sec))
        quiet_from_sec = max(quiet_from_sec, segment.end_sec)
    if duration_sec > quiet_from_sec:
        found.append(Segment(quiet_from_sec, duration_sec))
    return found


def _rect(kind: str, segment: Segment, y: int, height: int, duration_sec: float) -> str:
    x, width = _percent(segment.start_sec, duration_sec), _percent(_length_sec(segment), duration_sec)
    return f'<rect class="{kind}" x="{x}" width="{width}" y="{y}" height="{height}" rx="3"/>'


def _line(kind: str, segment: Segment, y: int, duration_sec: float) -> str:
    x1, x2 = _percent(segment.start_sec, duration_sec), _percent(segment.end_sec, duration_sec)
    return f'<line class="{kind}" x1="{x1}" x2="{x2}" y1="{y}" y2="{y}"/>'


def _text(x: str, y: int, anchor: str, kind: str, words: str) -> str:
    return f'<text class="{kind}" x="{x}" y="{y}" text-anchor="{anchor}">{escape(words)}</text>'


def _percent(sec: float, duration_sec: float) -> str:
    return f"{100 * min(sec / duration_sec, 1.0):.3f}%"


def _length_sec(segment: Segment) -> float:
    return segment.end_sec - segment.start_sec


def _total_sec(segments: tuple[Segment, ...]) -> float:
    return sum(_length_sec(x) for x in segments)


def _seconds(sec: float) -> str:
    return f"{clock(sec)} min" if sec >= 60 else f"{sec:.1f} s"


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"
