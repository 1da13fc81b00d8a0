"""The assistant's responses: a full-duplex stream of frames, cut into what OpenAI's clients expect. Sans-I/O.

A response begins when the assistant begins to speak, or when the client asks for one, and ends when the
assistant has been silent for a while. Its sound is sent as it comes, in real time, with the pauses in it;
the silence between two responses is not sent. The frames are the only clock.
"""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from personaplex_ui.audio.frames import FRAME_SEC, FRAMES_PER_SEC, Frame
from personaplex_ui.audio.levels import QUIET_DBFS, rms_dbfs
from personaplex_ui.channels.realtime.faults import RealtimeFault
from personaplex_ui.channels.realtime.items import MOST_ITEMS, Item, ItemLog, Kind, Role, Status
from personaplex_ui.channels.realtime.server_events import (
    ArgumentsDelta,
    ArgumentsDone,
    AudioDelta,
    AudioDone,
    ItemAdded,
    ItemDone,
    OutputItemAdded,
    OutputItemDone,
    Part,
    PartAdded,
    PartDone,
    Place,
    Response,
    ResponseCreated,
    ResponseDone,
    ServerEvent,
    TextDelta,
    TextDone,
    TranscriptDelta,
    TranscriptDone,
)

ENDS_AFTER_FRAMES = 8
"""0.64 s of silence end a response: longer than between two sentences, shorter than between two turns."""

SOUNDS_WITHIN_FRAMES = 25
"""Words may come 2 s before their sound."""

ANSWERS_WITHIN_FRAMES = 188
"""15 s: a response that was asked for, and in which nothing was said by then, ends empty."""

INTERRUPTED_WITHIN_FRAMES = 15
"""An assistant who falls silent within 1.2 s of the caller's first word was interrupted."""

MOST_FRAMES = round(120 * FRAMES_PER_SEC)
"""A response of more than 2 minutes goes on in another one."""

COMPLETED, CANCELLED, TURN_DETECTED, CLIENT_CANCELLED = (
    "completed",
    "cancelled",
    "turn_detected",
    "client_cancelled",
)


@dataclass(slots=True)
class _Active:
    response: Response
    place: Place | None = None
    """Where its message is, once something was said."""
    said: list[str] = field(default_factory=list[str])
    frames: int = 0
    quiet_frames: int = 0
    loud: bool = False
    """Whether it was heard at all. ``loud_at``: when last; ``interrupted_at``: when the caller spoke."""
    loud_at: int = 0
    interrupted_at: int | None = None


class Responses:
    """``encode``: turns a frame into the client's sound. ``sounds``: whether it wants any."""

    def __init__(
        self,
        items: ItemLog,
        new_id: Callable[[str], str],
        conversation_id: str,
        encode: Callable[[Frame], bytes],
    ) -> None:
        self.sounds = True
        self.voice = ""
        self._items = items
        self._new_id = new_id
        self._conversation_id = conversation_id
        self._encode = encode
        self._active: _Active | None = None
        self._muted = False
        self._quiet_frames = ENDS_AFTER_FRAMES
        self._onset: Frame | None = None
        """The frame before, in which speech may have begun softly."""
        self._told_frames: OrderedDict[str, int] = OrderedDict()
        """How much of its sound was told, by spoken item; the latest ones."""

    @property
    def active_id(self) -> str:
        """Empty if there is none."""
        return self._active.response.response_id if self._active else ""

    @property
    def is_muted(self) -> bool:
        """Whether what the assistant says was cancelled."""
        return self._muted

    def check_truncate(self, item: Item, index: int, end_ms: int) -> None:
        """Raises RealtimeFault: ``item`` has no sound of the assistant, or less than up to ``end_ms``."""
        told = self._told_frames.get(item.item_id)
        if told is None:
            raise RealtimeFault(
                "Only what the assistant has said as sound can be truncated.",
                "item_truncate_invalid_item",
                "item_id",
            )
        if index != 0:
            raise RealtimeFault(
                "A message of the assistant has one content, number 0.", param="content_index"
            )
        told_ms = round(told * FRAME_SEC * 1000)
        if end_ms > told_ms:
            raise RealtimeFault(
                f"Audio content of {told_ms} ms is already shorter than {end_ms} ms.", param="audio_end_ms"
            )

    # What comes about ------------------------------------------------------------------------------

    def create(self) -> list[ServerEvent]:
        """The client asks for a response.

        Raises:
            RealtimeFault: there is one.
        """
        if self._active is not None:
            raise RealtimeFault(
                f"There is a response already: {self.active_id}. Wait for its response.done, or cancel it.",
                "conversation_already_has_active_response",
            )
        self._muted = False
        return self._begin()

    def hear(self, frame: Frame, words: str) -> list[ServerEvent]:
        """The assistant's next frame ``[1920]`` and the words that came with it, if any."""
        loud = rms_dbfs(frame) >= QUIET_DBFS
        self._quiet_frames = 0 if loud else self._quiet_frames + 1
        before, self._onset = self._onset, frame
        if self._muted:
            self._muted = self._quiet_frames < ENDS_AFTER_FRAMES
            return []
        events: list[ServerEvent] = []
        if loud or words.strip():
            if self._active is None:
                events += self._begin()
            if self._active and self._active.place is None:
                events += self._begin_message(self._active)
                if before is not None and loud:
                    events += self._sound(self._active, before)
        if self._active is not None:
            if self._active.place is not None:
                self._onset = None  # it is told, and not a second time
            events += self._go_on(self._active, frame, words, loud)
        return events

    def caller_speaks(self) -> list[ServerEvent]:
        """The caller begins to speak. A full-duplex model decides itself whether it stops."""
        active = self._active
        if active is None:
            return []
        if active.place is None:
            return self._end(active, CANCELLED, TURN_DETECTED)
        if active.interrupted_at is None:
            active.interrupted_at = active.frames
        return []

    def caller_is_done(self) -> None:
        """What is said from now on is no longer what the client cancelled."""
        self._muted = False

    def cancel(self, response_id: str = "") -> list[ServerEvent]:
        """Nothing more of the present response is told, nor of what the assistant is saying.

        Raises:
            RealtimeFault: there is none, or another one.
        """
        if self._active is None or response_id not in ("", self.active_id):
            raise RealtimeFault(
                "There is no response to cancel.", "response_cancel_not_active", "response_id"
            )
        # What an earlier cancel has muted may still be spoken, though nothing of this response was.
        self._muted |= self._active.place is not None or self._quiet_frames < ENDS_AFTER_FRAMES
        return self._end(self._active, CANCELLED, CLIENT_CANCELLED)

    def call_function(self, call_id: str, name: str, arguments: str) -> list[ServerEvent]:
        """The language model wants the client to call a function; the response ends with that."""
        events = [] if self._active is not None else self._begin()
        active = self._active
        assert active is not None
        events += self._end_message(active, Status.COMPLETED)
        index = len(active.response.output)
        place = Place(self.active_id, self._new_id("item"), index, None)
        begun = Item(place.item_id, Kind.FUNCTION_CALL, Role.ASSISTANT, status=Status.IN_PROGRESS)
        begun = replace(begun, call_id=call_id, name=name)
        done = replace(begun, status=Status.COMPLETED, arguments=arguments)
        before = self._items.add(done)
        active.response = replace(active.response, output=(*active.response.output, done))
        return [
            *events,
            OutputItemAdded(place.response_id, index, begun),
            ItemAdded(before, begun),
            ArgumentsDelta(place, call_id, arguments),
            ArgumentsDone(place, call_id, name, arguments),
            OutputItemDone(place.response_id, index, done),
            ItemDone(before, done),
            *self._end(active, COMPLETED),
        ]

    def finish(self) -> list[ServerEvent]:
        """The call is over."""
        return self._end(self._active, CANCELLED, TURN_DETECTED) if self._active else []

    # Its parts -------------------------------------------------------------------------------------

    def _begin(self) -> list[ServerEvent]:
        response = Response(self._new_id("resp"), self._conversation_id, voice=self.voice, sounds=self.sounds)
        self._active = _Active(response)
        return [ResponseCreated(response)]

    def _begin_message(self, active: _Active) -> list[ServerEvent]:
        index = len(active.response.output)
        place = active.place = Place(self.active_id, self._new_id("item"), index)
        item = Item(
            place.item_id, role=Role.ASSISTANT, spoken=active.response.sounds, status=Status.IN_PROGRESS
        )
        before = self._items.add(item)
        if active.response.sounds:
            self._told_frames[place.item_id] = 0
            if len(self._told_frames) > MOST_ITEMS:
                self._told_frames.popitem(last=False)
        return [
            OutputItemAdded(place.response_id, index, item),
            ItemAdded(before, item),
            PartAdded(place, Part(active.response.sounds)),
        ]

    def _go_on(self, active: _Active, frame: Frame, words: str, loud: bool) -> list[ServerEvent]:
        active.frames += 1
        if active.place is None:
            ended = active.frames >= ANSWERS_WITHIN_FRAMES
            return self._end(active, COMPLETED) if ended else []
        events: list[ServerEvent] = []
        if words:
            active.said.append(words)
            told = TranscriptDelta if active.response.sounds else TextDelta
            events.append(told(active.place, words))
        events += self._sound(active, frame)
        if loud:
            active.loud, active.loud_at, active.quiet_frames = True, active.frames, 0
        elif words.strip():
            active.quiet_frames = 0
        else:
            active.quiet_frames += 1
        if active.quiet_frames >= (ENDS_AFTER_FRAMES if active.loud else SOUNDS_WITHIN_FRAMES):
            events += self._end(active, *self._how_it_ended(active))
        elif active.frames >= MOST_FRAMES:
            events += self._end(active, "incomplete", "max_output_tokens")
        return events

    @staticmethod
    def _how_it_ended(active: _Active) -> tuple[str, str]:
        since = active.interrupted_at
        if since is not None and active.loud_at - since <= INTERRUPTED_WITHIN_FRAMES:
            return CANCELLED, TURN_DETECTED
        return COMPLETED, ""

    def _sound(self, active: _Active, frame: Frame) -> list[ServerEvent]:
        if active.response.sounds and active.place is not None:
            self._told_frames[active.place.item_id] += 1
        sound = self._encode(frame) if active.response.sounds else b""
        return [AudioDelta(active.place, sound)] if sound and active.place is not None else []

    def _end_message(self, active: _Active, status: Status) -> list[ServerEvent]:
        place, sounds = active.place, active.response.sounds
        if place is None:
            return []
        text = "".join(active.said).strip()
        item = Item(place.item_id, role=Role.ASSISTANT, text=text, spoken=sounds, status=status)
        self._items.change(place.item_id, lambda _: item)
        active.response = replace(active.response, output=(*active.response.output, item))
        active.place = None
        ended = [AudioDone(place), TranscriptDone(place, text)] if sounds else [TextDone(place, text)]
        return [
            *ended,
            PartDone(place, Part(sounds, text)),
            OutputItemDone(place.response_id, place.output_index, item),
            ItemDone(self._items.before(place.item_id), item),
        ]

    def _end(self, active: _Active, status: str, because: str = "") -> list[ServerEvent]:
        whole = Status.COMPLETED if status == COMPLETED else Status.INCOMPLETE
        events = self._end_message(active, whole)
        self._active = None
        return [*events, ResponseDone(replace(active.response, status=status, because=because))]
