"""For tests of recordings: sound in which each place can be told from others, and what a file has of it."""

import threading
import wave
from io import FileIO
from pathlib import Path

import numpy as np
import numpy.typing as npt

from personaplex_ui.audio.frames import FRAME_SAMPLES, SAMPLE_RATE_HZ, Samples
from personaplex_ui.audio.recording.file import create_file, part_path
from personaplex_ui.audio.recording.recorder import RecordingWriter, StereoRecording

Sides = npt.NDArray[np.int16]
"""A recording's sound, shape ``[n, 2]``: caller, assistant."""

CALLER, ASSISTANT = 0, 1


def noise(length: int, seed: int = 0) -> Samples:
    """Loud sound in which no two places look alike."""
    sound = np.random.default_rng(seed).uniform(0.1, 1.0, length)
    return sound.astype(np.float32)


def settle(writer: RecordingWriter) -> None:
    """Wait until the disk has everything that was handed over."""
    writer.submit(lambda: None).result()


def read(path: Path) -> Sides:
    with wave.open(str(path)) as wav:
        assert (wav.getnchannels(), wav.getsampwidth(), wav.getframerate()) == (2, 2, SAMPLE_RATE_HZ)
        sound = wav.readframes(wav.getnframes())
        assert len(sound) == wav.getnframes() * 4
    assert path.stat().st_size == 44 + len(sound)
    return np.frombuffer(sound, "<i2").reshape(-1, 2)


def finished(recording: StereoRecording, duration_samples: int) -> Sides:
    assert recording.finish(duration_samples).result() == recording.path
    assert not part_path(recording.path).exists()
    return read(recording.path)


def place_frames(recording: StereoRecording, sound: Samples, first_sample: int = 0) -> None:
    """Place ``sound`` on both sides, frame by frame, on time."""
    for start in range(0, len(sound), FRAME_SAMPLES):
        frame = sound[start : start + FRAME_SAMPLES]
        end = first_sample + start + len(frame)
        recording.place_caller(frame, end)
        recording.place_assistant(-frame, end)


class Gate:
    """Opens files whose first write waits until ``open`` is set."""

    def __init__(self) -> None:
        self.open = threading.Event()

    def __call__(self, path: Path) -> FileIO:
        self.open.wait()
        return create_file(path)
