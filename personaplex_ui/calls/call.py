"""One call: waiting -> preparing -> live -> ended. The part that live calls and clips share.

It does not depend on a transport. A transport takes answers with ``next_answer``; a page follows the call
with ``watch``. Everything runs on the event loop.
"""

import abc
import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import ClassVar

import anyio

from personaplex_ui.audio.frame_queue import FrameQueue
from personaplex_ui.audio.frames import FRAME_SEC, Frame
from personaplex_ui.calls.answer_queue import AnswerQueue
from personaplex_ui.calls.call_captions import CallCaptions
from personaplex_ui.calls.captions import OWN_WORDS, Captions
from personaplex_ui.calls.conversation import Conversation
from personaplex_ui.calls.cues import Cues
from personaplex_ui.calls.persona_check import check_persona_aside
from personaplex_ui.calls.settings import CallSettings
from personaplex_ui.calls.snapshot import CallStats, End, Phase, Snapshot, Transport
from personaplex_ui.engine.engine import Engine
from personaplex_ui.engine.slot import Slot
from personaplex_ui.engine.slot_pool import SlotRequest
from personaplex_ui.engine.speech_model import Answer, Sampling
from personaplex_ui.errors import CallOver, EngineFailure, EngineUnavailable, PersonaplexError

log = logging.getLogger(__name__)

WATCH_EVERY_SEC = 0.2


class Call(abc.ABC):
    """``run`` serves the whole call. It does not raise errors of the call but explains them in ``reason``."""

    paced: ClassVar[bool]
    """Whether the caller speaks in real time, so that the oldest sound is dropped if too much is queued."""

    max_sec = 0.0
    """The longest the call may be live; 0 means no limit."""

    def __init__(
        self,
        call_id: str,
        settings: CallSettings,
        engine: Engine,
        transport: Transport,
        playout: FrameQueue[tuple[float, Answer]],
        clock: Callable[[], float] = time.monotonic,
        captions: Captions = OWN_WORDS,
        cues: Cues | None = None,
    ) -> None:
        self.call_id = call_id
        self.settings = settings
        self.transport = transport
        self.phase = Phase.WAITING
        self.reason = ""
        self.end: End | None = None
        self.error: PersonaplexError | None = None
        """The error that ended the call, if one did."""
        self.waited_sec = 0.0
        """Time spent waiting for a slot. ``prepared_sec``: time the persona took after that."""
        self.prepared_sec = 0.0
        self.notes: list[str] = []
        self.conversation = Conversation()
        self.transcript = self.conversation.transcript
        self.cues = (cues or Cues()).in_role(settings.persona.text_prompt)
        self._answer_queue = AnswerQueue(playout, self.cues, self._say, clock)
        self.on_cue = self._answer_queue.on_cue
        self.live = asyncio.Event()
        self.over = asyncio.Event()
        self._engine = engine
        self._clock = clock
        self._scope = anyio.CancelScope()
        self._request: SlotRequest | None = None
        self._slot: Slot | None = None
        self._captions = CallCaptions(captions, self.hear_words)
        self._progress = 0.0
        self._change = asyncio.Event()
        """Set at the next change and then replaced by a new event."""
        self._duration_sec = 0.0
        self._stats = CallStats()

    # Life ------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Serve the call until it ends for any reason; ``reason`` then says why in a sentence."""
        try:
            with self._scope:
                await self._serve()
        except PersonaplexError as error:
            failed = self.live.is_set() or isinstance(error, EngineFailure)
            self.error = error
            self._note_end(str(error), End.FAILED if failed else End.REFUSED)
        except asyncio.CancelledError:
            self._note_end("The server ended the call.", End.SHUTDOWN)
            raise
        except Exception:
            log.exception("The call failed.")
            self._note_end("Something failed on our side. Please call again.", End.FAILED)
        finally:
            self.phase = Phase.ENDED
            self._tell_it_is_over()

    async def _serve(self) -> None:
        model = self._engine.model  # raises at once, with a sentence, while there is no model
        if self.paced and model.clips_only:
            raise EngineUnavailable(model.clips_only)
        await check_persona_aside(model, self.settings.persona)
        asked_at = self._clock()
        request = self._request = self._engine.slots.request(self._changed)
        self._changed()
        try:
            if request.slot is None:
                await self._wait_for_slot(request)
                await check_persona_aside(model, self.settings.persona)  # its voice may be gone by now
            assert request.slot is not None
            self.waited_sec = self._clock() - asked_at
            slot = await self._prepare(request.slot)
            try:
                self._slot = slot
                self._captions.begin(model, self.settings.persona.text_prompt, self.paced)
                await self._converse(slot)
            finally:
                self._answer_queue.finish()
                self._duration_sec, self._stats = self.elapsed_sec, self.stats
                self.conversation.finish()
                self._captions.finish()
                self.phase = Phase.ENDED
                self._slot = None
                if self.reason:  # already known, so nobody has to wait for the model to let go
                    self._tell_it_is_over()
                await slot.leave()
        finally:
            self._engine.slots.release(request)

    @property
    def is_opening(self) -> bool:
        """Whether it has not asked for a slot yet, since its persona is being checked."""
        return self.phase is Phase.WAITING and self._request is None

    @property
    def is_queued(self) -> bool:
        """Whether it waits for a slot."""
        return self._request is not None and self._request.place > 0

    async def _wait_for_slot(self, request: SlotRequest) -> None:
        while request.slot is None:
            await self._change.wait()

    async def _prepare(self, number: int) -> Slot:
        self.phase = Phase.PREPARING
        self._changed()
        began = self._clock()
        persona, sampling = self.settings.persona, self.settings.sampling
        slot = await self._engine.take_slot(
            number, persona, sampling, self._deliver, self._report_progress, self.paced
        )
        self.prepared_sec = self._clock() - began
        if self.settings.sampling != sampling:  # changed on the page meanwhile
            slot.change_sampling(self.settings.sampling)
        return slot

    def _report_progress(self, progress: float) -> None:
        self._progress = progress
        self._changed()

    @abc.abstractmethod
    async def _converse(self, slot: Slot) -> None:
        """Call ``_go_live`` and stay live until the end."""

    def _go_live(self) -> None:
        self.phase = Phase.LIVE
        self.live.set()
        self._changed()

    def _tell_it_is_over(self) -> None:
        self.over.set()
        self._answer_queue.close(self.reason)
        self._changed()

    def hang_up(self, reason: str, end: End = End.HUNG_UP) -> None:
        """End the call now, in any phase. The first reason given is kept."""
        if self.phase is not Phase.ENDED and not self.reason:
            self._note_end(reason, end)
            self._scope.cancel()

    def _note_end(self, reason: str, end: End) -> None:
        if self.end is None:
            self.reason, self.end = reason, end

    # Answers ---------------------------------------------------------------------------------------

    @abc.abstractmethod
    def _text_at_sec(self) -> float:
        """Session time of the text in the current answer."""

    def _deliver(self, answer: Answer | PersonaplexError) -> None:
        if isinstance(answer, PersonaplexError):
            self.hang_up(str(answer), End.FAILED)
            return
        if answer.heard is not None and self._captions.takes_own_words:
            self._captions.hear_own(answer.heard, self._heard_until_sec())
        self._answer_queue.put(answer)

    def _say(self, piece: str) -> None:
        if piece:
            at_sec = self._text_at_sec()
            self.conversation.say(piece, at_sec, at_sec + FRAME_SEC)
            self._changed()

    async def next_answer(self, timeout_sec: float | None = None) -> Frame | None:
        """The next frame for the caller to hear, as soon as there is one; None after ``timeout_sec``.

        Raises:
            CallOver: the call has ended.
        """
        taken = await self._answer_queue.take(timeout_sec)
        return taken[1].frame if taken is not None else None

    # The caller's words ----------------------------------------------------------------------------

    @abc.abstractmethod
    def _heard_until_sec(self) -> float:
        """Session time of the end of the frame that the current answer is to."""

    def hear_words(self, text: str, start_sec: float, end_sec: float) -> None:
        """See ``Conversation.hear_words``. Also after the end."""
        self.conversation.hear_words(text, start_sec, end_sec)
        self._changed()

    async def words_settled(self, within_sec: float) -> bool:
        """Returns when the words of all that the caller has said are in the conversation, as far as they will
        be, or after ``within_sec`` at the latest. False: some may still come."""
        quiet_sec = self.elapsed_sec - self.conversation.caller_spoke_until_sec
        return await self._captions.settled(within_sec, quiet_sec)

    def give_up_words(self) -> None:
        """Nobody wants more of the caller's words. Idempotent."""
        self._captions.close()

    # Changes and views -----------------------------------------------------------------------------

    def change_sampling(self, sampling: Sampling) -> None:
        """Use different temperatures and top-k values from the next frame on."""
        self.settings = replace(self.settings, sampling=sampling)
        if self._slot is not None:
            self._slot.change_sampling(sampling)

    async def speak(self, text: str, typed: bool = True) -> None:
        """Make the assistant say ``text``. ``typed``: the caller typed it, which then is a line of the
        conversation.

        Raises:
            CallOver: the call is not live.
            SpeakQueueFull: ten texts are already waiting.
        """
        await self._live_slot().speak(text)
        if typed:
            self.conversation.typed(text, self.elapsed_sec)
            self._changed()

    async def read(self, text: str) -> bool:
        """The caller wrote ``text`` in the place of speaking. False: the model takes in nothing but sound.

        Raises:
            CallOver: the call is not live.
        """
        return await self._live_slot().read(text)

    async def fall_silent(self) -> bool:
        """Have the assistant say nothing more of its present answer. False: the model cannot be told.

        Raises:
            CallOver: the call is not live.
        """
        return await self._live_slot().fall_silent()

    async def answer_with(self, replier: object) -> bool:
        """Have answers found with ``replier``. False: the model finds them itself.

        Raises:
            CallOver: the call is not live.
        """
        return await self._live_slot().answer_with(replier)

    def _live_slot(self) -> Slot:
        if self._slot is None:
            raise CallOver("The call is not live, so nothing can be said in it.")
        return self._slot

    @property
    def elapsed_sec(self) -> float:
        """Session time, or the length of an ended call."""
        return self._duration_sec if self._slot is None else self._session_sec()

    @abc.abstractmethod
    def _session_sec(self) -> float:
        """Session time of the live call."""

    @property
    def stats(self) -> CallStats:
        """The counters now, or at the end of an ended call, whose words may still be looked for."""
        stats = self._stats if self._slot is None else self._current_stats(self._slot)
        return replace(stats, dropped_utterances=self._captions.dropped)

    def _current_stats(self, slot: Slot) -> CallStats:
        waiting, dropped, _ = slot.waiting_frames()
        return CallStats(dropped, self._answer_queue.dropped, waiting + len(self._answer_queue))

    def snapshot(self) -> Snapshot:
        return Snapshot(
            call_id=self.call_id,
            phase=self.phase,
            place=self._request.place if self._request else 0,
            waiting=self._request.waiting if self._request else 0,
            preparing_progress=self._progress,
            elapsed_sec=self.elapsed_sec,
            max_sec=self.max_sec,
            reason=self.reason,
            end=self.end,
            notes=tuple(self.notes),
            utterances=self.transcript.utterances,
            lines_version=self.conversation.version,
            answer_sec=self.conversation.answer_sec,
            stats=self.stats,
        )

    def _changed(self) -> None:
        self._change.set()
        self._change = asyncio.Event()

    async def watch(self) -> AsyncIterator[Snapshot]:
        """Snapshots on every change, at most one every 0.2 s: a slow reader gets fewer, never outdated ones.
        The place in the queue follows as soon as the persona is checked."""
        while True:
            change, snapshot = self._change, self.snapshot()
            yield snapshot
            if snapshot.phase is Phase.ENDED and self.over.is_set():
                return
            if self._request is not None:
                await asyncio.sleep(WATCH_EVERY_SEC)
            await change.wait()
