"""How long a recording is, by its header: an estimate for the time left, which costs no decoding."""

from pathlib import Path

import soundfile

from personaplex_ui.audio.files.regular_file import open_regular


def sound_sec_of(path: Path) -> float:
    """0 if the header does not tell."""
    try:
        with open_regular(path) as file:  # soundfile takes no names that are not UTF-8
            info = soundfile.info(file)
    except (OSError, RuntimeError, ValueError, TypeError):  # libsndfile's errors are RuntimeErrors
        return 0.0
    return info.frames / info.samplerate if info.samplerate else 0.0
