"""The caller's turns: where speech begins and ends, and the items that they become. Sans-I/O.

Loud enough for long enough is speech, as for the call's own transcript (``audio.levels``). A full-duplex
model hears everything at once; turns are for the client.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

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

    @property
    def heard_sec(self) -> float:
        return self._frames * FRAME_SEC

    @property
    def speaking(self) -> bool:
        return bool(self._item_id)

    def hear(self, samples: Samples) -> list[ServerEvent]:
        """What the call hears next, silence too."""
        events: list[ServerEvent] = []
        for frame in self._cutter.cut(samples):
            self._frames += 1
            events += self._hear_frame(rms_dbfs(frame))
        return events

    def commit(self, waiting_sec: float) -> list[ServerEvent]:
        """The client says that its turn is over; ``waiting_sec`` of it has not been heard yet.

        Raises:
            RealtimeFault: nothing was said since the last turn.
        """
        end_sec = self.heard_sec + self._cutter.pending_samples / SAMPLE_RATE_HZ + waiting_sec
        if end_sec - self._committed_sec < LEAST_COMMIT_SEC:
            raise RealtimeFault(
                "There is no sound to commit: at least 100 ms must have been appended since the last commit.",
                "input_audio_buffer_commit_empty",
            )
        item_id, self._item_id = self._item_id or self._new_id(), ""
        self._loud_frames = 0
        return self._close_turn(CallersTurn(item_id, self._committed_sec, end_sec))

    def clear(self) -> None:
        """What was not committed is forgotten; a full-duplex model has heard it all the same."""
        self._committed_sec = self.heard_sec
        self._item_id = ""
        self._loud_frames = 0

    def uncommit(self, sec: float) -> None:
        """The last ``sec`` of what was heard are of the next turn."""
        self._committed_sec = max(0.0, self._committed_sec - sec)

    def _hear_frame(self, level_dbfs: float) -> list[ServerEvent]:
        loud = level_dbfs >= self._threshold_dbfs
        self._loud_frames = self._loud_frames + 1 if loud else 0
        self._quiet_frames = 0 if loud else self._quiet_frames + 1
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
        stopped = SpeechStopped(round(end_sec * 1000), item_id)
        return [stopped, *self._close_turn(CallersTurn(item_id, self._began_sec, end_sec))]

    def _close_turn(self, turn: CallersTurn) -> list[ServerEvent]:
        self._committed_sec = turn.end_sec
        self.turns.append(turn)
        item = Item(turn.item_id, spoken=True)
        before = self._items.add(item)
        return [Committed(before, turn.item_id), ItemAdded(before, item), ItemDone(before, item)]
