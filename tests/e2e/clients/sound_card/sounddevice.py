"""Stands in for the module ``sounddevice``, where there is no PortAudio: a ``Person`` is at the sound card.

Clients open one stream each way, and their callbacks are called in threads at real time, as by the real one.
When the person is done, what was heard is in ``HEARD_WAV``, and Ctrl+C is pressed.
"""

import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from tests.e2e.clients.person import Person

Callback = Callable[[Any, int, None, None], None]

_persons: dict[int, Person] = {}
_hanging_up = threading.Lock()

# Whoever started the tests in the background may have left Ctrl+C ignored.
signal.signal(signal.SIGINT, signal.default_int_handler)


class Stream:
    """``dtype``: float32 only, as these clients ask for."""

    def __init__(
        self, samplerate: float, channels: int, blocksize: int, callback: Callback, dtype: object = "float32"
    ) -> None:
        assert np.dtype(dtype) == np.float32  # pyright: ignore[reportArgumentType, reportCallIssue]
        assert channels == 1
        self._block_sec = blocksize / samplerate
        self._shape = (blocksize, channels)
        self._callback = callback
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._person = _persons.setdefault(int(samplerate), Person(int(samplerate)))

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()

    def close(self) -> None:
        self.stop()

    def __enter__(self) -> "Stream":
        self.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _run(self) -> None:
        due = time.monotonic()
        while not self._stopped.is_set():
            self._play_or_record()
            if self._person.done.is_set() and _hanging_up.acquire(blocking=False):
                self._person.keep(Path(os.environ["HEARD_WAV"]))
                os.kill(os.getpid(), signal.SIGINT)
            due += self._block_sec
            time.sleep(max(0.0, due - time.monotonic()))

    def _play_or_record(self) -> None:
        raise NotImplementedError


class InputStream(Stream):
    def _play_or_record(self) -> None:
        self._callback(self._person.say(self._shape[0]).reshape(self._shape), self._shape[0], None, None)


class OutputStream(Stream):
    def _play_or_record(self) -> None:
        sound = np.zeros(self._shape, dtype=np.float32)
        self._callback(sound, self._shape[0], None, None)
        self._person.hear(sound[:, 0])
