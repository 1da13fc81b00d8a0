"""When somebody speaks, to 10 ms, from the loudness of their channel over the whole recording.

It knows what a live call cannot: what comes later. Sound counts as speech that stands out of the noise around
it, changes as speech does, and is not the other side's echo. Pure.
"""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from personaplex_ui.audio.levels import SPEECH_DBFS, Segment
from personaplex_ui.duplex.band_levels import STEP_SEC, Levels

OVER_NOISE_DB = 10.0
"""Speech stands out so much somewhere in each of its sounds."""

EDGE_OVER_NOISE_DB = 5.0
"""Its first and last sounds are fainter. White noise varies by 1 dB."""

EDGE_DBFS = -55.0
"""The faintest sound that may be the edge of speech; its louder parts reach ``SPEECH_DBFS``."""

QUIET_ROOM_DBFS = -70.0
"""No room is more silent; what a noise suppressor sends between words is."""

NOTHING_DBFS = -95.0
"""Not even a microphone."""

NOISE_WITHIN_STEPS = 1_200
"""12 s: nobody speaks for so long without a gap, so noise shows in so much sound before or after."""

CHUNK_STEPS = 100
"""1 s: of each, the quietest tenth may be noise."""

SHORT_FILE_STEPS = 300
"""3 s: the quietest tenth of a shorter file may be speech."""

SHORT_FILE_NOISE_DBFS = -55.0

LOUD_STEPS = 3
"""30 ms: a sound of speech is not shorter."""

EDGE_STEPS = 20
"""0.2 s: faint sound further from a louder one is noise."""

CLICK_STEPS = 6
"""60 ms: a shorter sound is a click, unless there is speech beside it."""

BESIDE_STEPS = 15
"""0.15 s: the burst of a final "t" is nearer to its word."""

GAP_STEPS = 20
"""0.2 s: a shorter silence is within the speech (the inter-pausal unit of the literature)."""

SHORTEST_STEPS = 10
"""0.1 s: anything shorter says nothing."""

STEADY_STEPS, STEADY_HOP = 300, 10
STEADY_DB = 1.5
"""Sound that keeps its loudness so exactly for 3 s is a tone or a hum."""

CLIPPED_DBFS = -9.0
"""A voice that is far too loud for its microphone is as steady, too, but at full scale."""

Steps = npt.NDArray[np.bool_]


def speech_in(levels: Levels, above: Levels | None = None) -> tuple[Segment, ...]:
    """Stretches of speech in seconds, at least 0.2 s apart. ``above``: speech is louder than that, too."""
    if len(levels) == 0:
        return ()
    noise = noise_floor(levels)
    loud_from = np.maximum(SPEECH_DBFS, noise + OVER_NOISE_DB)
    edge_from = np.maximum(EDGE_DBFS, noise + EDGE_OVER_NOISE_DB)
    if above is not None:
        loud_from, edge_from = np.maximum(loud_from, above), np.maximum(edge_from, above)
    varied = ~_steady(levels)
    loud = _without_short((levels >= loud_from) & varied, LOUD_STEPS)
    faint = (levels >= edge_from) & varied
    spoken = _with_bursts(_without_short(_around(faint, loud), CLICK_STEPS), faint)
    runs = list(_joined(_runs(spoken), GAP_STEPS))
    return tuple(
        Segment(start * STEP_SEC, end * STEP_SEC) for start, end in runs if end - start >= SHORTEST_STEPS
    )


def noise_floor(levels: Levels) -> Levels:
    """The loudness of the noise at each step: of the quietest sound within 12 s before, or after if that is
    louder, so that a fan that starts is noise at once."""
    heard = np.flatnonzero(levels > NOTHING_DBFS)
    first = int(heard[0]) if len(heard) else 0  # before the microphone was open there was no room
    if len(levels) - first < SHORT_FILE_STEPS:
        quietest = float(np.quantile(levels[first:], 0.1))
        noise_dbfs = min(max(quietest, QUIET_ROOM_DBFS), SHORT_FILE_NOISE_DBFS)
        return np.full(len(levels), noise_dbfs, dtype=np.float32)
    chunks = _quietest_of_chunks(levels[first:])
    width = NOISE_WITHIN_STEPS // CHUNK_STEPS
    before = np.array([chunks[max(0, i - width) : i + 1].min() for i in range(len(chunks))])
    after = np.array([chunks[i : i + width + 1].min() for i in range(len(chunks))])
    # At its begin and end a recording may be nothing but speech.
    before[:width] = np.minimum(before[:width], after[:width])
    after[-width:] = np.minimum(after[-width:], before[-width:])
    noise = np.repeat(np.maximum(before, after), CHUNK_STEPS)
    return np.pad(noise, (first, len(levels) - first - len(noise)), mode="edge").astype(np.float32)


def _quietest_of_chunks(levels: Levels) -> Levels:
    whole = len(levels) // CHUNK_STEPS * CHUNK_STEPS
    chunks = np.quantile(levels[:whole].reshape(-1, CHUNK_STEPS), 0.1, axis=1)
    return np.maximum(chunks, QUIET_ROOM_DBFS).astype(np.float32)


def _steady(levels: Levels) -> Steps:
    """The steps of sound that keeps its loudness for long."""
    steady = np.zeros(len(levels), dtype=np.bool_)
    parts = len(levels) // STEADY_HOP
    width = STEADY_STEPS // STEADY_HOP
    if parts < width:
        return steady
    of_part = levels[: parts * STEADY_HOP].reshape(parts, STEADY_HOP)
    loudest = np.lib.stride_tricks.sliding_window_view(of_part.max(axis=1), width).max(axis=1)
    quietest = np.lib.stride_tricks.sliding_window_view(of_part.min(axis=1), width).min(axis=1)
    for start in np.flatnonzero(loudest - quietest <= 2 * STEADY_DB).tolist():
        steady[start * STEADY_HOP : start * STEADY_HOP + STEADY_STEPS] = True
    return steady & (levels < CLIPPED_DBFS)


def _around(faint: Steps, loud: Steps) -> Steps:
    """The ``faint`` steps that are connected with a loud one and at most 0.2 s away from one."""
    kept = np.zeros(len(faint), dtype=np.bool_)
    for start, end in _runs(faint & _near(loud, EDGE_STEPS)):
        kept[start:end] = loud[start:end].any()
    return kept


def _with_bursts(spoken: Steps, faint: Steps) -> Steps:
    """``spoken`` and the faint sounds next to it: an "s" before a "t", the burst of a final "k"."""
    return spoken | (faint & _near(spoken, BESIDE_STEPS))


def _near(steps: Steps, most: int) -> Steps:
    """The steps at most so far from one of ``steps``."""
    near = np.zeros(len(steps), dtype=np.bool_)
    for start, end in _runs(steps):
        near[max(0, start - most) : end + most] = True
    return near


def _without_short(steps: Steps, shortest: int) -> Steps:
    kept = np.zeros(len(steps), dtype=np.bool_)
    for start, end in _runs(steps):
        if end - start >= shortest:
            kept[start:end] = True
    return kept


def _runs(steps: Steps) -> Iterator[tuple[int, int]]:
    """From the first to before the last step of each run."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], steps, [False]]).astype(np.int8)))
    yield from zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True)


def _joined(runs: Iterator[tuple[int, int]], gap: int) -> Iterator[tuple[int, int]]:
    """Runs that are less than ``gap`` apart as one."""
    current: tuple[int, int] | None = None
    for start, end in runs:
        if current is not None and start - current[1] < gap:
            current = (current[0], end)
        else:
            if current is not None:
                yield current
            current = (start, end)
    if current is not None:
        yield current
