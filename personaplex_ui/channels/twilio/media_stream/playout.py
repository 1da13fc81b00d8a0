"""Playout to a telephone: when the next piece is due, what was heard, and when to clear the rest.

Pure: depends on times, marks and levels only. Twilio buffers the sound it is sent and plays it; a mark sent
after sound comes back when that sound was played, or at once when it was cleared.
"""

from collections import deque

from personaplex_ui.audio.frames import FRAME_SEC, Frame
from personaplex_ui.audio.pacing import sparable_sec

CHUNK_SEC = 0.02
"""Sound in one message."""

LATE_SEC = 0.1
"""A piece later than this delays the following ones, until a pause. After a smaller delay the receiver has
run dry, so catching up at once loses nothing and the lag does not grow."""

MARK_WITHIN_SEC = 2.0
"""A mark that is not back by then never will be, so its sound counts as heard."""

SPOKEN_OVER_SEC = 0.4
"""Unplayed sound allowed while the caller speaks: the latency of the network and of Twilio's playout."""

MOST_UNPLAYED_SEC = 1.5
"""More than this is lag, no matter who speaks."""

SPEECH_DBFS = -35.0
SPEECH_FRAMES = 2
"""Consecutive loud frames that count as speech; a single one may be a cough or a click."""


class Cadence:
    """Sends pieces of 20 ms in real time, one by one.

    Answers arrive 80 ms at a time. If they were sent at once, a gap of 80 ms would follow each at the
    receiver.
    """

    def __init__(self) -> None:
        self._due = float("-inf")

    def wait_sec(self, now: float) -> float:
        """How long to hold back the next piece."""
        return max(0.0, self._due - now)

    def spare_chunks(self, now: float, waited_sec: float) -> int:
        """How many pieces of the next frame may be skipped if it is quiet; see ``Pacer.spare_sec``."""
        return round(sparable_sec(waited_sec + self.wait_sec(now)) / CHUNK_SEC)

    def sent(self, now: float) -> None:
        """A piece was sent ``now``. The next one catches up at most ``LATE_SEC``."""
        late = now - self._due > LATE_SEC
        self._due = (now if late else self._due) + CHUNK_SEC


class PhonePlayout:
    """Keeps sent frames until they were heard.

    Until a mark has come back, the peer may be one that returns none, so everything it is sent counts as
    heard.
    """

    def __init__(self) -> None:
        self._sent = 0
        self._unplayed: deque[tuple[int, float, Frame]] = deque()
        self._returns_marks = False
        self._loud_frames = 0

    @property
    def unplayed_sec(self) -> float:
        """Sound that was sent and, according to the marks, not yet played."""
        return len(self._unplayed) * FRAME_SEC

    def sent(self, frame: Frame, now: float) -> str:
        """A whole frame was sent ``now``; returns the name of the mark to send after it."""
        self._sent += 1
        self._unplayed.append((self._sent, now, frame))
        return str(self._sent)

    def heard(self, now: float) -> list[Frame]:
        """Frames that count as heard although no mark came back, oldest first. Call it after each frame."""
        if self._unplayed and now - self._unplayed[0][1] > MARK_WITHIN_SEC:
            self._returns_marks = False
        return [] if self._returns_marks else self._take(self._sent)

    def marked(self, name: str) -> list[Frame]:
        """The mark ``name`` came back; returns the frames heard up to it, oldest first."""
        number = int(name) if name.isascii() and name.isdecimal() and len(name) < 10 else 0
        if not 1 <= number <= self._sent:
            return []
        self._returns_marks = True
        return self._take(number)

    def must_clear(self, caller_dbfs: float) -> bool:
        """Whether to clear the unplayed sound; then call ``cleared``. Call it once per frame.

        True if the caller speaks over sound that was sent ahead, or if too much is unplayed, so that lag
        never grows. False after a clear until a mark has come back, so that the peer is not told repeatedly.
        """
        self._loud_frames = self._loud_frames + 1 if caller_dbfs > SPEECH_DBFS else 0
        speaks = self._loud_frames >= SPEECH_FRAMES
        return self._returns_marks and self.unplayed_sec > (SPOKEN_OVER_SEC if speaks else MOST_UNPLAYED_SEC)

    def cleared(self) -> None:
        """A clear was sent. The unplayed sound is never heard, although its marks come back now."""
        self._unplayed.clear()
        self._returns_marks = False

    def _take(self, until: int) -> list[Frame]:
        heard: list[Frame] = []
        while self._unplayed and self._unplayed[0][0] <= until:
            heard.append(self._unplayed.popleft()[2])
        return heard
