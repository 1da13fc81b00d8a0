"""Whether sound could be speech: not silent, not clipped, not stuck, not noise. Pure numbers, no model.

Nothing here hears whether words are said well; it finds what a broken model, codec or buffer does to sound.
The limits are explained where they stand; ordinary speech keeps far from all of them."""

from array import array
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from personaplex_ui.accept.report import OK, PROBLEM, WARNING, Verdict
from personaplex_ui.audio.frames import FRAME_SAMPLES, FRAME_SEC, SAMPLE_RATE_HZ, Frame
from personaplex_ui.audio.levels import QUIET_DBFS, SILENCE_DBFS, rms_dbfs

LOUD_DBFS = QUIET_DBFS
"""Frames at or above it count as said; below it nobody is speaking."""

SHORTEST_SEC = 10.0
"""A call shorter than this may be silent: the model may have been listening."""

SPOKEN_SHARE = 0.02
"""Of a call: with less, the assistant has hardly said a word."""

LOUDEST_DBFS, QUIETEST_DBFS = -10.0, -40.0
"""The level of what was said. The presets speak at some -24; at -10 speech clips, at -40 one must strain to
hear."""

FULL_SCALE = 0.99
CLIPPED_RUN_SAMPLES = 3
CLIPPED_SHARES = 0.001, 0.01
"""Of all samples said, in runs at full scale: audible now and then, and audible all the time."""

FLAT = 0.4
"""Median flatness, from 0 (a tone) to 0.56 (white noise, in a spectrum that is not smoothed). Speech has
0.001 to 0.05."""

TONAL = 1e-4
"""A hum or a whistle: voiced speech has some noise between its harmonics."""

LOWEST_HZ, HIGHEST_HZ = 100.0, 8_000.0
BANDS = 16

SAME_DB = 1.0
"""Two frames whose bands differ by no more on average are the same sound. Two frames of speech differ by 2.4
at least, and by 12 as a rule."""

LONGEST_PERIOD_FRAMES = 100
LOOP_SECS = 3.0, 8.0
"""No speaker repeats himself so exactly for so long: doubtful, and broken."""


@dataclass(frozen=True, slots=True)
class Health:
    """The sound of one ``call``, or of some minutes of it. Levels in dBFS of the loud frames. ``loop_sec``:
    the longest stretch that goes on repeating itself."""

    call: str
    seconds: float
    spoken_share: float
    level_dbfs: float
    clipped_share: float
    flatness: float
    repeated_frames: int
    loop_sec: float
    broken_frames: int


@dataclass(frozen=True, slots=True)
class Fault:
    verdict: Verdict
    words: str


class Listener:
    """Listens frame by frame and keeps 76 bytes of each, not its sound."""

    def __init__(self) -> None:
        self._numbers = array("f")
        """Of each frame: level, flatness, clipped samples, then its bands in dB."""
        self._repeated_frames = 0
        self._broken_frames = 0
        self._last: Frame | None = None
        self._window = np.hanning(FRAME_SAMPLES)
        edges = np.geomspace(LOWEST_HZ, HIGHEST_HZ, BANDS + 1) * FRAME_SAMPLES / SAMPLE_RATE_HZ
        self._edges = np.round(edges).astype(int)

    @property
    def frames(self) -> int:
        return len(self._numbers) // (3 + BANDS)

    def hear(self, frame: Frame) -> None:
        finite = bool(np.isfinite(frame).all())
        sound = frame if finite else np.zeros_like(frame)
        level = rms_dbfs(sound)
        self._broken_frames += not finite
        if self._last is not None and level >= LOUD_DBFS:
            self._repeated_frames += bool(np.array_equal(frame, self._last))
        self._last = frame
        first, last = self._edges[0], self._edges[-1]
        power = np.square(np.abs(np.fft.rfft(sound * self._window)))[:last] + 1e-12
        flatness = np.exp(np.mean(np.log(power[first:]))) / np.mean(power[first:])
        bands = 10.0 * np.log10(np.add.reduceat(power, self._edges[:-1]))
        self._numbers.extend([level, flatness, _clipped(sound), *bands])

    def health(self, call: str) -> Health:
        """Of all that was heard. Raises ValueError if that is nothing."""
        if not self.frames:
            raise ValueError("nothing was heard")
        numbers = np.array(self._numbers, dtype=np.float32).reshape(self.frames, 3 + BANDS)
        levels, flatness, clipped = (numbers[:, column].astype(np.float64) for column in range(3))
        loud = levels >= LOUD_DBFS
        spoken = int(np.count_nonzero(loud))
        power = float(np.power(10.0, levels[loud] / 10).mean()) if spoken else 0.0
        return Health(
            call=call,
            seconds=self.frames * FRAME_SEC,
            spoken_share=spoken / self.frames,
            level_dbfs=10 * float(np.log10(power)) if spoken else SILENCE_DBFS,
            clipped_share=float(clipped[loud].sum()) / max(1, spoken * FRAME_SAMPLES),
            flatness=float(np.quantile(flatness[loud], 0.5)) if spoken else 0.0,
            repeated_frames=self._repeated_frames,
            loop_sec=longest_loop_frames(numbers[:, 3:], loud) * FRAME_SEC,
            broken_frames=self._broken_frames,
        )


def _clipped(sound: Frame) -> int:
    full = np.concatenate([[False], np.abs(sound) >= FULL_SCALE, [False]])
    edges = np.flatnonzero(np.diff(full.astype(np.int8)))
    runs = edges[1::2] - edges[::2]
    return int(runs[runs >= CLIPPED_RUN_SAMPLES].sum())


def longest_loop_frames(bands: npt.NDArray[np.float32], loud: npt.NDArray[np.bool_]) -> int:
    """The length of the longest stretch of which each loud frame sounds like the one a period before it, for
    at least two periods. A sound that is held is a loop of one frame. ``bands`` ``[n, 16]`` in dB, ``loud``
    ``[n]``."""
    longest = 0
    for period in range(1, min(LONGEST_PERIOD_FRAMES, len(loud) - 1) + 1):
        same = np.abs(bands[period:] - bands[:-period]).mean(axis=1) <= SAME_DB
        same = (same & loud[period:] & loud[:-period]) | ~(loud[period:] | loud[:-period])
        for start, end in _runs(same):
            # Silence fits into a loop, but is none.
            spoken = int(loud[start + period : end + period].sum())
            if end - start >= 2 * period and 2 * spoken >= end - start:
                longest = max(longest, end - start + period)
    return longest


def _runs(values: npt.NDArray[np.bool_]) -> list[tuple[int, int]]:
    edges = np.flatnonzero(np.diff(np.concatenate([[0], values.astype(np.int8), [0]])))
    return list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))


def faults_of(health: Health) -> list[Fault]:
    """What is wrong with the sound of a call, the worst first; nothing if it could be speech."""
    found: list[Fault] = []

    def note(is_fault: bool, verdict: Verdict, words: str) -> None:
        if is_fault:
            found.append(Fault(verdict, words))

    note(health.broken_frames > 0, PROBLEM, f"{health.broken_frames} frames are not numbers")
    note(health.repeated_frames > 0, PROBLEM, f"{health.repeated_frames} frames are repeated bit by bit")
    doubtful_sec, broken_sec = LOOP_SECS
    is_broken = health.loop_sec >= broken_sec
    words = f"it repeats itself for {health.loop_sec:.1f} s"
    note(health.loop_sec >= doubtful_sec, PROBLEM if is_broken else WARNING, words)
    if health.spoken_share == 0.0:
        note(health.seconds >= SHORTEST_SEC, PROBLEM, f"it is silent for {health.seconds:.0f} s")
        return sorted(found, key=_order)
    few = health.seconds >= SHORTEST_SEC and health.spoken_share < SPOKEN_SHARE
    note(few, WARNING, f"only {health.spoken_share:.1%} of it is above {LOUD_DBFS:.0f} dBFS")
    some, much = CLIPPED_SHARES
    clips = f"{health.clipped_share:.2%} of what was said is clipped"
    note(health.clipped_share > some, PROBLEM if health.clipped_share > much else WARNING, clips)
    note(health.flatness > FLAT, PROBLEM, f"it is noise (flatness {health.flatness:.2f})")
    note(health.flatness < TONAL, WARNING, f"it is a hum or a tone (flatness {health.flatness:.1g})")
    loud, quiet = health.level_dbfs > LOUDEST_DBFS, health.level_dbfs < QUIETEST_DBFS
    note(loud or quiet, WARNING, f"it is too {'loud' if loud else 'quiet'} ({health.level_dbfs:.0f} dBFS)")
    return sorted(found, key=_order)


def _order(fault: Fault) -> int:
    return [PROBLEM, WARNING, OK].index(fault.verdict)
