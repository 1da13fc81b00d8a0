"""What a stereo recording of a call holds: where each side speaks, and whether one echoes the other."""

import io
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import soundfile
import soxr

from personaplex_ui.audio.frames import SAMPLE_RATE_HZ, Samples
from personaplex_ui.audio.levels import rms_dbfs

BLOCK_SAMPLES = SAMPLE_RATE_HZ // 50
SPEECH_DBFS = -45.0
PIECE_SAMPLES = SAMPLE_RATE_HZ * 2 // 5

Sound: TypeAlias = npt.NDArray[np.float64]


def read_stereo(wav: bytes) -> tuple[Samples, Samples]:
    """Left and right of a WAV of 24 kHz, each ``[n]``."""
    sound, rate_hz = soundfile.read(io.BytesIO(wav), dtype="float32")
    samples = np.asarray(sound, dtype=np.float32)
    assert rate_hz == SAMPLE_RATE_HZ
    assert samples.ndim == 2, "one channel only"
    assert samples.shape[1] == 2
    return samples[:, 0], samples[:, 1]


def spoken(samples: Samples) -> tuple[int, int]:
    """Where speech begins and ends, in samples; it must be there."""
    blocks = samples[: len(samples) // BLOCK_SAMPLES * BLOCK_SAMPLES].reshape(-1, BLOCK_SAMPLES)
    loud = [number for number, block in enumerate(blocks) if rms_dbfs(block) > SPEECH_DBFS]
    assert loud, "nobody speaks"
    return loud[0] * BLOCK_SAMPLES, (loud[-1] + 1) * BLOCK_SAMPLES


def likeness(said: Samples, heard: Samples, ratio: float) -> float:
    """How well ``said``, played ``ratio`` times as fast, is found in ``heard``: 1 is exactly.

    It is looked for in pieces, and the middling piece counts: a frame that was dropped on a busy machine
    moves what follows it, and spoils the piece it falls into.
    """
    played = np.asarray(soxr.resample(said, SAMPLE_RATE_HZ * ratio, SAMPLE_RATE_HZ), dtype=np.float64)
    pieces = [played[at : at + PIECE_SAMPLES] for at in range(0, len(played) - PIECE_SAMPLES, PIECE_SAMPLES)]
    loud = [piece for piece in pieces if rms_dbfs(piece.astype(np.float32)) > SPEECH_DBFS]
    return float(np.median([_likeness_of_piece(piece, heard.astype(np.float64)) for piece in loud]))


def _likeness_of_piece(piece: Sound, heard: Sound) -> float:
    """The highest normalised cross-correlation."""
    places = len(heard) - len(piece) + 1
    if places < 1:
        return 0.0
    length = len(heard) + len(piece)
    spectrum = np.fft.rfft(heard, length) * np.conj(np.fft.rfft(piece, length))
    products = np.fft.irfft(spectrum, length)[:places]
    energy = np.cumsum(np.concatenate([[0.0], heard**2]))
    norms = np.linalg.norm(piece) * np.sqrt(energy[len(piece) :][:places] - energy[:places])
    if not norms.any():
        return 0.0  # silence resembles nothing
    return float(np.max(np.abs(products) / np.maximum(norms, 1e-3 * np.max(norms))))
