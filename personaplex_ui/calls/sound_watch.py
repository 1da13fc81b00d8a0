"""Watches the sound of live calls and warns whoever runs the server, off the tick and off the event loop.

The event loop only appends to a queue for each call; one thread of its own judges what came, four times a
second. It takes 0.05 ms for each 80 ms of a call, and never ends a call.
"""

import logging
import threading
import time
from collections import Counter, deque
from collections.abc import Mapping

import numpy as np

from personaplex_ui.audio.frames import Frame
from personaplex_ui.audio.sound_health import SoundFault, SoundHealth
from personaplex_ui.calls.repeated_words import RepeatedWords
from personaplex_ui.logs.call_context import ID_LETTERS, current_call

log = logging.getLogger(__name__)

LOOKS_EVERY_SEC = 0.25
MOST_WAITING = 400
"""Frames, levels and pieces of text of one call, some 14 s. If the thread is held up longer, the oldest are
not judged."""

WORDS = {
    SoundFault.REPEATS: "it repeats itself again and again",
    SoundFault.NOISE: "it is noise",
    SoundFault.CLIPPED: "it is clipped all the time",
    SoundFault.SILENT: "it stays silent although the caller spoke",
    SoundFault.BROKEN: "it has samples that are no numbers",
}


class WatchedSound:
    """Of one call. All methods but ``judge`` are for the event loop and take a microsecond."""

    def __init__(self, call_id: str) -> None:
        self.call_id = call_id
        self.closed = False
        self.told = False
        """Whether the log has been told of a fault: once a call is enough."""
        self._waiting: deque[Frame | float | str] = deque(maxlen=MOST_WAITING)
        self._health: SoundHealth | None = None
        self._words = RepeatedWords()

    def hear(self, frame: Frame) -> None:
        """The assistant's next frame, which nobody changes any more."""
        self._waiting.append(frame)

    def hear_caller(self, level_dbfs: float) -> None:
        """The level of the caller's next frame."""
        self._waiting.append(level_dbfs)

    def say(self, piece: str) -> None:
        """The assistant's next piece of text."""
        if piece:
            self._waiting.append(piece)

    def close(self) -> None:
        """The call is over. What came before is still judged."""
        self.closed = True

    def judge(self) -> list[SoundFault]:
        """The faults that were not there before, in what has come since the last time."""
        if self._health is None:
            if not self._waiting:
                return []
            self._health = SoundHealth()
        health = self._health
        before = len(health.faults)
        while self._waiting:
            match self._waiting.popleft():
                case str() as piece:
                    if self._words.say(piece):
                        health.note(SoundFault.REPEATS)
                case np.ndarray() as frame:
                    health.hear(frame)
                case level_dbfs:
                    if health.hear_caller(level_dbfs):
                        self._words.interrupted()
        return list(health.faults)[before:]


class SoundWatch:
    """``start`` begins the thread. ``watch`` and ``counts`` may be used without it, and from any thread."""

    def __init__(self) -> None:
        self._watched: dict[str, WatchedSound] = {}
        self._counts: Counter[SoundFault] = Counter()
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def counts(self) -> Mapping[SoundFault, int]:
        """In how many calls each fault was found since the start."""
        with self._lock:
            return {fault: self._counts[fault] for fault in SoundFault}

    def watch(self, call_id: str) -> WatchedSound:
        """``close`` what is returned when the call is over."""
        sound = WatchedSound(call_id)
        with self._lock:
            self._watched[call_id] = sound
        return sound

    def start(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="sound-watch", daemon=True)
            self._thread.start()

    def close(self) -> None:
        """End the thread, without waiting for it."""
        self._stopped.set()

    def _run(self) -> None:
        while not self._stopped.wait(LOOKS_EVERY_SEC):
            self.look()

    def look(self) -> None:
        """Judge what has come since the last time."""
        with self._lock:
            watched = list(self._watched.values())
        for sound in watched:
            is_last = sound.closed  # read first: nothing comes after it
            try:
                found = sound.judge()
            except Exception:
                log.exception("The sound of a call could not be judged.")
                found, is_last = [], True
            self._note(sound, found, is_last)
            time.sleep(0)  # let go of the interpreter between calls: the tick must not wait for this

    def _note(self, sound: WatchedSound, found: list[SoundFault], is_last: bool) -> None:
        with self._lock:
            self._counts.update(found)
            if is_last:
                self._watched.pop(sound.call_id, None)
        if found and not sound.told:
            sound.told = True
            token = current_call.set(sound.call_id[:ID_LETTERS])
            words = " and ".join(WORDS[fault] for fault in found)
            log.warning("The assistant's sound is not right: %s. Other calls: see the Status tab.", words)
            current_call.reset(token)
