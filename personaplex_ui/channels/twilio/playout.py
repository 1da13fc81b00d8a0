"""What is sent to a telephone: when the next piece is due, what was heard, and when to clear the rest.

Pure: told times, marks and levels, it knows no wire. Twilio keeps what it is sent in a buffer and plays it
on; a mark sent behind sound comes back when that sound was played, and at once when it was cleared.
"""

from collections import deque

from personaplex_ui.audio.frames import FRAME_SEC, Frame
from personaplex_ui.audio.pacing import sparable_sec

CHUNK_SEC = 0.02
"""Sound in one message."""

LATE_SEC = 0.1
"""A piece that is later than this moves those behind it, until a pause. One that is less late does not: the
receiver has run dry by then, so catching up at once loses nothing, and it never lies further behind."""

MARK_WITHIN_SEC = 2.0
"""A mark that is not back by then never will be: its sound counts as heard."""

SPOKEN_OVER_SEC = 0.4
"""Sound that may lie unplayed when the caller speaks: what the network and Twilio's own play-out take."""

MOST_UNPLAYED_SEC = 1.5
"""More than this is lag, whoever speaks."""

SPEECH_DBFS = -35.0
SPEECH_FRAMES = 2
"""Loud frames in a row that are the caller speaking: one alone may be a cough or a click."""


class Cadence:
    """Pieces of 20 ms at real time, one by one.

    Answers come 80 ms at a time. Sent at once, each would be followed by a gap of 80 ms at the receiver.
    """

    def __init__(self) -> None:
        self._due = float("-inf")

    def wait_sec(self, now: float) -> float:
        """How long to hold back the next piece."""
        return max(0.0, self._due - now)

    def spare_chunks(self, now: float, waited_sec: float) -> int:
        """How many pieces of the next frame may be left out where it is quiet, see ``Pacer.spare_sec``."""
        return round(sparable_sec(waited_sec + self.wait_sec(now)) / CHUNK_SEC)

    def sent(self, now: float) -> None:
        """A piece went out ``now``: at most ``LATE_SEC`` of lateness is caught up, by the next one."""
        late = now - self._due > LATE_SEC
        self._due = (now if late else self._due) + CHUNK_SEC


class PhonePlayout:
    """Keeps the frames that were sent until they were heard.

    Until a mark has come back, the peer may be one that returns none: all that it is sent counts as heard.
    """

    def __init__(self) -> None:
        self._sent = 0
        self._unplayed: deque[tuple[int, float, Frame]] = deque()
        self._returns_marks = False
        self._loud_frames = 0

    @property
    def unplayed_sec(self) -> float:
        """Sound that was sent and, by the marks, not yet played."""
        return len(self._unplayed) * FRAME_SEC

    def sent(self, frame: Frame, now: float) -> str:
        """A whole frame went out ``now``; returns the name of the mark to send behind it."""
        self._sent += 1
        self._unplayed.append((self._sent, now, frame))
        return str(self._sent)

    def heard(self, now: float) -> list[Frame]:
        """Frames that count as heard though no mark came back, oldest first. To be asked after each frame."""
        if self._unplayed and now - self._unplayed[0][1] > MARK_WITHIN_SEC:
            self._returns_marks = False
        return [] if self._returns_marks else self._take(self._sent)

    def marked(self, name: str) -> list[Frame]:
        """The mark ``name`` came back; returns the frames that were heard until then, oldest first."""
        number = int(name) if name.isascii() and name.isdecimal() and len(name) < 10 else 0
        if not 1 <= number <= self._sent:
            return []
        self._returns_marks = True
        return self._take(number)

    def must_clear(self, caller_dbfs: float) -> bool:
        """Whether to clear what is unplayed; then call ``cleared``. To be asked once a frame.

        When the caller speaks over sound that was sent ahead, and whenever too much is unplayed: lag never
        grows. Not after another clear until a mark has come back, so that a peer is not told again and again.
        """
        self._loud_frames = self._loud_frames + 1 if caller_dbfs > SPEECH_DBFS else 0
        speaks = self._loud_frames >= SPEECH_FRAMES
        return self._returns_marks and self.unplayed_sec > (SPOKEN_OVER_SEC if speaks else MOST_UNPLAYED_SEC)

    def cleared(self) -> None:
        """A clear was sent. What was unplayed is never heard, though its marks come back now."""
        self._unplayed.clear()
        self._returns_marks = False

    def _take(self, until: int) -> list[Frame]:
        heard: list[Frame] = []
        while self._unplayed and self._unplayed[0][0] <= until:
            heard.append(self._unplayed.popleft()[2])
        return heard
