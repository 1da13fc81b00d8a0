"""Reads recordings of two sides, block by block, at 24 kHz. All functions block on the disk.

libsndfile opens WAV, RF64, W64, AIFF, FLAC, OGG and MP3; nothing of a file is believed but its sound.
"""

import itertools
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile

from personaplex_ui.audio.frames import SAMPLE_RATE_HZ, Samples
from personaplex_ui.audio.resample import Resampler
from personaplex_ui.errors import InvalidInput

BLOCK_SEC = 5.0
LOWEST_HZ, HIGHEST_HZ = 4_000, 384_000
MOST_CHANNELS = 16
LONGEST_SEC = 13 * 3_600.0
"""A WAV of ours, which cannot be larger than 4 GiB, has 12.4 hours."""

ANOTHER = "Save it as WAV or FLAC and try again."
CANNOT_BE_READ = f"This file cannot be read as audio. {ANOTHER}"
EMPTY = "This recording is empty: it holds 0 seconds of sound. Choose another one."
ONE_CHANNEL = (
    "This recording has one channel, and two are needed: left the caller, right the assistant. The app's own "
    "recordings have them."
)
TOO_LONG = f"This recording is longer than {LONGEST_SEC / 3_600:.0f} hours. Cut it into parts."

Channels = npt.NDArray[np.float32]
"""``[n, channels]``, 24 kHz."""


def stereo_blocks(path: Path) -> Iterator[Channels]:
    """Blocks ``[n, 2]`` of a file with two channels.

    Raises:
        InvalidInput: it cannot be read, is empty or too long, or has another number of channels.
    """
    for number, block in enumerate(_blocks(path)):
        channels = block.shape[1]
        if number == 0 and channels != 2:
            many = f"This recording has {channels} channels, and two are needed: caller and assistant."
            raise InvalidInput("audio", ONE_CHANNEL if channels == 1 else many)
        yield block


def paired_blocks(caller: Path, assistant: Path) -> Iterator[Channels]:
    """Blocks ``[n, 2]`` of two files, one for each side, from their begins to the end of the longer one. A
    file of several channels is mixed down.

    Raises:
        InvalidInput: as above.
    """
    sides = (_mono(_blocks(caller)), _mono(_blocks(assistant)))
    nothing: Samples = np.zeros(0, dtype=np.float32)
    rest = [nothing, nothing]
    for pair in itertools.zip_longest(*sides):
        rest = [
            each if block is None else np.concatenate([each, block])
            for each, block in zip(rest, pair, strict=True)
        ]
        ready = min(len(each) for each, block in zip(rest, pair, strict=True) if block is not None)
        taken = [_padded(each[:ready], ready) for each in rest]
        rest = [each[ready:] for each in rest]
        yield np.stack(taken, axis=1)
    if any(len(each) for each in rest):
        length = max(len(each) for each in rest)
        yield np.stack([_padded(each, length) for each in rest], axis=1)


def _padded(samples: Samples, length: int) -> Samples:
    return np.pad(samples, (0, length - len(samples)))


def _mono(blocks: Iterator[Channels]) -> Iterator[Samples]:
    for block in blocks:
        mixed: Samples = block.mean(axis=1, dtype=np.float32, keepdims=True)[:, 0]
        yield mixed


def _blocks(path: Path) -> Iterator[Channels]:
    try:
        with soundfile.SoundFile(path) as file:
            yield from _resampled(file)
    except (RuntimeError, TypeError, ValueError, OSError) as error:  # soundfile's own are RuntimeErrors
        raise InvalidInput("audio", CANNOT_BE_READ) from error


def _resampled(file: soundfile.SoundFile) -> Iterator[Channels]:
    rate_hz = file.samplerate
    if not LOWEST_HZ <= rate_hz <= HIGHEST_HZ:
        raise InvalidInput("audio", f"A sample rate of {rate_hz} Hz cannot be used. {ANOTHER}")
    if file.channels > MOST_CHANNELS:
        raise InvalidInput("audio", f"{file.channels} channels cannot be used. {ANOTHER}")
    resamplers = [Resampler(rate_hz, SAMPLE_RATE_HZ) for _ in range(file.channels)]
    read = 0
    while len(block := _read(file, round(BLOCK_SEC * rate_hz))):
        read += len(block)
        if read > LONGEST_SEC * rate_hz:
            raise InvalidInput("audio", TOO_LONG)
        yield _together([each.push(block[:, channel]) for channel, each in enumerate(resamplers)])
    if not read:
        raise InvalidInput("audio", EMPTY)
    yield _together([each.flush() for each in resamplers])


def _read(file: soundfile.SoundFile, samples: int) -> Channels:
    return np.asarray(file.read(samples, dtype="float32", always_2d=True), dtype=np.float32)


def _together(channels: list[Samples]) -> Channels:
    return np.stack(channels, axis=1).astype(np.float32, copy=False)
