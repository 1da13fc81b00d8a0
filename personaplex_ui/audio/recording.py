"""The recording of a call, written as it goes: a WAV with the caller on the left, the assistant on the right.

Knows sample positions, WAV and the one thread that touches the disk. Knows no clock and no asyncio: whoever
places sound says where it ends, in samples since the call's start, and never waits for the disk.
In progress a file is called ``<name>.part.wav``; its header is put right after every write, so that it plays
even when the process is killed, and ``repair_recordings`` gives it its name at the next start. A directory
belongs to one server: another's files in progress cannot be told from those of a crash.
"""

import errno
import logging
import os
import queue
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from io import FileIO
from pathlib import Path
from typing import Final, TypeVar

import numpy as np
import numpy.typing as npt

from personaplex_ui.audio.clip_file import WAV_HEADER_BYTES, to_pcm16, wav_header
from personaplex_ui.audio.frames import SAMPLE_RATE_HZ, Samples
from personaplex_ui.errors import RecordingFailed

JITTER_SAMPLES = SAMPLE_RATE_HZ // 10
"""A chunk that comes up to this late goes right behind the one before it."""
LEAD_SAMPLES = SAMPLE_RATE_HZ // 2
"""A track gets no further ahead of the clock than this (a burst after a stall); more sound is left out."""
QUIET = 0.003
"""Peak of sound that may be left out to bring a track that is ahead back to the clock."""
WAIT_SAMPLES = 2 * SAMPLE_RATE_HZ
"""So long the newest sound waits for the other side; then the other side is silent there."""
BATCH_SAMPLES = SAMPLE_RATE_HZ // 2
BYTES_PER_SAMPLE = 4
WAITING_BYTES = 10 * SAMPLE_RATE_HZ * BYTES_PER_SAMPLE
"""When more sound than this waits for the disk, the recording ends."""
LONGEST_BYTES = 2**32 - 2**20
"""A WAV cannot say more than 4 GiB; that is 12.4 hours."""
SHORTEST_BYTES = SAMPLE_RATE_HZ // 5 * BYTES_PER_SAMPLE
"""A recording of less than 0.2 s is not kept."""

_REASONS: Final = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk is full",
    errno.EACCES: "the server may not write to its folder",
    errno.EPERM: "the server may not write to its folder",
    errno.EROFS: "the server may not write to its folder",
    errno.ENOENT: "its folder is gone",
}

T = TypeVar("T")
Pcm = npt.NDArray[np.int16]
OpenFile = Callable[[Path], FileIO]

_logger = logging.getLogger(__name__)


def create_file(path: Path) -> FileIO:
    """A new file that only its owner may read, in a directory that is made when missing. Raises OSError."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    return FileIO(path, "x", opener=lambda name, flags: os.open(name, flags, 0o600))


class RecordingWriter:
    """Owns the thread that does all recordings' disk work, in order. Close it after the last call's end."""

    def __init__(self, open_file: OpenFile = create_file) -> None:
        self._open_file = open_file
        self._jobs: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._files: set[PartFile] = set()
        self._lock = threading.Lock()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="recordings", daemon=True)
        self._thread.start()

    def file(self, path: Path) -> "PartFile":
        """A new file for the recording ``path``. What is done with it is to be submitted; ``finish`` ends it."""
        file = PartFile(path, self._open_file)
        with self._lock:
            self._files.add(file)
        return file

    def submit(self, job: Callable[[], T]) -> "Future[T]":
        """Run ``job`` after those before it; its future cannot be cancelled. RecordingFailed when closed."""
        future: Future[T] = Future()
        future.set_running_or_notify_cancel()
        with self._lock:
            if self._closed:
                raise RecordingFailed("The recording stopped because the server is shutting down.")
            self._jobs.put(partial(_run_job, job, future))
        return future

    def finish(self, file: "PartFile", samples: int) -> "Future[Path | None]":
        """Submit the end of ``file``; see ``PartFile.finish``."""
        return self.submit(partial(self._finish, file, samples))

    def close(self, timeout_sec: float = 10.0) -> None:
        """Write what is queued, finish what is in progress, wait for the disk at most ``timeout_sec``."""
        with self._lock:
            if not self._closed:
                self._closed = True
                self._jobs.put(None)
        self._thread.join(timeout_sec)
        if self._thread.is_alive():
            _logger.warning(
                "The disk did not take the recordings within %.0f s; they end early.", timeout_sec
            )

    def _run(self) -> None:
        while (job := self._jobs.get()) is not None:
            job()
        with self._lock:
            unfinished = list(self._files)
        for file in unfinished:
            self._finish(file, None)

    def _finish(self, file: "PartFile", samples: int | None) -> Path | None:
        with self._lock:
            self._files.discard(file)
        return file.finish(samples)


def _run_job(job: Callable[[], T], future: "Future[T]") -> None:
    try:
        future.set_result(job())
    except Exception as error:  # the thread serves all calls and has to outlive one job's fault
        _logger.exception("A recording job failed")
        future.set_exception(error)


class PartFile:
    """One WAV on the disk; only the writer's thread calls its methods, and none raises OSError.

    ``failed`` and ``taken_bytes`` (sound dealt with, written or not) may be read by any thread.
    """

    def __init__(self, path: Path, open_file: OpenFile) -> None:
        self.failed: RecordingFailed | None = None
        self.taken_bytes = 0
        self._path = path
        self._part = part_path(path)
        self._open_file = open_file
        self._file: FileIO | None = None
        self._data_bytes = 0
        self._kept: Path | None = None

    def begin(self) -> None:
        try:
            self._file = self._open_file(self._part)
            self._set_length(0)
        except OSError as error:
            self._fail(error)

    def write(self, sound: bytes) -> None:
        """Append whole stereo samples."""
        try:
            if self._file is not None and self.failed is None:
                rest = memoryview(sound)
                while rest:
                    rest = rest[self._file.write(rest) :]
                self._set_length(self._data_bytes + len(sound))
        except OSError as error:
            self._fail(error)
        finally:
            self.taken_bytes += len(sound)

    def write_silence(self, samples: int) -> None:
        """Append zeros: a hole in the file, so hours of them cost nothing."""
        try:
            if self._file is not None and self.failed is None:
                length = self._data_bytes + samples * BYTES_PER_SAMPLE
                self._file.truncate(WAV_HEADER_BYTES + length)
                self._set_length(length)
        except OSError as error:
            self._fail(error)

    def finish(self, samples: int | None) -> Path | None:
        """Cut to at most ``samples`` and give the file its name; None when nothing worth keeping is there."""
        file, self._file = self._file, None
        if file is None:
            return self._kept
        try:
            with file:
                length = self._data_bytes
                if samples is not None:
                    length = min(length, samples * BYTES_PER_SAMPLE)
                if length < SHORTEST_BYTES:
                    self._part.unlink()
                    return None
                file.truncate(WAV_HEADER_BYTES + length)
                file.seek(0)
                file.write(wav_header(2, length))
            self._part.replace(self._path)
            self._kept = self._path
        except OSError as error:
            self._fail(error)
        return self._kept

    def _set_length(self, data_bytes: int) -> None:
        assert self._file is not None
        self._file.seek(0)
        self._file.write(wav_header(2, data_bytes))
        self._file.seek(WAV_HEADER_BYTES + data_bytes)
        self._data_bytes = data_bytes

    def _fail(self, error: OSError) -> None:
        _logger.warning("Recording %s stopped: %s", self._part.name, error)
        why = _REASONS.get(error.errno or 0, "its file cannot be written")
        if self.failed is None:
            self.failed = stopped(self._data_bytes // BYTES_PER_SAMPLE, why)


def stopped(samples: int, why: str) -> RecordingFailed:
    sec = samples // SAMPLE_RATE_HZ
    return RecordingFailed(
        f"The recording stopped at {sec // 60}:{sec % 60:02}: {why}. The call goes on without it."
    )


def part_path(path: Path) -> Path:
    return path.with_suffix(".part.wav")


class StereoRecording:
    """The recording of one call. Its methods belong to one thread, never wait and never raise."""

    def __init__(self, path: Path, writer: RecordingWriter, longest_bytes: int = LONGEST_BYTES) -> None:
        self.path = path
        self._writer = writer
        self._file = writer.file(path)
        self._longest_samples = longest_bytes // BYTES_PER_SAMPLE
        self._caller = _Track()
        self._assistant = _Track()
        self._newest = 0
        self._handed_samples = 0
        self._handed_bytes = 0
        self._failed: RecordingFailed | None = None
        self._finished: Future[Path | None] | None = None
        self._submit(self._file.begin)

    @property
    def failed(self) -> RecordingFailed | None:
        """Why the recording stopped before the call's end; what was written until then stays valid."""
        return self._failed or self._file.failed

    def place_caller(self, samples: Samples, end_sample: int) -> None:
        """Add the caller's ``samples`` ``[n]``, which end ``end_sample`` samples after the call's start.

        A chunk goes right behind the one before it, unless that would be more than 100 ms too early:
        then silence fills the gap. A track that is ahead of the clock stays ahead (jitter cuts no
        sound) until it is quiet, and is never more than 0.5 s ahead.
        """
        self._place(self._caller, samples, end_sample)

    def place_assistant(self, samples: Samples, end_sample: int) -> None:
        """Add the assistant's ``samples``, by the same rule as the caller's."""
        self._place(self._assistant, samples, end_sample)

    def finish(self, duration_samples: int) -> "Future[Path | None]":
        """Pad or cut both sides to ``duration_samples`` and close the file.

        The future gives the path, or None when nothing (less than 0.2 s) was kept; it raises nothing,
        but a disk that hangs keeps it waiting. Later calls return the same future.
        """
        if self._finished is None:
            if self.failed is None:
                self._hand_over(duration_samples)
            try:
                self._finished = self._writer.finish(self._file, duration_samples)
            except RecordingFailed:
                self._finished = Future()
                self._finished.set_result(None)
        return self._finished

    def _place(self, track: "_Track", samples: Samples, end_sample: int) -> None:
        if self._finished is not None or self.failed is not None:
            return
        track.place(samples, end_sample)
        self._newest = max(self._newest, track.cursor)
        ready = max(min(self._caller.cursor, self._assistant.cursor), self._newest - WAIT_SAMPLES)
        if ready - self._handed_samples >= BATCH_SAMPLES:
            self._hand_over(ready)

    def _hand_over(self, until: int) -> None:
        """Give the writer everything before sample ``until``; what neither side has is silence."""
        tracks = (self._caller, self._assistant)
        last = min(until, self._longest_samples)
        while self._handed_samples < last and self._failed is None:
            start = self._handed_samples
            sound_at = min(track.next_sound(last) for track in tracks)
            if sound_at > start:
                end = sound_at
                self._submit(partial(self._file.write_silence, end - start))
            else:
                end = min(last, start + BATCH_SAMPLES)
                stereo = np.stack([track.take(start, end) for track in tracks], axis=1).tobytes()
                self._handed_bytes += len(stereo)
                if self._handed_bytes - self._file.taken_bytes > WAITING_BYTES:
                    self._failed = stopped(start, "the disk is too slow")
                    return
                self._submit(partial(self._file.write, stereo))
            for track in tracks:
                track.cursor = max(track.cursor, end)
            self._handed_samples = end
        if until > last and self._failed is None:
            self._failed = stopped(last, "it has reached the 4 GiB that a WAV file can hold")

    def _submit(self, job: Callable[[], None]) -> None:
        try:
            self._writer.submit(job)
        except RecordingFailed as error:
            self._failed = self._failed or error


class _Track:
    """One side: sound not yet handed over, at its place in the call. ``cursor``: where its sound ends."""

    def __init__(self) -> None:
        self.cursor = 0
        self._chunks: deque[tuple[int, Pcm]] = deque()

    def place(self, samples: Samples, end_sample: int) -> None:
        lead = self.cursor + len(samples) - end_sample
        if lead < -JITTER_SAMPLES:
            self.cursor -= lead
        elif lead > JITTER_SAMPLES and np.max(np.abs(samples), initial=0.0) < QUIET:
            samples = samples[: max(0, len(samples) - lead)]
        elif lead > LEAD_SAMPLES:
            samples = samples[: max(0, len(samples) - (lead - LEAD_SAMPLES))]
        if len(samples):
            self._chunks.append((self.cursor, to_pcm16(samples)))
            self.cursor += len(samples)

    def next_sound(self, default: int) -> int:
        """Where the oldest pending sound starts, ``default`` when it starts there or later."""
        return min(self._chunks[0][0], default) if self._chunks else default

    def take(self, start: int, end: int) -> Pcm:
        """The sound from ``start`` to ``end``, ``[end - start]``; nothing pending is older than ``start``."""
        sound = np.zeros(end - start, dtype="<i2")
        while self._chunks and self._chunks[0][0] < end:
            at, pcm = self._chunks.popleft()
            inside = pcm[: end - at]
            sound[at - start : at - start + len(inside)] = inside
            if len(pcm) > len(inside):
                self._chunks.appendleft((end, pcm[len(inside) :]))
        return sound


def repair_recordings(directory: Path) -> list[Path]:
    """Finish the recordings that a crash left in ``directory`` and return them under their final names.

    The header gets its sizes from the file's length, odd bytes at the end are cut, less than 0.2 s of
    sound is removed. What is not ours is left alone. Blocks; to be called before the first call.
    """
    repaired: list[Path] = []
    for part in sorted(directory.glob("*.part.wav")):
        try:
            path = _repair(part)
        except OSError as error:
            _logger.warning("Recording %s cannot be repaired: %s", part, error)
            continue
        if path is not None:
            repaired.append(path)
    return repaired


def _repair(part: Path) -> Path | None:
    path = part.with_name(part.name.removesuffix(".part.wav") + ".wav")
    if part.is_symlink() or not part.is_file() or path.exists():
        _logger.warning("Left alone: %s is no recording of ours, or has been finished already", part)
        return None
    before = part.stat()
    with part.open("r+b") as file:
        header = file.read(WAV_HEADER_BYTES)
        ours = wav_header(2, 0)
        if not (ours[:4] + ours[8:40]).startswith(header[:4] + header[8:40]):
            _logger.warning("Left alone: %s is no recording of ours", part)
            return None
        length = max(0, before.st_size - WAV_HEADER_BYTES) // BYTES_PER_SAMPLE * BYTES_PER_SAMPLE
        if length >= SHORTEST_BYTES:
            length = min(length, LONGEST_BYTES)
            file.truncate(WAV_HEADER_BYTES + length)
            file.seek(0)
            file.write(wav_header(2, length))
    if length < SHORTEST_BYTES:
        part.unlink()
        return None
    os.utime(part, ns=(before.st_atime_ns, before.st_mtime_ns))  # its age decides when it expires
    part.replace(path)
    return path
