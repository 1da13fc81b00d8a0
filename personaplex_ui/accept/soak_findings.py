"""What a soak shows: ticks, frames, calls, personas, memory and drift (step e), and the sound (step f)."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from statistics import median

import numpy as np

from personaplex_ui.accept.report import NOT_RUN, OK, PROBLEM, WARNING, Finding, Verdict
from personaplex_ui.accept.soak_record import MemoryUse, SoakRecord
from personaplex_ui.accept.sound_health import Fault, Health, faults_of
from personaplex_ui.audio.frames import FRAME_SEC

LATE_SHARES = 0.0, 0.001
DROPPED_SHARES = 0.0, 0.0001
"""Good up to the first number, a problem above the second: one frame in 10,000 is one click in 13 minutes."""

DRIFTS_MS = 40.0, 80.0
PERSONAS_SEC = 5.0, 20.0
GROWTHS_MB = 50.0, 200.0
"""In the second half. Calls keep levels and transcripts (2 MB in five minutes for eight), and this test the
numbers of their sound (0.3 MB for each call)."""

SLOWER_SHARE = 0.85
"""Of the clock at the beginning: a card that has become so much slower throttles."""

HOT = "Cool it better, or raise its power limit: nvidia-smi -q -d PERFORMANCE,POWER,TEMPERATURE says which."

SHORTEST_FOR_MEMORY_SEC = 240.0
"""Before that a process is still growing to its size."""

FEWER = "Set MAX_CALLS to a lower number, QUANTIZE=int8 if it is off, or use a faster GPU."
LEAK = "Restart the server every day until this is understood, and report it with this report."
SHOWN_CALLS = 12


def soak_findings(record: SoakRecord) -> Iterator[Finding]:
    if record.load_failed:
        yield Finding("Soak", PROBLEM, "", record.load_failed, "See the loading of the model above.")
        return
    if not record.ticks:
        yield Finding("Soak", NOT_RUN, f"{record.seconds:.0f} s", "It was too short for a single answer.")
        return
    yield from (_on_ticks(record), _on_frames(record), _on_calls(record))
    yield from _on_personas(record)
    yield from (_on_drift(record), _on_memory(record))
    yield from _on_gpu(record)


def _graded(value: float, limits: tuple[float, float]) -> Verdict:
    good, bad = limits
    return OK if value <= good else WARNING if value <= bad else PROBLEM


def _on_ticks(record: SoakRecord) -> Finding:
    ms = 1_000 * np.array([tick.sec for tick in record.ticks])
    late = float(np.mean(ms > 1_000 * FRAME_SEC))
    p50, p95, p99, most = (float(value) for value in np.percentile(ms, (50, 95, 99, 100)))
    verdict = _graded(late, LATE_SHARES)
    sentence = (
        f"{len(ms):,} steps in {record.seconds / 60:.1f} minutes with up to {record.slots} callers: p50 "
        f"{p50:.1f} ms, p95 {p95:.1f} ms, p99 {p99:.1f} ms, the longest {most:.0f} ms; {late:.2%} took over "
        "80 ms."
    )
    data = {
        "steps": len(ms),
        "late_share": late,
        "p50_ms": p50,
        "p95_ms": p95,
        "p99_ms": p99,
        "longest_ms": most,
    }
    number = f"{late:.2%} late, p99 {p99:.1f} ms"
    return Finding("Late ticks", verdict, number, sentence, FEWER if verdict is not OK else "", data=data)


def _on_frames(record: SoakRecord) -> Finding:
    answers = sum(call.answers for call in record.calls)
    heard = sum(call.dropped_heard for call in record.calls)
    said = sum(call.dropped_said for call in record.calls)
    verdict = _graded((heard + said) / max(1, answers), DROPPED_SHARES)
    sentence = f"Of {answers:,} frames, {heard} were not heard by the model and {said} not by the caller."
    data = {"answers": answers, "dropped_heard": heard, "dropped_said": said}
    number = f"{heard + said} of {answers:,} dropped"
    return Finding("Dropped frames", verdict, number, sentence, FEWER if verdict is not OK else "", data=data)


def _on_calls(record: SoakRecord) -> Finding:
    failed = [call for call in record.calls if call.failed]
    sentence = f"{len(record.calls)} calls; the engine was restarted {record.restarts} times."
    data: dict[str, object] = {"restarts": record.restarts, "calls": [asdict(call) for call in record.calls]}
    if not failed and not record.restarts:
        return Finding("Calls", OK, f"{len(record.calls)} calls, none failed", sentence, data=data)
    why = f" {failed[0].name} ended with: {failed[0].failed}" if failed else ""
    step = "The log at the end of this report says more. Do not go live before it is understood."
    number = f"{len(failed)} of {len(record.calls)} calls failed"
    return Finding("Calls", PROBLEM, number, sentence + why, step, data=data)


def _on_personas(record: SoakRecord) -> Iterator[Finding]:
    times = [call.prepared_sec for call in record.calls if call.prepared_sec]
    if not times:
        return
    verdict = _graded(max(times), PERSONAS_SEC)
    sentence = (
        f"{len(times)} personas that nobody had before were prepared while others talked: "
        f"{median(times):.2f} s as a rule, {max(times):.2f} s at most. That is how long these callers waited "
        "for the first word."
    )
    number = f"{median(times):.2f} s, at most {max(times):.2f} s"
    data = {"median_sec": median(times), "longest_sec": max(times)}
    yield Finding("Personas", verdict, number, sentence, FEWER if verdict is not OK else "", data=data)


def _on_drift(record: SoakRecord) -> Finding:
    drifts = [(call.drift_ms, call) for call in record.calls if call.drift_ms is not None]
    if not drifts:
        return Finding("Drift", NOT_RUN, "", "No call lasted for four seconds.")
    worst, call = max(drifts, key=lambda pair: pair[0])
    gap = max(call.longest_gap_ms for call in record.calls)
    verdict = _graded(worst, DRIFTS_MS)
    sentence = (
        f"Answers of {call.name} came {worst:+.0f} ms later at its end than at its beginning, which is the "
        f"most of {len(drifts)} calls. The longest gap between two answers of any call was {gap:.0f} ms."
    )
    data = {"worst_ms": worst, "longest_gap_ms": gap}
    return Finding(
        "Drift", verdict, f"{worst:+.0f} ms", sentence, FEWER if verdict is not OK else "", data=data
    )


def _on_memory(record: SoakRecord) -> Finding:
    late = [use for use in record.memory if use.at_sec >= record.seconds / 2]
    if record.seconds < SHORTEST_FOR_MEMORY_SEC or len(late) < 2:
        sentence = "It takes four minutes to see whether memory grows. Use a longer --soak-minutes."
        return Finding("Memory growth", NOT_RUN, "", sentence)
    gpu = _growth([use.gpu_mb for use in late], late)
    host = _growth([use.host_mb for use in late], late)
    verdict = _graded(max(gpu, host), GROWTHS_MB)
    sentence = (
        f"In the second half the GPU's memory grew by {gpu:+.1f} MB to {late[-1].gpu_mb:,.0f}, this process "
        f"by {host:+.1f} MB to {late[-1].host_mb:,.0f}."
    )
    number = f"GPU {gpu:+.1f} MB, host {host:+.1f} MB"
    data = {"gpu_mb": gpu, "host_mb": host}
    return Finding("Memory growth", verdict, number, sentence, LEAK if verdict is not OK else "", data=data)


def _growth(values: Sequence[float], uses: Sequence[MemoryUse]) -> float:
    """Over the time of ``uses``, by least squares: single moments vary."""
    at_sec = np.array([use.at_sec for use in uses])
    past = at_sec - at_sec.mean()
    slope = float(np.dot(past, np.asarray(values)) / np.dot(past, past))
    return slope * float(at_sec[-1] - at_sec[0])


def _on_gpu(record: SoakRecord) -> Iterator[Finding]:
    if len(record.gpu) < 2:
        return
    # A fifth at each end: the clock changes from moment to moment.
    edge = max(1, len(record.gpu) // 5)
    first, last = (median(use.clock_mhz for use in part) for part in (record.gpu[:edge], record.gpu[-edge:]))
    hottest = max(use.celsius for use in record.gpu)
    watts = max(use.watts for use in record.gpu)
    sentence = (
        f"At most {hottest:.0f} degrees Celsius and {watts:.0f} W; its clock was {first:,.0f} MHz at the "
        f"beginning and {last:,.0f} MHz at the end."
    )
    verdict = OK if last >= SLOWER_SHARE * first else WARNING
    data = {"celsius": hottest, "watts": watts, "first_mhz": first, "last_mhz": last}
    number = f"{hottest:.0f} °C, {last / first:.0%} of its clock"
    yield Finding(
        "The GPU under load", verdict, number, sentence, HOT if verdict is not OK else "", data=data
    )


# Sound ----------------------------------------------------------------------------------------------------


def sound_finding(sound: Sequence[Health]) -> Finding:
    """Step f."""
    name = "Sound of what was said"
    if not sound:
        return Finding(name, NOT_RUN, "", "Nothing was said: the soak has not been run.")
    judged = sorted(((health, faults_of(health)) for health in sound), key=lambda pair: -_weight(pair[1]))
    faulty = [(health, faults) for health, faults in judged if faults]
    table = (HEADING, *(_row(health, faults) for health, faults in judged[:SHOWN_CALLS]))
    data = {"calls": [asdict(health) | {"faults": [f.words for f in faults]} for health, faults in judged]}
    number = f"{len(faulty)} of {len(sound)} doubtful"
    if not faulty:
        sentence = "Nothing is silent, clipped, stuck or noise. Whether it sounds good, only ears can tell."
        return Finding(name, OK, number, sentence, "", table, data)
    worst, faults = faulty[0]
    sentence = f"Of {worst.call}: {'; '.join(fault.words for fault in faults)}."
    step = "Listen: call, or answer a recording with personaplex-ui offline, with QUANTIZE=int8 and with off."
    return Finding(name, faults[0].verdict, number, sentence, step, table, data)


HEADING = (
    "call",
    "seconds",
    "spoken",
    "level dBFS",
    "clipped",
    "flatness",
    "repeated",
    "loop s",
    "what is wrong",
)


def _row(health: Health, faults: Sequence[Fault]) -> tuple[str, ...]:
    return (
        health.call,
        f"{health.seconds:.0f}",
        f"{health.spoken_share:.0%}",
        f"{health.level_dbfs:.1f}",
        f"{health.clipped_share:.2%}",
        f"{health.flatness:.3f}",
        str(health.repeated_frames),
        f"{health.loop_sec:.1f}",
        "; ".join(fault.words for fault in faults) or "nothing",
    )


def _weight(faults: Sequence[Fault]) -> int:
    return sum(100 if fault.verdict is PROBLEM else 1 for fault in faults)
