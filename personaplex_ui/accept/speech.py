"""What the callers of the test say: a recording that is given, or two spoken sentences with pauses.

Whether an answer makes sense is not judged here; so what is said matters less than that it is speech, with
pauses in which the assistant can answer."""

from pathlib import Path

import numpy as np

from personaplex_ui.audio.files.clip_file import decode_clip
from personaplex_ui.audio.frames import FRAME_SAMPLES, SAMPLE_RATE_HZ, Samples, pad_to_frames
from personaplex_ui.errors import InvalidInput, PersonaplexError
from personaplex_ui.models.echo.sentences import GOODBYE, GREETING, sound_of
from personaplex_ui.voices.recording import prepare_recording

PAUSES_SEC = 2.5, 4.0
ROOM_DBFS = -65.0
"""No microphone is as silent as zeros."""

LONGEST_SEC = 3_600.0


def caller_speech(path: Path | None) -> Samples:
    """What a caller says again and again, ``[n]`` with whole frames.

    Raises:
        PersonaplexError: the recording cannot be read.
    """
    if path is None:
        return _two_sentences()
    try:
        return pad_to_frames(decode_clip(path, LONGEST_SEC).samples)
    except (InvalidInput, OSError) as error:
        raise PersonaplexError(f"{path}: {error}") from error


def _two_sentences() -> Samples:
    dice = np.random.default_rng(1)
    parts: list[Samples] = []
    for sentence, pause_sec in zip((GREETING, GOODBYE), PAUSES_SEC, strict=True):
        parts += [sound_of(sentence), np.zeros(round(pause_sec * SAMPLE_RATE_HZ), dtype=np.float32)]
    sound = pad_to_frames(np.concatenate(parts))
    room = dice.normal(0.0, 10 ** (ROOM_DBFS / 20), len(sound))
    return (sound + room).astype(np.float32)


def recorded_voice() -> Samples:
    """A recording to use as the assistant's voice where each position of the prompt must be known as tokens,
    which those of a preset are not."""
    return prepare_recording(sound_of(GREETING))


def frames_of(speech: Samples, count: int, first: int = 0) -> Samples:
    """``count`` frames ``[count, 1920]`` of ``speech``, from its frame ``first`` on, over and over."""
    whole = speech.reshape(-1, FRAME_SAMPLES)
    return whole[np.arange(first, first + count) % len(whole)]
