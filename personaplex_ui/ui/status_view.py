"""The HTML of the status tab: the server at one moment, and the doctor's report.

The status shows only how many calls there are. It is not announced, since it changes all the time.
"""

from collections.abc import Mapping
from typing import TypeVar

from personaplex_ui.audio.frames import FRAME_SEC
from personaplex_ui.audio.sound_health import SoundFault
from personaplex_ui.calls.snapshot import End, Transport
from personaplex_ui.doctor.report import Report
from personaplex_ui.engine.engine import EngineState
from personaplex_ui.engine.reports import CapacityReport
from personaplex_ui.ui.rendering import percent, plural, render
from personaplex_ui.web.server_stats import ServerStats

Kind = TypeVar("Kind")

_STATES = {
    EngineState.LOADING: "Loading the model",
    EngineState.READY: "Ready",
    EngineState.DEGRADED: "Degraded: calls cannot be taken",
    EngineState.FAILED: "Failed: calls cannot be taken",
    EngineState.DRAINING: "Shutting down",
}
_TRANSPORTS = {
    Transport.BROWSER: "in the browser",
    Transport.BROWSER_WEBSOCKET: "in the browser without UDP",
    Transport.CLIP: "from sound files",
    Transport.MOSHI: "from Moshi clients",
    Transport.REALTIME: "from OpenAI Realtime clients",
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
    End.TRANSFERRED: "put through to a person",
}
_SOUND_FAULTS = {
    SoundFault.REPEATS: "repeated itself again and again",
    SoundFault.NOISE: "made noise",
    SoundFault.CLIPPED: "was clipped all the time",
    SoundFault.SILENT: "stayed silent although the caller spoke",
    SoundFault.BROKEN: "had samples that are no numbers",
}
_KEEPS_UP_TO = 0.75
"""Share of a frame's 80 ms. Above it, no room is left for jitter."""


def status_view_html(stats: ServerStats) -> str:
    """A table with one value per row."""
    message = f": {stats.message}" if stats.message else ""
    return render(
        "server_status",
        stats=stats,
        engine=_STATES[stats.state] + message,
        live=_counted(stats.live, _TRANSPORTS),
        ended=_counted(stats.ended, _ENDS),
        step=_step(stats.tick_mean_sec, stats.tick_p95_sec),
        measured=_measured(stats.capacity),
        uptime=_duration(stats.uptime_sec),
        sound=[f"{count:,} {said}" for count, said in _found(stats.sound_faults, _SOUND_FAULTS)],
        frame_sec=FRAME_SEC,
    )


def checks_html(report: Report) -> str:
    """The doctor's summary, which is announced, and a table with one check per row."""
    return render("checks", report=report)


def _step(mean_sec: float | None, p95_sec: float | None) -> Mapping[str, object] | None:
    if mean_sec is None or p95_sec is None:
        return None
    if p95_sec <= _KEEPS_UP_TO * FRAME_SEC:
        kind, verdict = "good", "It keeps up."
    elif p95_sec <= FRAME_SEC:
        kind, verdict = "close", "It barely keeps up."
    else:
        kind, verdict = "late", "It is too slow: callers hear gaps."
    times = {"mean": _ms(mean_sec), "p95": _ms(p95_sec), "frame": _ms(FRAME_SEC)}
    return {**times, "kind": kind, "verdict": verdict, "percent": percent(p95_sec / FRAME_SEC)}


def _measured(capacity: CapacityReport | None) -> str:
    """``38 ms with 1 caller, 52 ms with 4``."""
    if capacity is None:
        return ""
    times = [f"{_ms(ms / 1000)} with {callers:,}" for callers, ms in capacity.measured_ms.items()]
    return ", ".join(times)


def _found(calls: Mapping[Kind, int], words: Mapping[Kind, str]) -> list[tuple[int, str]]:
    """Those of ``words`` of which there are any, with their number of calls."""
    return [(calls[kind], said) for kind, said in words.items() if calls.get(kind)]


def _counted(calls: Mapping[Kind, int], words: Mapping[Kind, str]) -> str:
    """``3: 2 in the browser, 1 on the phone``."""
    parts = [f"{count:,} {said}" for count, said in _found(calls, words)]
    return f"{sum(calls.values()):,}: {', '.join(parts)}" if parts else "None"


def _ms(sec: float) -> str:
    return f"{sec * 1000:.1f} ms" if sec < 0.00995 else f"{sec * 1000:,.0f} ms"


def _duration(sec: float) -> str:
    """The two largest units: ``3 days 4 h``, ``5 min 2 s``."""
    minutes, seconds = divmod(int(max(0.0, sec)), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{plural(days, 'day')} {hours} h"
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {seconds} s" if minutes else f"{seconds} s"
