"""One session of the Realtime protocol without I/O: what each event of the client does, and what it is told.

What has to be done with the call is asked of a ``Line``; what is to be sent is given to ``send`` as JSON.
"""

import secrets
from collections.abc import Callable, Sequence
from dataclasses import replace

from personaplex_ui.audio.frames import SAMPLE_RATE_HZ, Frame, Samples
from personaplex_ui.calls.conversation_lines import Line as SpokenLine
from personaplex_ui.calls.settings import check_spoken_text
from personaplex_ui.channels.realtime import client_events as client
from personaplex_ui.channels.realtime.caller_turns import CallerTurns
from personaplex_ui.channels.realtime.caller_words import CallerWords
from personaplex_ui.channels.realtime.faults import RealtimeFault
from personaplex_ui.channels.realtime.input_sound import MOST_HELD_SEC, InputSound
from personaplex_ui.channels.realtime.items import Dialect, Item, ItemLog, Json, Kind, Role
from personaplex_ui.channels.realtime.line import Line
from personaplex_ui.channels.realtime.opening import check_settled
from personaplex_ui.channels.realtime.responses import Responses
from personaplex_ui.channels.realtime.server_events import (
    Cleared,
    ErrorTold,
    ItemAdded,
    ItemDeleted,
    ItemDone,
    ItemRetrieved,
    ItemTruncated,
    ServerEvent,
    SessionCreated,
    SessionUpdated,
    SessionWaiting,
    SpeechStarted,
    SpeechStopped,
    build,
)
from personaplex_ui.channels.realtime.session_config import SessionConfig, Voices
from personaplex_ui.channels.realtime.session_update import dialect_of, updated
from personaplex_ui.channels.realtime.sound import OGG_CAPTURE, Format, sound_in, sound_out
from personaplex_ui.channels.token_bucket import TokenBucket
from personaplex_ui.errors import InvalidInput, ProtocolError

MOST_WRITTEN_CHARACTERS = 10_000
"""Of all messages that wait for a ``response.create``; the oldest are left out."""


LATEST_SOUND_BYTES = 144_000
"""3 s of PCM: how much of its turn's beginning a client may repeat."""

BUFFER_FULL = "input_audio_buffer_full"

INTAKE_BURST_SEC = 90.0
"""Sound that is decoded at once, at most; then one and a half times as fast as it lasts."""


def random_id(prefix: str) -> str:
    return f"{prefix}_{secrets.token_hex(12)}"


class RealtimeSession:
    """``send``: takes one message. ``model``: its name, for the client. Times are monotonic seconds."""

    def __init__(
        self,
        send: Callable[[str], None],
        line: Line,
        voices: Voices,
        config: SessionConfig,
        model: str,
        dialect: Dialect = Dialect.GA,
        new_id: Callable[[str], str] = random_id,
    ) -> None:
        self.config = config
        self.dialect = dialect
        self.session_id = new_id("sess")
        self.input = InputSound()
        self._send = send
        self._line = line
        self._voices = voices
        self._model = model
        self._new_id = new_id
        self._items = ItemLog()
        self._turns = CallerTurns(self._items, lambda: new_id("item"), config.turn_detection)
        self._words = CallerWords(self._items, lambda: new_id("item"), self._turns.turns, self._turns.waits)
        self._sound_in = sound_in(config.input_format)
        self._sound_out = sound_out(config.output_format)
        self._responses = Responses(
            self._items, new_id, new_id("conv"), lambda frame: self._sound_out.append(frame)
        )
        self._responses.voice, self._responses.sounds = config.voice, config.sounds
        self._written: list[str] = []
        self._was_sent_sound = False
        self._may_repeat = False
        self._latest_sound = b""
        self._intake = TokenBucket(INTAKE_BURST_SEC)
        """Of sound, which a few bytes of Opus can hold much of."""
        self._tell([SessionCreated(self._record())])

    def _record(self) -> dict[str, object]:
        return self.config.record(self.dialect, self.session_id, self._model)

    def _tell(self, events: Sequence[ServerEvent]) -> None:
        for event in events:
            message = build(event, self.dialect, self._new_id("event"))
            if message is not None:
                self._send(message)

    # From the client -------------------------------------------------------------------------------

    def receive(self, message: bytes | str, now: float) -> bool:
        """One message. False: it was at fault, and the client was told. What is only too much is no fault."""
        try:
            event = client.parse(message)
        except RealtimeFault as fault:
            self.tell_fault(fault)
            return False
        try:
            self._tell(self._take(event, now))
        except RealtimeFault as fault:
            fault.event_id = event.event_id
            self.tell_fault(fault)
            return fault.fault == BUFFER_FULL  # how fast sound may come is limited elsewhere
        return True

    def tell_fault(self, fault: RealtimeFault) -> None:
        self._tell([ErrorTold(str(fault), fault.kind, fault.fault, fault.param, fault.event_id)])

    def tell_failure(self, sentence: str, kind: str, fault: str, cause: str = "") -> None:
        """Something could not be done, through no fault of an event."""
        self._tell([ErrorTold(sentence, kind, fault, cause=cause)])

    def _take(self, event: client.ClientEvent, now: float) -> Sequence[ServerEvent]:
        match event:
            case client.SessionUpdate(values):
                return self._update(values)
            case client.AudioAppend(sound):
                return self._append(sound, now)
            case client.AudioCommit():
                committed = self._turns.commit(self.input.held_sec)
                self._responses.caller_is_done()
                self._line.open()
                return committed
            case client.AudioClear():
                self._may_repeat = not self.input.held_sec and self.config.turn_detection is None
                self.input.clear()
                self._turns.clear()
                return [Cleared()]
            case client.ItemCreate(item):
                return self._create_item(item, now)
            case client.ItemTruncate(item_id, index, end_ms):
                item = self._items.find(item_id, "item_truncate_invalid_item_id")
                self._responses.check_truncate(item, index, end_ms)
                return [ItemTruncated(item_id, index, end_ms)]
            case client.ItemDelete(item_id):
                self._items.find(item_id, "item_delete_invalid_item_id")
                self._items.remove(item_id)
                return [ItemDeleted(item_id)]
            case client.ItemRetrieve(item_id):
                return [ItemRetrieved(self._items.find(item_id, "item_retrieve_invalid_item_id"))]
            case client.ResponseCreate(say, event_id):
                return self._create_response(say, event_id)
            case client.ResponseCancel(response_id):
                cancelled = self._responses.cancel(response_id)
                self._line.fall_silent()
                return cancelled

    def _update(self, values: Json) -> Sequence[ServerEvent]:
        new, old = updated(self.config, values, self._voices), self.config
        if new.tools and not self._line.can_call_functions:
            raise RealtimeFault(
                "This server has no language model, so it can call no functions: leave out session.tools, or "
                "have its operator set LLM_BASE_URL.",
                "tools_unavailable",
                "session.tools",
            )
        if self._line.is_open:
            check_settled(old, new)
            if new.sampling != old.sampling:
                self._line.change_sampling(new.sampling)
        self.config, self.dialect = new, dialect_of(values) or self.dialect
        self._use_formats(old)
        self._turns.detection = new.turn_detection
        self._responses.voice, self._responses.sounds = new.voice, new.sounds
        if new.tools != old.tools or new.tool_choice != old.tool_choice:
            self._line.offer_tools(() if new.tool_choice == "none" else new.tools)
        self._line.note_update(values.get("instructions") is not None)
        return [SessionUpdated(self._record())]

    def _use_formats(self, old: SessionConfig) -> None:
        if self.config.input_format is not old.input_format:
            self._sound_in = sound_in(self.config.input_format)
        if self.config.output_format is not old.output_format:
            self._sound_out = sound_out(self.config.output_format)

    def _append(self, sound: bytes, now: float, where: str = "audio") -> Sequence[ServerEvent]:
        if (
            not self._was_sent_sound
            and sound.startswith(OGG_CAPTURE)
            and self.config.input_format is Format.PCM
        ):
            # Unmute's clients do not say that they send Opus; they expect it back, and the beta's events.
            old = self.config
            self.config = replace(old, input_format=Format.OPUS, output_format=Format.OPUS)
            self.dialect = Dialect.BETA
            self._use_formats(old)
        self._was_sent_sound |= bool(sound)
        if self._is_repeated(sound):
            return []
        if not self._hear(sound, now, where):
            raise RealtimeFault(
                f"More than {MOST_HELD_SEC:.0f} s of sound wait to be heard in real time, so this piece was "
                "left out. Please send sound as it is spoken.",
                BUFFER_FULL,
                where,
            )
        self._line.note_sound()
        return []

    def _is_repeated(self, sound: bytes) -> bool:
        """Whether a client that finds its turns itself appends anew, after a ``clear``, how its turn began.
        Pipecat's do. The model has heard it."""
        repeated = self._may_repeat and bool(sound) and self._latest_sound.endswith(sound)
        self._may_repeat = False
        if repeated:
            self._turns.uncommit(len(sound) / self.config.input_format.bytes_per_sec)
        elif self.config.turn_detection is None:
            self._latest_sound = (self._latest_sound + sound)[-LATEST_SOUND_BYTES:]
        return repeated

    def _hear(self, sound: bytes, now: float, where: str) -> bool:
        """False: some of ``sound`` was too much."""
        whole = True

        def may_hear(sec: float) -> bool:
            nonlocal whole
            allowed = self._intake.allow(now, sec)
            whole &= allowed
            return allowed

        for samples in self._sound_in.receive(sound, may_hear):
            if isinstance(samples, ProtocolError):
                raise RealtimeFault(str(samples).replace(" (01)", ""), param=where)
            if self.input.put(samples, now):
                self._turns.append(len(samples) / SAMPLE_RATE_HZ)
            else:
                whole = False
        return whole

    def _create_item(self, item: Item, now: float) -> Sequence[ServerEvent]:
        if item.item_id and item.item_id in self._items:
            raise RealtimeFault(
                f"There is an item {item.item_id[:60]!r} already.", "duplicate_item_id", "item.id"
            )
        for where, sound in item.sounds:
            self._append(sound, now, where)
        if item.kind is Kind.FUNCTION_CALL_OUTPUT:
            self._line.take_result(item.call_id, item.output)
        if item.kind is Kind.MESSAGE:
            self._note_written(item)
        item = replace(item, item_id=item.item_id or self._new_id("item"), sounds=())
        before = self._items.add(item)
        return [ItemAdded(before, item), ItemDone(before, item)]

    def _note_written(self, item: Item) -> None:
        """What the client wrote waits for a ``response.create``; not what was answered in an earlier session,
        which it repeats for a model that remembers."""
        if item.role is Role.ASSISTANT:
            self._written.clear()
        elif item.role is Role.USER and item.text:
            self._written.append(item.text)
            while sum(map(len, self._written)) > MOST_WRITTEN_CHARACTERS:
                self._written.pop(0)

    def _create_response(self, say: str, event_id: str) -> Sequence[ServerEvent]:
        try:
            text = check_spoken_text(say) if say else ""
        except InvalidInput as error:
            raise RealtimeFault(str(error), param="response.extra.say") from None
        created = self._responses.create()
        self._line.open()
        if text:
            self._line.say(text, event_id)
        elif self._written:
            self._line.read("\n".join(self._written), event_id)
            self._written.clear()
        return created

    # From the call ---------------------------------------------------------------------------------

    @property
    def is_muted(self) -> bool:
        """Whether what the assistant says is not for the client, which cancelled it."""
        return self._responses.is_muted

    def tell_place(self, place: int, waiting: int) -> None:
        self._tell([SessionWaiting(place, waiting)])

    def heard(self, samples: Samples) -> None:
        """The call has been given ``samples`` ``[n]``, of the client or silence."""
        for event in self._turns.hear(samples, self.input.held_sec):
            self._tell([event])
            if isinstance(event, SpeechStarted):
                self._tell(self._responses.caller_speaks())
            elif isinstance(event, SpeechStopped):
                self._responses.caller_is_done()

    def said(self, frame: Frame, words: str) -> None:
        """The assistant's next frame ``[1920]``, and the words that came with it."""
        self._tell(self._responses.hear(frame, words))

    def wrote(self, lines: Sequence[SpokenLine]) -> None:
        """``lines`` of the conversation are what the client itself wrote."""
        self._words.leave_out(lines)

    def lines_changed(self, lines: Sequence[SpokenLine], now: float) -> None:
        """``lines`` of the conversation are new or changed; call it with none from time to time."""
        if self.config.transcribes:
            self._tell(self._words.change(lines, now, self._turns.speaking))
            self._tell(self._words.settle(now))

    def call_function(self, call_id: str, name: str, arguments: str) -> None:
        """The language model wants the client to call a function."""
        self._tell(self._responses.call_function(call_id, name, arguments))

    def finish(self, lines: Sequence[SpokenLine], now: float) -> None:
        """The call is over; ``lines``: what changed last."""
        self._tell(self._responses.finish())
        if self.config.transcribes:
            self._tell(self._words.change(lines, now, speaking=False))
            self._tell(self._words.settle(now, over=True))
