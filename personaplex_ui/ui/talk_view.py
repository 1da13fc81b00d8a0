"""The HTML of the talk tab: the engine, the current and ended call, earlier calls, field messages."""

from collections.abc import Sequence

from personaplex_ui.calls.snapshot import EndedCall, Phase, Snapshot
from personaplex_ui.calls.transcript import Utterance
from personaplex_ui.ui.rendering import percent, render
from personaplex_ui.ui.timeline import timeline_of

_REMAINING_SHOWN_SEC = 60
_METER_FLOOR_DBFS = -60.0


def status_html(call: Snapshot | None) -> str:
    """The state of the call in words, its notes, and the levels while it is live."""
    words = _state_in_words(call)
    sentence = words if words.endswith((".", "…")) else f"{words}."
    return render(
        "call_status",
        call=call,
        kind=call.phase.value if call else "ready",
        words=words,
        announced=" ".join([sentence, *(call.notes if call else ())]),
        remaining_sec=_remaining_sec(call) if call else None,
        caller_percent=_level_percent(call.caller_level_dbfs) if call else 0,
        assistant_percent=_level_percent(call.assistant_level_dbfs) if call else 0,
    )


def transcript_html(utterances: Sequence[Utterance], live: bool) -> str:
    """What the assistant said."""
    return render("transcript", utterances=utterances, live=live)


def result_html(call: EndedCall) -> str:
    """The ended call: player, downloads, timeline."""
    return render("call_result", call=call, timeline=timeline_of(call))


def history_html(calls: Sequence[EndedCall]) -> str:
    """The browser's earlier calls, as a table."""
    return render("call_history", calls=calls)


def engine_html(state: str, model_name: str, message: str = "", progress: float = 0.0) -> str:
    """The state of the engine. ``state``: ``echo``, ``loading``, ``ready`` or ``failed``; ``progress``: in
    [0, 1]."""
    return render("engine", state=state, model_name=model_name, message=message, progress=progress)


def field_message_html(sentence: str, good: bool = False) -> str:
    """A message beside a field. ``good``: it reports success, not an error."""
    return render("field_message", sentence=sentence, good=good)


def prompt_counter_html(used: int, limit: int, unit: str = "characters") -> str:
    return render("prompt_counter", used=used, limit=limit, unit=unit)


def preview_html(src: str, label: str) -> str:
    """A player for a voice. It starts at once, since the visitor asked for it."""
    return render("preview", src=src, label=label)


def _state_in_words(call: Snapshot | None) -> str:
    if call is None:
        return "Ready."
    match call.phase:
        case Phase.WAITING:
            return f"Waiting: place {max(1, call.place)} of {max(call.place, call.waiting, 1)}"
        case Phase.PREPARING:
            return "Preparing the voice and role…"
        case Phase.LIVE:
            return "Live"
        case Phase.ENDED:
            return f"Ended: {call.reason}" if call.reason else "Ended."


def _remaining_sec(call: Snapshot) -> int | None:
    left_sec = call.max_sec - call.elapsed_sec
    shown = call.max_sec > 0 and left_sec < _REMAINING_SHOWN_SEC
    return max(0, round(left_sec)) if shown else None


def _level_percent(level_dbfs: float) -> int:
    return percent(1 - level_dbfs / _METER_FLOOR_DBFS)
