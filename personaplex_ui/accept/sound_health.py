"""Whether sound could be speech: not silent, not clipped, not stuck, not noise. Pure numbers, no model.

Nothing here hears whether words are said well; it finds what a broken model, codec or buffer does to sound.
The limits are explained where they stand; ordinary speech keeps far from all of them."""

from array import array
from dataclasses import dataclass

import numpy as np

from personaplex_ui.accept.report import OK, PROBLEM, WARNING, Verdict
from personaplex_ui.audio.frames import FRAME_SAMPLES, FRAME_SEC, Frame
from personaplex_ui.audio.levels import SILENCE_DBFS
from personaplex_ui.audio.loops import LoopFinder
from personaplex_ui.audio.sound_health import FLAT
from personaplex_ui.audio.sound_measure import LOUD_DBFS, measure

SHORTEST_SEC = 10.0
"""A call shorter than this may be silent: the model may have been listening."""

SPOKEN_SHARE = 0.02
"""Of a call: with less, the assistant has hardly said a word."""

LOUDEST_DBFS, QUIETEST_DBFS = -10.0, -40.0
"""The level of what was said. The presets speak at some -24; at -10 speech clips, at -40 one must strain to
hear."""

CLIPPED_SHARES = 0.001, 0.01
"""Of all samples said, in runs at full scale: audible now and then, and audible all the time."""

TONAL = 1e-4
"""A hum or a whistle: voiced speech has some noise between its harmonics."""

LOOP_SECS = 3.0, 8.0
"""No speaker repeats himself so exactly for so long: doubtful, and broken."""

NUMBERS = 3
"""That are kept of each frame."""


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
    """Listens frame by frame and keeps 12 bytes of each, not its sound."""

    def __init__(self) -> None:
        self._numbers = array("f")
        """Of each frame: level, flatness, clipped samples."""
        self._loops = LoopFinder()
        self._longest_loop_frames = 0
        self._repeated_frames = 0
        self._broken_frames = 0
        self._last: Frame | None = None

    @property
    def frames(self) -> int:
        return len(self._numbers) // NUMBERS

    def hear(self, frame: Frame) -> None:
        sound = measure(frame)
        self._broken_frames += sound.is_broken
        if self._last is not None and sound.is_loud:
            self._repeated_frames += bool(np.array_equal(frame, self._last))
        self._last = frame
        self._longest_loop_frames = max(self._longest_loop_frames, self._loops.hear(sound))
        self._numbers.extend([sound.level_dbfs, sound.flatness, sound.clipped_samples])

    def health(self, call: str) -> Health:
        """Of all that was heard. Raises ValueError if that is nothing."""
        if not self.frames:
            raise ValueError("nothing was heard")
        numbers = np.array(self._numbers, dtype=np.float32).reshape(self.frames, NUMBERS)
        levels, flatness, clipped = (numbers[:, column].astype(np.float64) for column in range(NUMBERS))
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
            loop_sec=self._longest_loop_frames * FRAME_SEC,
            broken_frames=self._broken_frames,
        )


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
