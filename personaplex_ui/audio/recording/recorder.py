"""The recording of a call, written while it runs: a WAV with the caller left and the assistant right.

Depends on sample positions and the one thread that touches the disk, not on a clock or asyncio: whoever
places sound says where it ends, in samples since the call's start, and never waits for the disk.
"""

import logging
import queue
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from personaplex_ui.audio.files.clip_file import to_pcm16
from personaplex_ui.audio.frames import SAMPLE_RATE_HZ, Samples
from personaplex_ui.audio.recording.file import (
    BYTES_PER_SAMPLE,
    LONGEST_BYTES,
    OpenFile,
    PartFile,
    create_file,
    stopped,
)
from personaplex_ui.errors import RecordingFailed

JITTER_SAMPLES = SAMPLE_RATE_HZ // 10
"""A chunk that is up to this late goes right after the previous one."""
LEAD_SAMPLES = SAMPLE_RATE_HZ // 2
"""A track gets no further ahead of the clock than this (a burst after a stall); excess sound is left out."""
QUIET = 0.003
"""Peak of sound that may be left out to bring a track that is ahead back in line with the clock."""
WAIT_SAMPLES = 2 * SAMPLE_RATE_HZ
"""How long the newest sound waits for the other side, which then counts as silent there."""
BATCH_SAMPLES = SAMPLE_RATE_HZ // 2
WAITING_BYTES = 10 * SAMPLE_RATE_HZ * BYTES_PER_SAMPLE
"""When more sound than this waits for the disk, the recording ends."""

T = TypeVar("T")
Pcm = npt.NDArray[np.int16]

_logger = logging.getLogger(__name__)


class RecordingWriter:
    """Owns the thread that does the disk work of all recordings, in order. Close it after the last call."""

    def __init__(self, open_file: OpenFile = create_file) -> None:
        self._open_file = open_file
        self._jobs: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._files: set[PartFile] = set()
        self._lock = threading.Lock()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="recordings", daemon=True)
        self._thread.start()

    def file(self, path: Path) -> "PartFile":
        """A new file for the recording ``path``; submit its jobs, then ``finish`` it."""
        file = PartFile(path, self._open_file)
        with self._lock:
            self._files.add(file)
        return file

    def submit(self, job: Callable[[], T]) -> "Future[T]":
        """Run ``job`` after earlier ones; its future cannot be cancelled. Raises RecordingFailed if
        closed."""
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
        """Write queued sound, finish open files, and wait for the disk for at most ``timeout_sec``."""
        with self._lock:
            if not self._closed:
                self._closed = True
                self._jobs.put(None)
        self._thread.join(timeout_sec)
        if self._thread.is_alive():
            _logger.warning(
                "The disk did not accept the recordings within %.0f s; they end early.", timeout_sec
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

        A chunk goes right after the previous one, unless that would be more than 100 ms too early: then
        silence fills the gap. A track that is ahead of the clock stays ahead (jitter cuts no sound) until it
        is quiet, and is never more than 0.5 s ahead.
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
            except RecordingFailed as error:
                self._failed = self._failed or error
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
        """Give the writer everything before sample ``until``; gaps of both sides are silence."""
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
