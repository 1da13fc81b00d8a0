"""The browser's transport: FastRTC passes in the microphone's sound and takes the assistant's.

Implements FastRTC's handler interface; ``compat.fastrtc`` contains the workarounds.
"""

# Gradio and FastRTC are only partly typed:
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from fastrtc import CloseStream

from personaplex_ui.audio.frames import SAMPLE_RATE_HZ
from personaplex_ui.audio.levels import QUIET_DBFS, rms_dbfs
from personaplex_ui.audio.pacing import Pacer
from personaplex_ui.calls.live_call import LiveCall
from personaplex_ui.calls.manager import CallManager
from personaplex_ui.calls.settings import CallSettings
from personaplex_ui.calls.snapshot import End, PacketCounts, Phase
from personaplex_ui.compat.aiortc import InboundAudio
from personaplex_ui.compat.fastrtc import MendedStreamHandler
from personaplex_ui.errors import CallOver, PersonaplexError
from personaplex_ui.logs.call_context import ID_LETTERS, enter_call

log = logging.getLogger(__name__)

ARGUMENTS_WITHIN_SEC = 10.0
GOODBYE_ARRIVES_SEC = 1.0
KEPT_OVER = 20
SILENCE_SEC = 0.02
SILENCE = np.zeros((1, int(SILENCE_SEC * SAMPLE_RATE_HZ)), dtype=np.int16)

ReadSettings = Callable[[Sequence[object]], tuple[CallSettings, str, str]]
"""Turns the values of the page's inputs into the settings of a call, its owner's key and the client's
address. Raises ``InvalidInput``."""

ClosePeer = Callable[[str], Awaitable[None]]
"""Closes the peer connection of a WebRTC id, if it still exists."""

Sound = tuple[int, npt.NDArray[np.int16]]


@dataclass(frozen=True, slots=True)
class Connection:
    """The outcome of one WebRTC connection: a call of ``owner``, or a refusal with a sentence."""

    call: LiveCall | None = None
    owner: str = ""
    refusal: str = ""

    @property
    def over(self) -> bool:
        return self.call is None or self.call.over.is_set()


class BrowserCalls:
    """The pages' connections by WebRTC id, so that a page finds what to show."""

    def __init__(self, call_manager: CallManager) -> None:
        self.call_manager = call_manager
        self._connections: dict[str, Connection] = {}

    def open(self, webrtc_id: str, settings: CallSettings, owner: str, address: str = "") -> LiveCall:
        """Raises TooManyCalls."""
        call = self.call_manager.open(settings, owner, address=address)
        self._note(webrtc_id, Connection(call, owner))
        return call

    def refuse(self, webrtc_id: str, sentence: str) -> None:
        self._note(webrtc_id, Connection(refusal=sentence))

    def of(self, webrtc_id: str) -> Connection:
        """The connection, or an empty one if the id is unknown."""
        return self._connections.get(webrtc_id, Connection())

    def _note(self, webrtc_id: str, connection: Connection) -> None:
        # Pages ask within a second, so nobody will ask for a connection older than 20 ended ones.
        over = [known for known, connection in self._connections.items() if connection.over]
        for known in over[:-KEPT_OVER]:
            del self._connections[known]
        self._connections[webrtc_id] = connection


class BrowserCall(MendedStreamHandler):
    """One WebRTC connection. FastRTC copies a prototype for each one, so the constructor is cheap.

    ``start_up``, ``receive`` and ``emit`` run concurrently. Nothing here raises into FastRTC, which would
    show the raw message and leave the peer connection open forever.
    """

    def __init__(self, calls: BrowserCalls, read_settings: ReadSettings, close_peer: ClosePeer) -> None:
        super().__init__(SAMPLE_RATE_HZ)
        self._calls = calls
        self._read_settings = read_settings
        self._close_peer = close_peer
        self._call: LiveCall | None = None
        self._refusal = ""
        self._closed = False
        self._pacer = Pacer()
        self.inbound: Sequence[InboundAudio] = ()
        """The inputs of the caller's packets; the component sets them for each connection."""

    def copy(self) -> "BrowserCall":
        return BrowserCall(self._calls, self._read_settings, self._close_peer)

    async def start_up(self) -> None:
        try:
            async with asyncio.timeout(ARGUMENTS_WITHIN_SEC):
                await self.wait_for_args()
            webrtc_id, settings, owner, address = self._read_arguments()
            if self._closed:
                return
            self._call = self._calls.open(webrtc_id, settings, owner, address)
            self._call.packet_counts = self._packet_counts
            enter_call(self._call.call_id)
            self.send("fetch_output")
        except TimeoutError:
            self._refusal = "The page did not send its settings. Please reload it and call again."
        except PersonaplexError as error:
            self._refusal = str(error)
            self._calls.refuse(self.arguments[0], self._refusal)
            self.send("fetch_output")
        except Exception:
            log.exception("A browser call could not begin.")
            self._give_up("Something failed on our side. Please reload the page and call again.")

    def _read_arguments(self) -> tuple[str, CallSettings, str, str]:
        webrtc_id, inputs = self.arguments
        return webrtc_id, *self._read_settings(inputs)

    def set_args(self, args: list[object]) -> None:
        """The page sends its inputs when the call begins, and again whenever one changes."""
        super().set_args(args)
        if self._call is None or self._call.phase is Phase.ENDED:
            return
        try:
            _, settings, _, _ = self._read_arguments()
        except PersonaplexError:
            return  # the page shows the message beside the field; the call keeps its values
        if settings.sampling != self._call.settings.sampling:
            self._call.change_sampling(settings.sampling)

    def _packet_counts(self) -> PacketCounts:
        counts = [inbound.counts for inbound in self.inbound]
        return PacketCounts(
            sum(each.lost for each in counts),
            sum(each.late for each in counts),
            sum(each.concealed for each in counts),
        )

    async def receive(self, frame: Sound) -> None:
        if self._call is None or self._refusal:
            return
        try:
            _, samples = frame
            self._call.hear(samples.reshape(-1).astype(np.float32) / 32768.0)
        except Exception:
            log.exception("A browser call failed while receiving.", extra=self._log_context())
            self._give_up("Something failed on our side. Please call again.")

    async def emit(self) -> Sound | CloseStream | None:
        """The next sound to send, in real time; silence while there is none."""
        if self._closed:
            await self._stop_asking()
            return None
        try:
            await asyncio.sleep(self._pacer.wait_sec(time.monotonic()))
            return await self._next_sound()
        except CallOver as over:
            self._closed = True
            return CloseStream(str(over))
        except Exception:
            log.exception("A browser call failed while sending.", extra=self._log_context())
            self._closed = True
            self._give_up("Something failed on our side. Please call again.")
            await self.shutdown()
            return CloseStream("Something failed on our side. Please call again.")

    async def _next_sound(self) -> Sound:
        if self._refusal:
            raise CallOver(self._refusal)
        dry_in_sec = self._pacer.dry_in_sec(time.monotonic())
        if self._call is None:
            await asyncio.sleep(dry_in_sec)
            answer = None
        else:
            answer = await self._call.next_answer(dry_in_sec)
        now = time.monotonic()
        if self._call is None or answer is None:
            self._pacer.sent(now, SILENCE_SEC, silence=True)
            return SAMPLE_RATE_HZ, SILENCE
        spare_sec = self._pacer.spare_sec(now, self._call.answer_waited_sec)
        if spare_sec and rms_dbfs(answer) < QUIET_DBFS:
            answer = answer[round(spare_sec * SAMPLE_RATE_HZ) :]
        self._pacer.sent(now, len(answer) / SAMPLE_RATE_HZ)
        return SAMPLE_RATE_HZ, (np.clip(answer, -1.0, 1.0) * 32767.0).astype(np.int16).reshape(1, -1)

    def _log_context(self) -> dict[str, str]:
        # FastRTC runs these in its own tasks, which begin before the call.
        return {"call": self._call.call_id[:ID_LETTERS]} if self._call is not None else {}

    def _give_up(self, sentence: str) -> None:
        self._refusal = sentence
        if self._call is not None:
            self._call.hang_up(sentence, End.FAILED)

    async def shutdown(self) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]  FastRTC awaits it
        """The peer connection is gone."""
        self._closed = True
        if self._call is not None:
            self._call.hang_up("You hung up.")

    async def _stop_asking(self) -> None:
        # A client that ignores the request to hang up would hold its connection forever.
        await asyncio.sleep(GOODBYE_ARRIVES_SEC)
        webrtc_id = self.stop_track()
        if webrtc_id is not None:
            await self._close_peer(webrtc_id)
