"""Checks a recorded voice and prepares it for Mimi to encode.

Depends on samples and files only. Source: NVIDIA's reference, ``lm.py`` (``load_audio``,
``normalize_audio``): mono, 24 kHz, -24 LUFS, then whole frames.
"""

import threading
from collections import OrderedDict
from concurrent.futures import Future
from importlib import import_module
from pathlib import Path

import numpy as np

from personaplex_ui.audio.files.clip_file import decode_clip
from personaplex_ui.audio.frames import FRAME_SAMPLES, SAMPLE_RATE_HZ, Samples, pad_to_frames
from personaplex_ui.audio.levels import rms_dbfs
from personaplex_ui.errors import InvalidInput

LOUDNESS_LUFS = -24.0

SHORTEST_SEC, LONGEST_SEC = 3.0, 30.0

MOST_KEPT = 16
"""At 30 s each they take 46 MB."""

LOUDEST_FRAMES = 5
"""Loudness is that of the fifth loudest frame: 0.4 s is longer than a click, but not than a word."""

QUIETEST_DBFS = -40.0
"""Limit for the loudest frames. Speech into a microphone has -25 to -12; below -40 it is mostly noise."""

FULL_SCALE = 0.99
CLIPPED_RUN_SAMPLES = 3
CLIPPED_SHARE = 0.001
"""Share of samples allowed in runs at full scale: enough for a loud syllable, not for audible distortion."""

SILENT_BELOW_LOUDEST_DB = 35.0
SILENT_DBFS = -50.0
SILENT_SHARE = 0.6
"""Pauses between sentences are at most a third of calm speech."""


class KeptRecordings:
    """A cache of decoded recordings, valid while their files are unchanged. Concurrent requests decode a file
    once; unusable recordings are cached too. Blocks; thread-safe."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[Path, int, int, int, int], Future[Samples]] = OrderedDict()
        self._lock = threading.Lock()

    def samples_of(self, path: Path) -> Samples:
        """Raises InvalidInput for ``voice`` if the recording cannot be read or used."""
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
                if not isinstance(error, InvalidInput):  # not the file's fault
                    with self._lock:
                        self._kept.pop(version, None)
        try:
            return decoded.result()
        except InvalidInput as error:
            raise InvalidInput(error.field, str(error)) from None


def read_voice_recording(path: Path, field: str = "voice_file") -> Samples:
    """The recording at ``path``, ready for Mimi to encode: checked, normalised, in whole frames.

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
    """Refuse a recording that the model could not use as a voice.

    ``length_sec``: the original length, if resampling made ``samples`` a little longer.

    Raises:
        InvalidInput: for ``field``; it is too short, too long, too quiet, clipped, or mostly silence.
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
            f"This recording is too quiet: {loudest:.0f} dB at its loudest, and {QUIETEST_DBFS:.0f} dB "
            "is needed. Speak louder or closer to the microphone, and record again.",
        )
    if _clipped_share(samples) > CLIPPED_SHARE:
        raise InvalidInput(
            field,
            "This recording is clipped: its loudest parts are distorted. Turn the microphone down or "
            "move away from it, and record again.",
        )
    silent = float(np.mean(levels < max(SILENT_DBFS, loudest - SILENT_BELOW_LOUDEST_DB)))
    if silent > SILENT_SHARE:
        raise InvalidInput(
            field,
            f"This recording is mostly silence: {silent:.0%} of it. Speak from beginning to end, or cut the "
            "pauses out.",
        )


def import_loudness_meter() -> None:
    """Import now what ``prepare_recording`` needs, so that the first recorded voice delays no live call."""
    import_module("pyloudnorm")


def prepare_recording(samples: Samples) -> Samples:
    """``samples`` ``[n]`` (at least 0.4 s, not silent) at -24 LUFS, padded with zeros to whole frames.

    Computed in float64 like the reference, so that the codes are the same; not clipped at full scale.
    """
    # With scipy it takes a second to import, which the app need not wait for when it starts.
    import pyloudnorm

    sound = samples.astype(np.float64)
    loudness = float(pyloudnorm.Meter(SAMPLE_RATE_HZ).integrated_loudness(sound))
    return pad_to_frames((sound * np.power(10.0, (LOUDNESS_LUFS - loudness) / 20.0)).astype(np.float32))


def _clipped_share(samples: Samples) -> float:
    """The share of samples in runs at full scale."""
    full = np.concatenate([[False], np.abs(samples) >= FULL_SCALE, [False]])
    edges = np.flatnonzero(np.diff(full.astype(np.int8)))
    runs = edges[1::2] - edges[::2]
    return float(runs[runs >= CLIPPED_RUN_SAMPLES].sum()) / len(samples)
