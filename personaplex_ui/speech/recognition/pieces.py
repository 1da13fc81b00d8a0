"""Cuts long sound where it is quietest, since Whisper hears 30 s at a time. Pure."""

import numpy as np

from personaplex_ui.speech.recognition.mel import WHISPER_RATE_HZ, Sound16k

MAX_PIECE_SEC = 29.0
"""Whisper's window has 30 s; words at its very end are lost."""

SEARCHED_SEC = 10.0
STEP_SAMPLES = WHISPER_RATE_HZ // 10


def pieces_of(sound: Sound16k) -> list[Sound16k]:
    """``sound`` in pieces of at most 29 s; each ends in the quietest 100 ms of its last 10 s."""
    longest = int(MAX_PIECE_SEC * WHISPER_RATE_HZ)
    searched = int(SEARCHED_SEC * WHISPER_RATE_HZ) // STEP_SAMPLES
    pieces: list[Sound16k] = []
    while len(sound) > longest:
        steps = sound[longest - searched * STEP_SAMPLES : longest].reshape(searched, STEP_SAMPLES)
        quietest = int(np.argmin(np.square(steps).mean(axis=1)))
        end = longest - (searched - quietest) * STEP_SAMPLES + STEP_SAMPLES // 2
        pieces.append(sound[:end])
        sound = sound[end:]
    return [*pieces, sound]
