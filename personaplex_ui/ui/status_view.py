"""The HTML of the status view: how the server does, for whoever is curious or has to know.

A pure function from ``ServerStats`` to a string. It tells how many calls there are and nothing else of
them. The looks are in page.css; nothing is announced, since it changes all the time.
"""

from collections.abc import Mapping
from html import escape
from typing import TypeVar

from personaplex_ui.audio.frames import FRAME_SEC
from personaplex_ui.calls.snapshot import End, Transport
from personaplex_ui.engine.engine import EngineState
from personaplex_ui.web.server_stats import ServerStats

Kind = TypeVar("Kind")

_STATES = {
    EngineState.LOADING: "Loading the model",
    EngineState.READY: "Ready",
    EngineState.DEGRADED: "In trouble: calls cannot be taken",
    EngineState.FAILED: "Failed: calls cannot be taken",
    EngineState.DRAINING: "Shutting down",
}
_TRANSPORTS = {
    Transport.BROWSER: "in the browser",
    Transport.CLIP: "from sound files",
    Transport.MOSHI: "from Moshi clients",
    Transport.TWILIO: "on the phone",
    Transport.FASTRTC_PHONE: "on FastRTC's phone number",
}
_ENDS = {
    End.HUNG_UP: "hung up",
    End.TIME_LIMIT: "reached the time limit",
    End.LOST: "lost the connection",
    End.REFUSED: "refused",
    End.FAILED: "failed",
    End.SHUTDOWN: "ended by a shutdown",
}
_KEEPS_UP_TO = 0.75
"""Of the 80 ms. Between this and all of them there is no room left for jitter."""


def status_view_html(figures: ServerStats) -> str:
    """A table, one figure a row."""
    message = f": {figures.message}" if figures.message and figures.state is not EngineState.READY else ""
    taken = figures.lines - figures.lines_free
    rows = (
        ("Engine", _text(_STATES[figures.state] + message)),
        ("Model", _text(f"{figures.model} on {figures.device}" if figures.model else "None is loaded yet")),
        ("Lines", f"{figures.lines_free} of {figures.lines} free, {taken} taken"),
        ("Waiting for a line", f"{figures.waiting or 'Nobody'}"),
        ("Live calls", _counted(figures.live, _TRANSPORTS)),
        ("One step of the model", _step(figures)),
        ("Real-time factor", _real_time_factor(figures.real_time_factor)),
        ("Lost sound", _lost(figures)),
        ("Callers' packets", _packets(figures)),
        ("Calls since the start", _counted(figures.ended, _ENDS)),
        ("Running for", _in_words(figures.uptime_sec)),
    )
    body = "".join(f'<tr><th scope="row">{name}</th><td>{value}</td></tr>' for name, value in rows)
    return f'<table class="pp-server"><caption>How the server does</caption><tbody>{body}</tbody></table>'


def _step(figures: ServerStats) -> str:
    mean_sec, p95_sec = figures.tick_mean_sec, figures.tick_p95_sec
    if mean_sec is None or p95_sec is None:
        return "None was made yet"
    if p95_sec <= _KEEPS_UP_TO * FRAME_SEC:
        kind, verdict = "good", "It keeps up."
    elif p95_sec <= FRAME_SEC:
        kind, verdict = "close", "It just keeps up."
    else:
        kind, verdict = "late", "It is too slow: callers hear gaps."
    percent = round(100 * min(1.0, max(0.0, p95_sec / FRAME_SEC)))
    return (
        f"<p>{_ms(mean_sec)} on average, 95 of 100 within {_ms(p95_sec)}, of the {_ms(FRAME_SEC)} there are. "
        f"<strong>{verdict}</strong></p>"
        f'<div class="pp-bar pp-server-{kind}" aria-hidden="true">'
        f'<span style="--pp-level:{percent}%"></span></div>'
    )


def _real_time_factor(factor: float | None) -> str:
    if factor is None:
        return "Not known yet"
    return (
        f"{factor:.2f}: {'under 1, as it should be' if factor < 1 else 'not under 1, so callers hear gaps'}"
    )


def _lost(figures: ServerStats) -> str:
    heard_sec, said_sec = figures.dropped_heard * FRAME_SEC, figures.dropped_said * FRAME_SEC
    if not (heard_sec or said_sec):
        return "None"
    return f"{heard_sec:,.1f} s of callers, {said_sec:,.1f} s of the assistant"


def _packets(figures: ServerStats) -> str:
    if not (figures.lost_packets or figures.concealed_packets):
        return "None lost"
    return (
        f"{figures.lost_packets:,} lost, {figures.late_packets:,} of them late; "
        f"{figures.concealed_packets:,} concealed"
    )


def _counted(calls: Mapping[Kind, int], words: Mapping[Kind, str]) -> str:
    """``3: 2 in the browser, 1 on the phone``."""
    parts = [f"{calls[kind]:,} {said}" for kind, said in words.items() if calls.get(kind)]
    return f"{sum(calls.values()):,}: {', '.join(parts)}" if parts else "None"


def _ms(sec: float) -> str:
    return f"{sec * 1000:.1f} ms" if sec < 0.00995 else f"{sec * 1000:,.0f} ms"


def _in_words(sec: float) -> str:
    """The two largest units: ``3 days 4 hours``, ``5 min 2 s``."""
    minutes, seconds = divmod(int(max(0.0, sec)), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{days} day{'s' if days > 1 else ''} {hours} h"
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {seconds} s" if minutes else f"{seconds} s"


def _text(words: str) -> str:
    return escape(words, quote=True)
