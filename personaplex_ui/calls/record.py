"""An ended call as plain values for its owner's page: its lines, turns, figures, report and files.

Pure; the time it takes grows with the call's length (10 ms for ten minutes).
"""

from collections.abc import Iterable
from typing import Any

from personaplex_ui.audio.frames import FRAME_SEC
from personaplex_ui.calls.conversation import Conversation
from personaplex_ui.calls.conversation_lines import Line, Who
from personaplex_ui.calls.figures import figures_of
from personaplex_ui.calls.snapshot import EndedCall
from personaplex_ui.calls.transcript import Utterance

TITLE_CHARACTERS = 60
LONGEST_FACE_SEC = 1_800.0
"""Of a longer call there is no video."""


def summary_of(call: EndedCall) -> dict[str, Any]:
    """A call in a list of calls. ``title``: the first words that the assistant said, if it said any."""
    summary: dict[str, Any] = {
        "call_id": call.call_id,
        "started_at": call.started_at,
        "duration_sec": round(call.duration_sec, 2),
        "voice": call.voice,
        "recorded": call.recorded,
    }
    return summary | ({"title": _shortened(call.utterances[0].text)} if call.utterances else {})


def record_of(
    call: EndedCall, recorded: bool, keep_until: float, report: dict[str, Any] | None = None
) -> dict[str, Any]:
    """All of a call. ``recorded``: its recording is there. ``keep_until``: as ``time.time``. ``report``: the
    duplex report of the recording, as ``DuplexReport.record``, if it is there."""
    figures = figures_of(call, report)
    folder = f"calls/{call.call_id}"
    return {
        "call_id": call.call_id,
        "started_at": call.started_at,
        "duration_sec": round(call.duration_sec, 2),
        "voice": call.voice,
        "text_prompt": call.text_prompt,
        "reason": call.reason,
        "notes": list(call.notes),
        "recorded": recorded,
        "keep_until": keep_until,
        "lines": [line.record() for line in lines_of(call)],
        "turns": {
            "caller": figures.caller,
            "assistant": figures.assistant,
            "overlaps": figures.overlaps,
        },
        "figures": {
            "answer_sec": None if figures.answer_sec is None else round(figures.answer_sec, 2),
            "caller_share": None if figures.caller_share is None else round(figures.caller_share, 3),
            "interruptions": figures.interruptions,
        },
        "report": report,
        "files": {
            "recording": f"{folder}/recording.wav" if recorded else None,
            "report": f"{folder}/report.json" if recorded else None,
            "face": f"{folder}/face.mp4" if recorded and call.duration_sec <= LONGEST_FACE_SEC else None,
            **{kind: f"{folder}/transcript.{kind}" for kind in ("txt", "srt", "vtt", "json")},
        },
    }


def lines_of(call: EndedCall) -> tuple[Line, ...]:
    """The lines of both sides, in the order of time; those of a call that an earlier version kept, from its
    levels and words."""
    if call.lines:
        return tuple(sorted(call.lines, key=lambda line: line.start_sec))
    conversation = Conversation()
    waiting = list(reversed(call.utterances))
    for frame in range(max(len(call.caller_levels_dbfs), len(call.assistant_levels_dbfs))):
        now = frame * FRAME_SEC
        while waiting and waiting[-1].start_sec <= now:
            _say(conversation, waiting.pop())
        for levels, hear in (
            (call.assistant_levels_dbfs, conversation.hear_assistant),
            (call.caller_levels_dbfs, conversation.hear_caller),
        ):
            if frame < len(levels):
                hear(now, levels[frame])
    for said in reversed(waiting):
        _say(conversation, said)
    conversation.finish()
    return conversation.lines


def spoken(utterances: Iterable[Utterance], lines: Iterable[Line]) -> tuple[Utterance, ...]:
    """What both sides said in words, in the order of time: ``utterances`` of the assistant, and the caller's
    ``lines`` that have any."""
    heard = [
        Utterance(line.start_sec, line.end_sec, line.text, line.who.value)
        for line in lines
        if line.who is Who.CALLER and line.text
    ]
    return tuple(sorted([*utterances, *heard], key=lambda each: each.start_sec))


def readable(call: EndedCall) -> tuple[Utterance, ...]:
    """The lines of both sides for people to read, in the order of time: what both said, to its "—" where the
    assistant was cut off; how long the caller spoke, where there are no words; and what the caller typed."""
    return tuple(
        Utterance(line.start_sec, line.end_sec, _words(line), line.who.value) for line in lines_of(call)
    )


def _words(line: Line) -> str:
    if not line.text:
        return f"({line.end_sec - line.start_sec:.1f} s of speech)"
    return f"{line.text} —" if line.cut else line.text


def _say(conversation: Conversation, said: Utterance) -> None:
    conversation.transcript.end_utterance()
    conversation.say(f" {said.text}", said.start_sec, said.end_sec)


def _shortened(text: str) -> str:
    if len(text) <= TITLE_CHARACTERS:
        return text
    words, _, _ = text[:TITLE_CHARACTERS].rpartition(" ")
    return f"{words or text[: TITLE_CHARACTERS - 1]}…"
