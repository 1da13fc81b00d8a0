"""How long a recording is, by its header: an estimate for the time left, which costs no decoding."""

from pathlib import Path

import soundfile


def sound_sec_of(path: Path) -> float:
    """0 if the header does not tell."""
    try:
        info = soundfile.info(path)
    except (OSError, RuntimeError):  # libsndfile's errors are RuntimeErrors
        return 0.0
    return info.frames / info.samplerate if info.samplerate else 0.0
