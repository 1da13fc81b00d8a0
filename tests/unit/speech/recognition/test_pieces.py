"""Long sound is cut where it is quietest."""

import numpy as np

from personaplex_ui.speech.recognition.mel import WHISPER_RATE_HZ, Sound16k
from personaplex_ui.speech.recognition.pieces import MAX_PIECE_SEC, pieces_of


def noise(seconds: float) -> Sound16k:
    return np.random.default_rng(1).normal(0, 0.1, int(seconds * WHISPER_RATE_HZ)).astype(np.float32)


def test_what_fits_stays_whole() -> None:
    sound = noise(MAX_PIECE_SEC)
    (piece,) = pieces_of(sound)
    assert np.array_equal(piece, sound)


def test_nothing_is_lost_and_no_piece_is_too_long() -> None:
    sound = noise(100)
    pieces = pieces_of(sound)
    assert np.array_equal(np.concatenate(pieces), sound)
    assert all(0 < len(piece) <= MAX_PIECE_SEC * WHISPER_RATE_HZ for piece in pieces)


def test_the_cut_is_in_the_pause() -> None:
    sound = noise(40)
    pause = slice(int(22.0 * WHISPER_RATE_HZ), int(22.4 * WHISPER_RATE_HZ))
    sound[pause] = 0
    first, _ = pieces_of(sound)
    assert pause.start < len(first) < pause.stop
