"""A recorded voice: whether it can be used, said in words, and the form in which Mimi is to encode it.

Depends on samples and files only. Source: NVIDIA's reference, ``lm.py`` (``load_audio``,
``normalize_audio``): mono, 24 kHz, -24 LUFS, then whole frames.
"""

import threading
from collections import OrderedDict
from concurrent.futures import Future
from pathlib import Path

import numpy as np
import pyloudnorm

from personaplex_ui.audio.files.clip_file import decode_clip
from personaplex_ui.audio.frames import FRAME_SAMPLES, SAMPLE_RATE_HZ, Samples, pad_to_frames
from personaplex_ui.audio.levels import rms_dbfs
from personaplex_ui.errors import InvalidInput

LOUDNESS_LUFS = -24.0

SHORTEST_SEC, LONGEST_SEC = 3.0, 30.0

MOST_KEPT = 16
"""Of 30 s each they take 46 MB."""

LOUDEST_FRAMES = 5
"""Sound counts as loud as these frames (0.4 s) at least are: a click is shorter, a word is not."""

QUIETEST_DBFS = -40.0
"""Of the loudest frames. Speech into a microphone has -25 to -12 there; what is below -40 is mostly noise."""

FULL_SCALE = 0.99
CLIPPED_RUN_SAMPLES = 3
CLIPPED_SHARE = 0.001
"""Share of samples that may stand in runs at full scale: a loud syllable, but no distortion to imitate."""

SILENT_BELOW_LOUDEST_DB = 35.0
SILENT_DBFS = -50.0
SILENT_SHARE = 0.6
"""Pauses between sentences are a third of calm speech at most."""


class KeptRecordings:
    """Recordings kept decoded while their files stay as they are. However many ask for a file at once, it is
    decoded once; what cannot be used is known as well. Blocks; for any thread."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[Path, int, int, int, int], Future[Samples]] = OrderedDict()
        self._lock = threading.Lock()

    def samples_of(self, path: Path) -> Samples:
        """Raises InvalidInput for ``voice``: the recording cannot be read or used."""
        try:
            found = path.stat()
        except OSError:
            return read_voice_recording(path, "voice")
        version = (path, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
        with self._lock:
            known = self._kept.get(version)
            decoded = self._kept[version] = known or Future[Samples]()
            self._kept.move_to_end(version)
            while len(self._kept) > MOST_KEPT:
                self._kept.popitem(last=False)
        if known is None:
            try:
                decoded.set_result(read_voice_recording(path, "voice"))
            except BaseException as error:
                decoded.set_exception(error)
                if not isinstance(error, InvalidInput):  # it is not the file's fault
                    with self._lock:
                        self._kept.pop(version, None)
        try:
            return decoded.result()
        except InvalidInput as error:
            raise InvalidInput(error.field, str(error)) from None


def read_voice_recording(path: Path, field: str = "voice_file") -> Samples:
    """The recording at ``path`` as Mimi is to encode it: checked, normalised, whole frames.

    Raises:
        InvalidInput: for ``field``; it cannot be read or used.
    """
    try:
        clip = decode_clip(path, LONGEST_SEC)
    except InvalidInput as error:
        raise InvalidInput(field, str(error)) from error
    check_voice_recording(clip.samples, field, clip.length_sec)
    return prepare_recording(clip.samples)


def check_voice_recording(
    samples: Samples, field: str = "voice_file", length_sec: float | None = None
) -> None:
    """Refuse what the model could not make a voice of.

    ``length_sec``: that of the recording, where resampling made ``samples`` a little longer.

    Raises:
        InvalidInput: for ``field``; too short or long, too quiet, clipped, mostly silence.
    """
    if length_sec is None:
        length_sec = len(samples) / SAMPLE_RATE_HZ
    if not SHORTEST_SEC <= length_sec <= LONGEST_SEC:
        raise InvalidInput(
            field,
            f"A voice needs {SHORTEST_SEC:g} to {LONGEST_SEC:g} seconds of speech; this recording has "
            f"{length_sec:.1f}. {'Record more.' if length_sec < SHORTEST_SEC else 'Cut it shorter.'}",
        )
    levels = np.array(
        [rms_dbfs(frame) for frame in np.split(samples, range(FRAME_SAMPLES, len(samples), FRAME_SAMPLES))]
    )
    loudest = float(np.sort(levels)[-LOUDEST_FRAMES])
    if loudest < QUIETEST_DBFS:
        raise InvalidInput(
            field,
            f"This recording is too quiet: {loudest:.0f} dB where it is loudest, and {QUIETEST_DBFS:.0f} dB "
            "is needed. Speak louder or closer to the microphone, and record again.",
        )
    if _clipped_share(samples) > CLIPPED_SHARE:
        raise InvalidInput(
            field,
            "This recording is clipped: it is distorted where it is loudest. Turn the microphone down or "
            "step back from it, and record again.",
        )
    silent = float(np.mean(levels < max(SILENT_DBFS, loudest - SILENT_BELOW_LOUDEST_DB)))
    if silent > SILENT_SHARE:
        raise InvalidInput(
            field,
            f"This recording is mostly silence: {silent:.0%} of it. Speak from beginning to end, or cut the "
            "pauses out.",
        )


def prepare_recording(samples: Samples) -> Samples:
    """``samples`` ``[n]`` (at least 0.4 s, not silent) at -24 LUFS, zeros appended up to whole frames.

    Computed in float64 as the reference does, so that the codes are the same; not clipped at full scale.
    """
    sound = samples.astype(np.float64)
    loudness = float(pyloudnorm.Meter(SAMPLE_RATE_HZ).integrated_loudness(sound))
    return pad_to_frames((sound * np.power(10.0, (LOUDNESS_LUFS - loudness) / 20.0)).astype(np.float32))


def _clipped_share(samples: Samples) -> float:
    """The share of samples that stand at full scale, several in a row."""
    full = np.concatenate([[False], np.abs(samples) >= FULL_SCALE, [False]])
    edges = np.flatnonzero(np.diff(full.astype(np.int8)))
    runs = edges[1::2] - edges[::2]
    return float(runs[runs >= CLIPPED_RUN_SAMPLES].sum()) / len(samples)
