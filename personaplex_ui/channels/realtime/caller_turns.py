"""The caller's turns: where speech begins and ends, and the items that they become. Sans-I/O.

Loud enough for long enough is speech, as for the call's own transcript (``audio.levels``). A full-duplex
model hears everything at once; turns are for the client.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace

from personaplex_ui.audio.frames import FRAME_SEC, SAMPLE_RATE_HZ, FrameCutter, Samples
from personaplex_ui.audio.levels import SPEECH_DBFS, rms_dbfs
from personaplex_ui.channels.realtime.faults import RealtimeFault
from personaplex_ui.channels.realtime.items import Item, ItemLog
from personaplex_ui.channels.realtime.server_events import (
    Committed,
    ItemAdded,
    ItemDone,
    ServerEvent,
    SpeechStarted,
    SpeechStopped,
)
from personaplex_ui.channels.realtime.session_config import TurnDetection

SPEECH_FRAMES = 2
"""Loud frames in a row that make speech; less is a click."""

THRESHOLD_DB = 40.0
"""How much a threshold of 1 is louder than one of 0; 0.5 is the level of ``SPEECH_DBFS``."""

LATEST_TURNS = 32
"""Words that come later than so many turns make an item of their own."""

LEAST_COMMIT_SEC = 0.1

LEAST_SEC = 1e-6
"""Less than that is rounding."""

BESIDE_SEC = 1.0
"""Words may be so far from the sound of their turn."""


@dataclass(frozen=True, slots=True)
class CallersTurn:
    """In seconds from the begin of the call."""

    item_id: str
    start_sec: float
    end_sec: float


class CallerTurns:
    """``new_id``: gives ids of items. ``detection``: None if the client commits its turns."""

    def __init__(self, items: ItemLog, new_id: Callable[[], str], detection: TurnDetection | None) -> None:
        self.detection = detection
        self.turns: deque[CallersTurn] = deque(maxlen=LATEST_TURNS)
        self._items = items
        self._new_id = new_id
        self._cutter = FrameCutter()
        self._frames = 0
        self._loud_frames = 0
        self._quiet_frames = 0
        self._began_sec = 0.0
        self._item_id = ""
        """Of the turn in which the caller speaks now."""
        self._committed_sec = 0.0
        """Later than now while what was committed is still to be heard."""
        self._appended_sec = 0.0
        """By the client since what is committed ends."""
        self._waiting_sec = 0.0
        self._spoke = False
        """Whether there was speech since what is committed ends."""

    @property
    def heard_sec(self) -> float:
        return self._frames * FRAME_SEC

    @property
    def speaking(self) -> bool:
        return bool(self._item_id)

    def waits(self, start_sec: float) -> bool:
        """Whether words that begin then are of a turn that the client is still to commit."""
        if self.detection is not None or start_sec < self._committed_sec:
            return False
        late = bool(self.turns) and start_sec <= self._committed_sec + BESIDE_SEC
        return self._spoke or not late

    def append(self, sec: float) -> None:
        """The client has sent so much, which is to be heard."""
        self._appended_sec += sec

    def hear(self, samples: Samples, waiting_sec: float | None = None) -> list[ServerEvent]:
        """What the call hears next, silence too. ``waiting_sec``: of what the client sent, so much is still
        to be heard after it; None if nothing is left out of what waits."""
        if waiting_sec is not None:
            self._waiting_sec = waiting_sec
            still_sec = max(0.0, waiting_sec - self._appended_sec)
            self._end_committed_by(self._given_sec + len(samples) / SAMPLE_RATE_HZ + still_sec)
        events: list[ServerEvent] = []
        for frame in self._cutter.cut(samples):
            self._frames += 1
            events += self._hear_frame(rms_dbfs(frame))
        return events

    @property
    def _given_sec(self) -> float:
        return self.heard_sec + self._cutter.pending_samples / SAMPLE_RATE_HZ

    def _end_committed_by(self, sec: float) -> None:
        """What was committed ends sooner if pauses in it were left out, or all the rest of it."""
        if self._committed_sec <= sec:
            return
        self._committed_sec = sec
        if self.turns and self.turns[-1].end_sec > sec:
            turn = self.turns.pop()
            self.turns.append(replace(turn, end_sec=max(turn.start_sec, sec)))

    def commit(self, waiting_sec: float) -> list[ServerEvent]:
        """The client says that its turn is over; ``waiting_sec`` of it has not been heard yet.

        Raises:
            RealtimeFault: nothing was appended since the last turn.
        """
        if self._appended_sec < LEAST_COMMIT_SEC:
            raise RealtimeFault(
                "There is no sound to commit: at least 100 ms must have been appended since the last commit.",
                "input_audio_buffer_commit_empty",
            )
        end_sec = max(self._committed_sec, self._given_sec + waiting_sec)
        item_id, self._item_id = self._item_id or self._new_id(), ""
        self._appended_sec = 0.0
        return self._close_turn(CallersTurn(item_id, self._committed_sec, end_sec))

    def clear(self) -> None:
        """What was not committed is forgotten; a full-duplex model has heard it all the same."""
        self._end_committed_by(self.heard_sec)
        self._committed_sec = self.heard_sec
        self._item_id = ""
        self._appended_sec = 0.0
        self._forget_speech()

    def uncommit(self, sec: float) -> None:
        """The last ``sec`` of what was heard are of the next turn."""
        self._committed_sec = max(0.0, self._committed_sec - sec)
        self._appended_sec += sec

    def _forget_speech(self) -> None:
        self._loud_frames = 0
        self._spoke = False

    def _hear_frame(self, level_dbfs: float) -> list[ServerEvent]:
        loud = level_dbfs >= self._threshold_dbfs
        self._loud_frames = self._loud_frames + 1 if loud else 0
        self._quiet_frames = 0 if loud else self._quiet_frames + 1
        if self.heard_sec - FRAME_SEC < self._committed_sec - LEAST_SEC:
            self._forget_speech()  # it is of a turn that is over already
        self._spoke |= self._loud_frames >= SPEECH_FRAMES
        if self.detection is None:
            return []
        if not self._item_id and self._loud_frames >= SPEECH_FRAMES:
            return self._begin(self.detection)
        if self._item_id and self._quiet_frames * FRAME_SEC >= self.detection.silence_ms / 1000:
            return self._end()
        return []

    @property
    def _threshold_dbfs(self) -> float:
        threshold = self.detection.threshold if self.detection is not None else 0.5
        return SPEECH_DBFS + THRESHOLD_DB * (threshold - 0.5)

    def _begin(self, detection: TurnDetection) -> list[ServerEvent]:
        spoke_from = self.heard_sec - SPEECH_FRAMES * FRAME_SEC
        self._began_sec = max(self._committed_sec, spoke_from - detection.padding_ms / 1000)
        self._item_id = self._new_id()
        return [SpeechStarted(round(self._began_sec * 1000), self._item_id)]

    def _end(self) -> list[ServerEvent]:
        item_id, self._item_id = self._item_id, ""
        end_sec = self.heard_sec
        self._appended_sec = self._waiting_sec
        stopped = SpeechStopped(round(end_sec * 1000), item_id)
        return [stopped, *self._close_turn(CallersTurn(item_id, self._began_sec, end_sec))]

    def _close_turn(self, turn: CallersTurn) -> list[ServerEvent]:
        self._committed_sec = turn.end_sec
        self._forget_speech()
        self.turns.append(turn)
        item = Item(turn.item_id, spoken=True)
        before = self._items.add(item)
        return [Committed(before, turn.item_id), ItemAdded(before, item), ItemDone(before, item)]
