"""A page's call over its WebRTC connection: sound both ways, facts to the page, messages from it.

The call begins when the page's data channel opens. Nothing here raises into FastRTC or aiortc.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable, Sequence

import numpy as np

from personaplex_ui.audio.frames import SAMPLE_RATE_HZ, Samples
from personaplex_ui.audio.levels import QUIET_DBFS, rms_dbfs
from personaplex_ui.audio.pacing import Pacer
from personaplex_ui.calls.live_call import LiveCall
from personaplex_ui.calls.snapshot import End, PacketCounts, Phase
from personaplex_ui.channels.browser.answer_track import CATCHES_UP_SEC, PACKET_SEC
from personaplex_ui.channels.browser.connections import Connection, Connections
from personaplex_ui.channels.browser.facts import WAIT_TOLD_EVERY_SEC, FactsFeed
from personaplex_ui.channels.browser.following import HUNG_UP, complaint, follow
from personaplex_ui.channels.browser.messages import MessageLimit
from personaplex_ui.compat.fastrtc import ConnectionHandler
from personaplex_ui.compat.inbound_audio import InboundAudio
from personaplex_ui.errors import CallOver, PersonaplexError, ProtocolError
from personaplex_ui.logs.call_context import ID_LETTERS, enter_call

log = logging.getLogger(__name__)

CHANNEL_WITHIN_SEC = 10.0
GOODBYE_ARRIVES_SEC = 1.0
MOST_BUFFERED_BYTES = 65_536
"""Facts that a page has not read. The next ones carry what was left out."""

MOST_UNREAD = 16
"""Messages of a page that wait until the one before is done."""

SILENCE = np.zeros(int(PACKET_SEC * SAMPLE_RATE_HZ), dtype=np.float32)
LOST = "The connection was lost."
NO_CHANNEL = "The page opened no data channel. Please reload it and call again."
OUR_FAULT = "Something failed on our side. Please call again."

ClosePeer = Callable[[str], Awaitable[None]]
"""Closes the peer connection of a WebRTC id, if it still exists."""


class PageCall(ConnectionHandler):
    """One connection. FastRTC copies a prototype for each one, so the constructor is cheap."""

    def __init__(self, connections: Connections, close_peer: ClosePeer) -> None:
        super().__init__(SAMPLE_RATE_HZ)
        self.inbound: Sequence[InboundAudio] = ()
        """The inputs of the caller's packets, for their counts."""
        self._connections = connections
        self._close_peer = close_peer
        self._connection: Connection | None = None
        self._begun = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._pacer = Pacer(CATCHES_UP_SEC)
        self._feed = FactsFeed()
        self._limit = MessageLimit(time.monotonic)
        self._messages: asyncio.Queue[object] = asyncio.Queue(MOST_UNREAD)

    def copy(self) -> "PageCall":
        return PageCall(self._connections, self._close_peer)

    def attach(self, connection: Connection) -> None:
        """Serve ``connection``; before its page has the answer."""
        self._connection = connection

    @property
    def _call(self) -> LiveCall | None:
        return self._connection.call if self._connection is not None else None

    # Life ------------------------------------------------------------------------------------------

    def set_channel(self, channel: object) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """FastRTC: the page's data channel has opened."""
        super().set_channel(channel)  # pyright: ignore[reportArgumentType]
        self.on_message(self._take_message)
        if self._task is None and self._connection is not None:
            self._task = asyncio.create_task(self._run(self._connection))

    async def _run(self, connection: Connection) -> None:
        try:
            call = self._connections.open_call(connection)
            self._begun.set()
            if call is not None:
                call.packet_counts = self._packet_counts
                enter_call(call.call_id)
                await self._serve(connection, call)
            self._tell_facts(connection)
        except Exception:
            log.exception("A browser call failed.", extra=self._log_context())
            self._give_up()
        self._begun.set()
        await asyncio.sleep(GOODBYE_ARRIVES_SEC)
        # A client that ignores the end would hold its connection forever.
        await self._close_peer(connection.webrtc_id)

    async def _serve(self, connection: Connection, call: LiveCall) -> None:
        others = [asyncio.create_task(self._obey(call)), asyncio.create_task(self._tell_wait(connection))]
        try:
            async for _ in call.watch():
                self._tell_facts(connection)
        finally:
            for task in others:
                task.cancel()
            await asyncio.gather(*others, return_exceptions=True)

    async def start_up(self) -> None:
        """Never called: it belongs to FastRTC's track."""

    def lose(self) -> None:
        """The network carries nothing any more: ``shutdown``, which may follow, is nobody's hanging up."""
        if self._call is not None:
            self._call.hang_up(LOST, End.LOST)

    async def shutdown(self) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]  FastRTC awaits it
        """The peer connection is gone."""
        if self._connection is not None:
            self._connections.lose(self._connection.webrtc_id)
        if self._call is not None:
            self._call.hang_up(HUNG_UP)
        self._begun.set()

    def _give_up(self) -> None:
        if self._call is not None:
            self._call.hang_up(OUR_FAULT, End.FAILED)
        elif self._connection is not None:
            self._connection.refuse(OUR_FAULT, End.FAILED)

    # Sound -----------------------------------------------------------------------------------------

    def hear(self, samples: Samples) -> None:
        """The caller's sound as it arrives, ``[n]``."""
        call = self._call
        if call is None:
            return
        try:
            call.hear(samples)
        except Exception:
            log.exception("A browser call failed while receiving.", extra=self._log_context())
            self._give_up()

    async def next_sound(self) -> Samples:
        """The next sound for the caller, a multiple of 20 ms; silence while there is none. Asked when the
        sound before has been sent.

        Raises:
            CallOver: the call is over, or there is none.
        """
        try:
            await self._wait_until_begun()
            call = self._call
            if call is None:
                raise CallOver("There is no call.")
            return await self._answer_of(call)
        except CallOver:
            raise
        except Exception as error:
            log.exception("A browser call failed while sending.", extra=self._log_context())
            self._give_up()
            raise CallOver(OUR_FAULT) from error

    async def _wait_until_begun(self) -> None:
        if self._begun.is_set():
            return
        try:
            async with asyncio.timeout(CHANNEL_WITHIN_SEC):
                await self._begun.wait()
        except TimeoutError as error:
            connection = self._connection
            if connection is not None:
                connection.refuse(NO_CHANNEL)
                self._task = asyncio.create_task(self._close_later(connection))
            raise CallOver(NO_CHANNEL) from error

    async def _close_later(self, connection: Connection) -> None:
        await self._close_peer(connection.webrtc_id)  # it waits for the task that sends sound

    async def _answer_of(self, call: LiveCall) -> Samples:
        answer = await call.next_answer(self._pacer.dry_in_sec(time.monotonic()))
        now = time.monotonic()
        if answer is None:
            self._pacer.sent(now, PACKET_SEC, silence=True)
            return SILENCE
        spare_sec = self._pacer.spare_sec(now, call.answer_waited_sec)
        if spare_sec and rms_dbfs(answer) < QUIET_DBFS:
            answer = answer[round(spare_sec * SAMPLE_RATE_HZ) :]
        self._pacer.sent(now, len(answer) / SAMPLE_RATE_HZ)
        return answer

    def _packet_counts(self) -> PacketCounts:
        counts = [inbound.counts for inbound in self.inbound]
        return PacketCounts(
            sum(each.lost for each in counts),
            sum(each.late for each in counts),
            sum(each.concealed for each in counts),
        )

    # Facts and messages ----------------------------------------------------------------------------

    def _tell_facts(self, connection: Connection) -> None:
        if self.unread_bytes > MOST_BUFFERED_BYTES:
            return
        if news := self._connections.news(connection, self._feed):
            self.send(news)

    async def _tell_wait(self, connection: Connection) -> None:
        """The call changes only with its place, but the guess of the wait with time."""
        while connection.call is not None and connection.call.phase is Phase.WAITING:
            await asyncio.sleep(WAIT_TOLD_EVERY_SEC)
            self._tell_facts(connection)

    def _take_message(self, message: object) -> None:
        try:
            if self._limit.admit():
                with contextlib.suppress(asyncio.QueueFull):
                    self._messages.put_nowait(message)
        except ProtocolError as error:
            self._complain(error)

    async def _obey(self, call: LiveCall) -> None:
        while True:
            message = await self._messages.get()
            try:
                await follow(message, call)
            except PersonaplexError as error:
                self._complain(error)
            except Exception:
                log.exception("A page's message could not be followed.")

    def _complain(self, error: PersonaplexError) -> None:
        if self.unread_bytes <= MOST_BUFFERED_BYTES:
            self.send(complaint(error))

    def _log_context(self) -> dict[str, str]:
        # aiortc runs these in its own tasks, which begin before the call.
        return {"call": self._call.call_id[:ID_LETTERS]} if self._call is not None else {}
