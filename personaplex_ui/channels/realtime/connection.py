"""A Realtime session over its websocket: receives, opens the call, hears, listens and says goodbye.

What each event means is decided in ``session``; here are the tasks, the call and the time.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncGenerator, Coroutine, Sequence
from typing import Any, Protocol, cast

from personaplex_ui.calls.live_call import LiveCall
from personaplex_ui.calls.settings import CallSettings
from personaplex_ui.calls.snapshot import End, Phase, Snapshot
from personaplex_ui.channels.close_codes import (
    CANNOT_BE_USED,
    ENDED,
    FAILED,
    GOING_AWAY,
    NOT_ALLOWED,
    TRY_LATER,
)
from personaplex_ui.channels.peer_websocket import ClientGone, PeerWebsocket
from personaplex_ui.channels.realtime.call_actions import Answerer, CallActions
from personaplex_ui.channels.realtime.client_events import MAX_MESSAGE_BYTES
from personaplex_ui.channels.realtime.faults import INVALID, SERVER
from personaplex_ui.channels.realtime.items import Dialect, Json
from personaplex_ui.channels.realtime.opening import Opening
from personaplex_ui.channels.realtime.outbox import Intake, Outbox
from personaplex_ui.channels.realtime.session import RealtimeSession
from personaplex_ui.channels.realtime.session_config import SessionConfig, Voices
from personaplex_ui.engine.speech_model import Persona, Sampling
from personaplex_ui.errors import CallOver, EngineUnavailable, InvalidInput, PersonaplexError
from personaplex_ui.logs.call_context import enter_call

log = logging.getLogger(__name__)

LAST_WORDS_WITHIN_SEC = 1.0
CLOSE_CODES = {End.SHUTDOWN: GOING_AWAY, End.FAILED: FAILED, End.REFUSED: TRY_LATER}
CODES = {End.TIME_LIMIT: "session_expired", End.SHUTDOWN: "server_shutdown", End.REFUSED: "no_call"}
"""Words for programs in the last error event; ``call_ended`` for others."""


FAILED_HERE = "Something failed on our side. Please call again."


TOO_FAST = (
    "So much was sent at once that some of it is left out, until it comes slower. Please send sound as it is "
    "spoken."
)


class Lines(Protocol):
    """Where calls come from."""

    def expect(self) -> None:
        """A call is to be opened soon. Raises PersonaplexError: none may be."""
        ...

    def forget(self) -> None:
        """No call will be opened any more. Idempotent."""
        ...

    def open(self, settings: CallSettings) -> LiveCall:
        """Raises PersonaplexError: there is no call to be had."""
        ...

    async def unless_closed(self, work: Coroutine[Any, Any, None]) -> None:
        """See ``CallManager.unless_closed``."""
        ...


def settings_of(config: SessionConfig) -> CallSettings:
    """Not to be recorded: who calls this way could not fetch it, which takes the cookie of a page."""
    return CallSettings(Persona(config.voice, config.instructions), config.sampling, record=False)


class Unwelcome(Exception):
    """The client violates a limit; the sentence is its goodbye."""


class RealtimeConnection:
    """One accepted websocket; the ``Line`` of its session."""

    def __init__(
        self,
        wire: PeerWebsocket,
        lines: Lines,
        answerer: Answerer,
        voices: Voices,
        config: SessionConfig,
        model: str,
        dialect: Dialect,
    ) -> None:
        self._wire = wire
        self._lines = lines
        self._answerer = answerer
        self._outbox = Outbox(wire)
        self._intake = Intake()
        self._opening = Opening(time.monotonic())
        self._wanted_sooner = asyncio.Event()
        self._sound_came = asyncio.Event()
        self._call: LiveCall | None = None
        self._actions = CallActions(answerer, lambda: self._session)
        self._pieces_told = 0
        self._lines_seen = 0
        self._session = RealtimeSession(self._outbox.put, self, voices, config, model, dialect)

    # The line of the session -----------------------------------------------------------------------

    @property
    def is_open(self) -> bool:
        return self._call is not None and self._call.phase is not Phase.WAITING

    @property
    def can_call_functions(self) -> bool:
        return self._answerer.has_language_model

    def note_update(self, names_role: bool) -> None:
        if self._call is not None and self._call.phase is Phase.WAITING:
            self._call.settings = settings_of(self._session.config)
        self._opening.note_update(names_role, time.monotonic())
        self._wanted_sooner.set()

    def note_sound(self) -> None:
        self._opening.note_sound(time.monotonic())
        self._wanted_sooner.set()
        self._sound_came.set()

    def open(self) -> None:
        self._opening.open(time.monotonic())
        self._wanted_sooner.set()

    def say(self, text: str, cause: str) -> None:
        self._actions.say(text, cause)

    def read(self, text: str, cause: str) -> None:
        self._actions.read(text, cause)

    def fall_silent(self) -> None:
        self._actions.fall_silent()

    def change_sampling(self, sampling: Sampling) -> None:
        if self._call is not None:
            self._call.change_sampling(sampling)

    def offer_tools(self, tools: Sequence[Json]) -> None:
        self._actions.use_tools(tools)

    def take_result(self, call_id: str, output: str) -> None:
        self._actions.take_result(call_id, output)

    # The life of a connection ----------------------------------------------------------------------

    async def run(self) -> None:
        """Returns when the call is over and the client was told or is gone."""
        close_code = None
        try:
            self._lines.expect()
            self._wire.allow_messages(MAX_MESSAGE_BYTES)
            async with asyncio.TaskGroup() as group:
                for part in (self._receive, self._outbox.run, self._serve):
                    group.create_task(part())
        except* CallOver:
            pass  # the reason is told below
        except* ClientGone as group_of:
            gone = _first(group_of)
            self._hang_up(str(gone), gone.end if isinstance(gone, ClientGone) else End.LOST)
        except* (Unwelcome, PersonaplexError) as group_of:
            error = _first(group_of)
            close_code = NOT_ALLOWED if isinstance(error, Unwelcome) else TRY_LATER
            self._hang_up(str(error), End.REFUSED)
            if self._call is None:
                await self._refuse(error)
        except* Exception:
            log.exception("A Realtime session failed.")
            self._hang_up(FAILED_HERE, End.FAILED)
            if self._call is None:
                await self._refuse(PersonaplexError(FAILED_HERE), FAILED)
        finally:
            self._lines.forget()
            self._actions.close()
            self._hang_up("The client hung up.", End.HUNG_UP)  # when this task was cancelled
        if self._call is not None:
            await self._say_goodbye(self._call, close_code)

    def _hang_up(self, reason: str, end: End) -> None:
        if self._call is not None:
            self._call.hang_up(reason, end)

    async def _receive(self) -> None:
        """Raises ClientGone or Unwelcome in the end."""
        while True:
            await self._outbox.wait_for_room()
            message = await self._wire.receive()
            if not self._intake.admit(message):
                if self._intake.begins_to_leave_out:
                    self._session.tell_failure(TOO_FAST, INVALID, "rate_limit_exceeded")
            elif not self._session.receive(message, time.monotonic()):
                self._intake.count_fault()
            if trouble := self._intake.trouble:
                raise Unwelcome(trouble)
            await asyncio.sleep(0)  # messages that are there already must not hold up the others

    async def _serve(self) -> None:
        """Raises CallOver in the end, or PersonaplexError if there is no call to be had."""
        await self._lines.unless_closed(self._until_wanted())
        call = self._call = self._lines.open(settings_of(self._session.config))
        enter_call(call.call_id)
        await self._tell_place(call)
        if not call.live.is_set():
            raise CallOver(call.reason)
        async with asyncio.TaskGroup() as group:
            for part in (self._actions.run, self._hear, self._listen):
                group.create_task(part(call))

    async def _until_wanted(self) -> None:
        """Until the call is to begin."""
        while wait_sec := self._opening.wait_sec(time.monotonic()):
            self._wanted_sooner.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait_sec):
                    await self._wanted_sooner.wait()

    async def _tell_place(self, call: LiveCall) -> None:
        """Until the call is live or over."""
        told = (0, 0)
        watched = cast(AsyncGenerator[Snapshot], call.watch())
        async with contextlib.aclosing(watched) as snapshots:
            async for snapshot in snapshots:
                place = (snapshot.place, snapshot.waiting)
                if snapshot.phase is Phase.WAITING and snapshot.place and place != told:
                    told = place
                    self._session.tell_place(*place)
                elif snapshot.phase in (Phase.LIVE, Phase.ENDED):
                    return

    async def _hear(self, call: LiveCall) -> None:
        """Gives the call what the client sent, in real time."""
        sound_in = self._session.input
        sound_in.begin(time.monotonic())
        while True:
            self._sound_came.clear()
            sound = sound_in.take(time.monotonic())
            if len(sound):
                call.hear(sound)
                call.left_out_samples = sound_in.left_out_samples
                self._session.heard(sound)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(sound_in.wait_sec(time.monotonic())):
                    await self._sound_came.wait()

    async def _listen(self, call: LiveCall) -> None:
        """Raises CallOver in the end."""
        while True:
            frame = await call.next_answer(heard=not self._session.is_muted)
            assert frame is not None
            self._session.said(frame, self._new_words(call))
            changed, self._lines_seen = (
                call.conversation.changed_since(self._lines_seen),
                call.conversation.version,
            )
            self._session.lines_changed(changed, time.monotonic())

    def _new_words(self, call: LiveCall) -> str:
        pieces = call.transcript.pieces
        words, self._pieces_told = "".join(pieces[self._pieces_told :]), len(pieces)
        return words

    # Goodbye ---------------------------------------------------------------------------------------

    async def _refuse(self, error: BaseException, code: int = TRY_LATER) -> None:
        """There is no call, and why."""
        kind, word = SERVER, CODES[End.REFUSED]
        if isinstance(error, Unwelcome):
            code, kind = NOT_ALLOWED, INVALID
        elif isinstance(error, EngineUnavailable):
            code, word = GOING_AWAY, CODES[End.SHUTDOWN]
        with contextlib.suppress(ClientGone):
            self._session.tell_failure(str(error), kind, word)
            await self._outbox.flush()
            await self._wire.close(code, str(error))

    async def _say_goodbye(self, call: LiveCall, close_code: int | None) -> None:
        with contextlib.suppress(ClientGone):
            if self._wire.gone:
                return
            end = call.end or End.HUNG_UP
            if call.live.is_set():
                await call.words_settled(LAST_WORDS_WITHIN_SEC)
            self._session.finish(call.conversation.changed_since(self._lines_seen), time.monotonic())
            invalid = isinstance(call.error, InvalidInput) or close_code == NOT_ALLOWED
            kind = INVALID if invalid or end is End.TIME_LIMIT else SERVER
            self._session.tell_failure(call.reason, kind, CODES.get(end, "call_ended"))
            await self._outbox.flush()
            if isinstance(call.error, InvalidInput):
                close_code = CANNOT_BE_USED
            await self._wire.close(close_code or CLOSE_CODES.get(end, ENDED), call.reason)


def _first(error: BaseException) -> BaseException:
    """One of the exceptions in a group, however deep."""
    while isinstance(error, BaseExceptionGroup):
        error = cast(BaseExceptionGroup[BaseException], error).exceptions[0]
    return error
