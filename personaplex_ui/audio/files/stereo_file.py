"""Reads recordings of two sides, block by block, at 24 kHz. All functions block on the disk.

libsndfile opens WAV, RF64, W64, AIFF, FLAC and OGG, FFmpeg all else that may be uploaded: libsndfile knows no
M4A or WebM, and of an MP3 it prints what its decoder thinks. Nothing of a file is believed but its sound.
"""

import itertools
import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt
import soundfile
from av.error import FFmpegError

from personaplex_ui.audio.files.clip_file import frames_of
from personaplex_ui.audio.files.decoded_sound import channels_of
from personaplex_ui.audio.files.regular_file import open_regular
from personaplex_ui.audio.frames import SAMPLE_RATE_HZ, Samples
from personaplex_ui.audio.resample import Resampler
from personaplex_ui.errors import InvalidInput

BLOCK_SEC = 5.0
READ_BY_SOUNDFILE = (b"RIFF", b"RIFX", b"RF64", b"riff", b"FORM", b"fLaC", b"OggS", b".snd", b"caff")
"""What its files begin with."""
MAGIC_BYTES = 4
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
        with open_regular(path) as file:
            # Past the buffer: libsndfile begins where the descriptor is.
            if os.pread(file.fileno(), MAGIC_BYTES, 0).startswith(READ_BY_SOUNDFILE):
                with soundfile.SoundFile(file.fileno(), closefd=False) as sound:
                    yield from _resampled(_sound_in(sound))
            else:
                yield from _resampled(_decoded(file))
    # soundfile's own are RuntimeErrors.
    except (FFmpegError, RuntimeError, TypeError, ValueError, OSError) as error:
        raise InvalidInput("audio", CANNOT_BE_READ) from error


def _sound_in(file: soundfile.SoundFile) -> Iterator[tuple[Channels, int]]:
    """Blocks at the file's rate, which is checked before any is read."""
    _check(file.samplerate, file.channels)
    while len(block := _read(file, round(BLOCK_SEC * file.samplerate))):
        yield block, file.samplerate


def _decoded(file: BinaryIO) -> Iterator[tuple[Channels, int]]:
    """Frames, gathered to blocks."""
    parts: list[Channels] = []
    kind: tuple[int, int] | None = None
    for frame in frames_of(file, LONGEST_SEC):
        rate_hz, part = frame.sample_rate, channels_of(frame).T
        if kind is None:
            _check(rate_hz, part.shape[1])
            kind = (rate_hz, part.shape[1])
        if (rate_hz, part.shape[1]) != kind:
            raise InvalidInput("audio", f"This recording changes its rate or channels midway. {ANOTHER}")
        parts.append(part)
        if sum(map(len, parts)) >= BLOCK_SEC * rate_hz:
            yield np.concatenate(parts), rate_hz
            parts.clear()
    if kind is not None and parts:
        yield np.concatenate(parts), kind[0]


def _check(rate_hz: int, channels: int) -> None:
    if not LOWEST_HZ <= rate_hz <= HIGHEST_HZ:
        raise InvalidInput("audio", f"A sample rate of {rate_hz} Hz cannot be used. {ANOTHER}")
    if channels > MOST_CHANNELS:
        raise InvalidInput("audio", f"{channels} channels cannot be used. {ANOTHER}")


def _resampled(blocks: Iterator[tuple[Channels, int]]) -> Iterator[Channels]:
    resamplers: list[Resampler] = []
    read = 0
    for block, rate_hz in blocks:
        resamplers = resamplers or [Resampler(rate_hz, SAMPLE_RATE_HZ) for _ in range(block.shape[1])]
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
