"""A duplex report as text for a terminal. Pure."""

from collections.abc import Sequence

from personaplex_ui.audio.levels import Segment
from personaplex_ui.duplex.report import DuplexReport, Echo, length_sec, quantile, total_sec

NOBODY = "nobody spoke"


def as_text(name: str, report: DuplexReport) -> str:
    """One line for each figure, under the recording's name and length."""
    turns = report.turns
    dead = turns.dead_air
    longest = max((length_sec(each) for each in dead), default=0.0)
    ignored = f"; in {len(turns.ignored)} more it did not give way" if turns.ignored else ""
    rows = [
        ("Response gap", _lengths(turns.responses, "answer")),
        ("Stop latency", _lengths(turns.stops, "interruption") + ignored),
        ("Overlaps", _counted(turns.overlaps)),
        ("Dead air over 2 s", _counted(dead) + (f", the longest {longest:.2f} s" if dead else "")),
        ("Pause take-overs", f"{len(turns.take_overs)}"),
        ("Talk-overs", f"{len(turns.talk_overs)}"),
        ("Backchannels", f"{len(turns.backchannels)}"),
        ("Talk share", _share(report)),
        ("Self-echo", _echoes(report)),
    ]
    minutes, seconds = divmod(round(report.duration_sec), 60)
    lines = [f"{name} ({minutes}:{seconds:02})", *(f"  {label:<18} {value}" for label, value in rows)]
    return "\n".join(lines)


def _lengths(segments: Sequence[Segment], noun: str) -> str:
    median, most = quantile(segments, 0.5), quantile(segments, 0.9)
    if median is None or most is None:
        return f"no {noun}"
    of = f"1 {noun}" if len(segments) == 1 else f"{len(segments)} {noun}s"
    return f"median {median:.2f} s, 90th percentile {most:.2f} s, of {of}"


def _counted(segments: Sequence[Segment]) -> str:
    return f"{len(segments)}, {total_sec(segments):.2f} s in all" if segments else "none"


def _share(report: DuplexReport) -> str:
    share = report.turns.caller_share
    if share is None:
        return NOBODY
    caller, assistant = total_sec(report.turns.caller), total_sec(report.turns.assistant)
    return f"caller {share:.0%} ({caller:.1f} s), assistant {1 - share:.0%} ({assistant:.1f} s)"


def _echoes(report: DuplexReport) -> str:
    told = [
        _echo("the assistant in the caller's channel", report.assistant_echo),
        _echo("the caller in the assistant's channel", report.caller_echo),
    ]
    return "; ".join(each for each in told if each) or "none"


def _echo(whose: str, echo: Echo | None) -> str:
    return "" if echo is None else f"{whose}: {echo.level_db:.1f} dB, {1000 * echo.lag_sec:.0f} ms later"
