"""The HTML of everything the page says: status, transcript, result, history, messages.

Pure functions from plain values to strings; whatever a person or a model wrote is escaped here. The looks
are in page.css. What must be announced to screen readers is marked ``data-announce`` and read out by
page.js through one live region that stays in the page, since Gradio replaces all of this at every update.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from html import escape
from urllib.parse import quote

from personaplex_ui.calls.snapshot import CallStats, EndedCall, Phase, Snapshot
from personaplex_ui.calls.transcript import Utterance
from personaplex_ui.ui.timeline import clock, timeline_svg

_REMAINING_SHOWN_SEC = 60
_METER_FLOOR_DBFS = -60.0

_TRANSCRIPT_FORMATS = (("txt", "Text"), ("srt", "Subtitles"), ("json", "JSON"))


def status_html(snapshot: Snapshot | None) -> str:
    """The state of the call in words, its notes, and the levels while it is live."""
    if snapshot is None:
        return _status("ready", "Ready.", " Press the button and speak.", (), "")
    match snapshot.phase:
        case Phase.WAITING:
            place = f"Waiting: place {max(1, snapshot.place)} of {max(snapshot.place, snapshot.waiting, 1)}"
            return _status("waiting", place, "", snapshot.notes, "")
        case Phase.PREPARING:
            percent = round(100 * min(1.0, max(0.0, snapshot.preparing_progress)))
            bar = f'<div class="pp-bar" aria-hidden="true"><span style="--pp-level:{percent}%"></span></div>'
            words = "Preparing the voice and role…"
            return _status("preparing", words, f" {percent} %", snapshot.notes, bar)
        case Phase.LIVE:
            ticking = f' <span class="pp-clock">{clock(snapshot.elapsed_sec)}</span>{_remaining(snapshot)}'
            meters = _meter("You", "caller", snapshot.caller_level_dbfs)
            meters += _meter("Assistant", "assistant", snapshot.assistant_level_dbfs)
            meters = f'<div class="pp-meters" aria-hidden="true">{meters}</div>'
            return _status("live", "Live", ticking, snapshot.notes, meters)
        case Phase.ENDED:
            words = f"Ended: {snapshot.reason}" if snapshot.reason else "Ended."
            return _status("ended", words, "", snapshot.notes, "")


def transcript_html(lines: Sequence[Utterance], live: bool) -> str:
    """What the assistant said. It is not announced: a screen reader would talk over the voice itself."""
    if lines:
        body = "".join(
            f'<p class="pp-line"><span class="pp-line-time">{clock(line.start_sec)}</span> '
            f"{_text(line.text)}</p>"
            for line in lines
        )
    elif live:
        body = '<p class="pp-empty">Nothing said yet. What the assistant says appears here.</p>'
    else:
        body = '<p class="pp-empty">What the assistant says appears here during a call.</p>'
    return (
        '<div class="pp-transcript pp-scrolls" role="log" aria-live="off"'
        f' aria-label="What the assistant says" tabindex="0">{body}</div>'
    )


def result_html(call: EndedCall) -> str:
    """The ended call: player, downloads, timeline."""
    voice = f" · voice {_text(call.voice)}" if call.voice else ""
    about = f"{_when(call.started_at)} · {clock(call.duration_sec)}{voice}"
    reason = f'<p class="pp-reason">{_text(call.reason)}</p>' if call.reason else ""
    if call.recorded:
        player = (
            '<figure class="pp-player">'
            "<figcaption>Recording: left is you, right is the assistant.</figcaption>"
            f'<audio controls preload="metadata" src="{_address(call, "recording.wav")}"'
            ' aria-label="Recording of the call: left is you, right is the assistant"></audio></figure>'
        )
    else:
        player = '<p class="pp-empty">There is no recording of this call.</p>'
    return (
        f'<section class="pp-result" aria-label="Your last call"><h2>Your last call</h2>'
        f'<p class="pp-about">{about}</p>{reason}{_notes(call.notes)}{_lost_packets(call.figures)}{player}'
        f'<p class="pp-downloads">Download: {_downloads(call)}</p>{timeline_svg(call)}</section>'
    )


def _lost_packets(figures: CallStats) -> str:
    if not figures.lost_packets:
        return ""
    packets = "1 packet" if figures.lost_packets == 1 else f"{figures.lost_packets:,} packets"
    return (
        f'<p class="pp-about">Your connection lost {packets} of what you said; '
        f"{figures.concealed_packets:,} were concealed.</p>"
    )


def history_html(calls: Sequence[EndedCall]) -> str:
    """This browser's earlier calls, as a table. The roles keep it one where CSS lays it out as a list."""
    if not calls:
        return '<p class="pp-empty">No calls yet. Your calls of this visit are listed here.</p>'
    heads = "".join(
        f'<th scope="col" role="columnheader">{name}</th>' for name in ("Time", "Length", "Voice", "Files")
    )
    rows = "".join(
        '<tr role="row">'
        f'<td role="cell">{_when(call.started_at)}</td>'
        f'<td role="cell">{clock(call.duration_sec)}</td>'
        f'<td role="cell">{_text(call.voice)}</td>'
        f'<td role="cell" class="pp-downloads">{_downloads(call)}</td></tr>'
        for call in calls
    )
    return (
        '<table class="pp-history" role="table"><caption>Your earlier calls</caption>'
        f'<thead role="rowgroup"><tr role="row">{heads}</tr></thead>'
        f'<tbody role="rowgroup">{rows}</tbody></table>'
    )


def engine_html(state: str, model_name: str, message: str = "", progress: float = 0.0) -> str:
    """What answers the calls. ``state``: ``echo``, ``loading``, ``ready`` or ``failed``."""
    name = _text(model_name)
    match state:
        case "echo":
            failure = f"<p>PersonaPlex could not be loaded. {_text(message)}</p>" if message else ""
            return (
                f'<div class="pp-engine pp-engine-echo">{failure}'
                "<p><strong>This is the echo engine:</strong> it repeats what you say in the chosen voice's "
                "pitch; it does not understand you.</p>"
                "<details><summary>To talk with PersonaPlex you need a GPU with 24 GB and access to the "
                "weights</summary><ol>"
                "<li>Accept the licence of "
                '<a href="https://huggingface.co/nvidia/personaplex-7b-v1" target="_blank" rel="noopener">'
                "nvidia/personaplex-7b-v1</a> on Hugging Face.</li>"
                "<li>Set <code>HF_TOKEN</code> to a token of that account.</li>"
                "<li>Run this app on an NVIDIA L4 or larger with <code>ENGINE=personaplex</code>.</li>"
                "</ol></details></div>"
            )
        case "loading":
            percent = _percent(progress)
            said = _text(message) or f"Loading {name}…"
            return (
                f'<div class="pp-engine pp-engine-loading" data-announce="{said}">'
                f"<p><strong>{said}</strong> {percent} %</p>{_bar(percent)}"
                "<p>You can choose a voice and a role meanwhile.</p></div>"
            )
        case "failed":
            said = _text(message) or f"{name} could not be loaded."
            return (
                f'<div class="pp-engine pp-engine-failed" data-announce="{said}"><p>'
                f"<strong>Calls cannot be taken.</strong> {said}</p></div>"
            )
        case _:
            note = f" {_text(message)}" if message else ""
            return (
                f'<div class="pp-engine pp-engine-ready" data-announce="{name} is ready.">'
                f"<p>{name} is ready.{note}</p></div>"
            )


def field_message_html(sentence: str, good: bool = False) -> str:
    """A message beside a field; the element stays when there is none. ``good``: it is no complaint."""
    role = f' role="{"status" if good else "alert"}"' if sentence else ""
    look = " pp-good" if good else ""
    return f'<p class="pp-field-message{look}"{role}>{_text(sentence)}</p>'


def prompt_counter_html(used: int, limit: int, unit: str = "characters") -> str:
    over = " pp-over" if used > limit else ""
    words = f"{used:,} of {limit:,} {unit}" + (f": {used - limit:,} too many" if over else "")
    return f'<p class="pp-counter{over}">{words}</p>'


def preview_html(src: str, label: str) -> str:
    """A voice to listen to; it plays at once, since it was asked for."""
    return (
        f'<audio class="pp-preview" controls autoplay src="{_text(src)}" aria-label="{_text(label)}"></audio>'
    )


def _status(kind: str, words: str, ticking: str, notes: Sequence[str], below: str) -> str:
    """``words`` are announced when they change, ``ticking`` (HTML) never."""
    announced = _text(" ".join([words if words.endswith((".", "…")) else f"{words}.", *notes]))
    return (
        f'<div class="pp-status pp-status-{kind}" data-announce="{announced}">'
        f'<p class="pp-state"><span class="pp-dot" aria-hidden="true"></span><strong>{_text(words)}</strong>'
        f"{ticking}</p>{_notes(notes)}{below}</div>"
    )


def _remaining(snapshot: Snapshot) -> str:
    left_sec = snapshot.max_sec - snapshot.elapsed_sec
    if snapshot.max_sec <= 0 or left_sec >= _REMAINING_SHOWN_SEC:
        return ""
    return f' <span class="pp-remaining">{max(0, round(left_sec))} s left</span>'


def _meter(name: str, kind: str, level_dbfs: float) -> str:
    bar = _bar(_percent(1 - level_dbfs / _METER_FLOOR_DBFS))
    return f'<div class="pp-meter pp-meter-{kind}"><span>{name}</span>{bar}</div>'


def _bar(percent: int) -> str:
    return f'<div class="pp-bar" aria-hidden="true"><span style="--pp-level:{percent}%"></span></div>'


def _percent(share: float) -> int:
    return round(100 * min(1.0, max(0.0, share)))


def _notes(notes: Sequence[str]) -> str:
    return "".join(f'<p class="pp-note">{_text(note)}</p>' for note in notes)


def _downloads(call: EndedCall) -> str:
    links: list[str] = []
    if call.recorded:
        links.append(f'<a href="{_address(call, "recording.wav")}?download=1" download>Recording</a>')
    links += [
        f'<a href="{_address(call, "transcript." + kind)}" download aria-label="{name} of the transcript">'
        f"{name}</a>"
        for kind, name in _TRANSCRIPT_FORMATS
    ]
    return " ".join(links)


def _address(call: EndedCall, file: str) -> str:
    return _text(f"calls/{quote(call.call_id, safe='')}/{file}")


def _when(epoch_sec: float) -> str:
    """UTC, which page.js turns into the reader's own time."""
    at = datetime.fromtimestamp(epoch_sec, UTC)
    return f'<time datetime="{at:%Y-%m-%dT%H:%M:%SZ}">{at:%Y-%m-%d %H:%M} UTC</time>'


def _text(words: str) -> str:
    return escape(words, quote=True)
