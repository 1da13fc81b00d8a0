"""The browser's transport: FastRTC hands in the microphone's sound and takes the assistant's.

Knows FastRTC's handler interface; all that is peculiar about the component itself is in ``webrtc_component``.
"""

# Gradio and FastRTC are typed in part only:
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable, Generator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from aiortc.exceptions import InvalidStateError
from av import AudioFrame, AudioResampler
from fastrtc import AsyncStreamHandler, CloseStream
from fastrtc.utils import create_message

from personaplex_ui.audio.frames import SAMPLE_RATE_HZ
from personaplex_ui.audio.levels import QUIET_DBFS, rms_dbfs
from personaplex_ui.audio.pacing import Pacer
from personaplex_ui.calls.live_call import LiveCall
from personaplex_ui.calls.manager import CallManager
from personaplex_ui.calls.settings import CallSettings
from personaplex_ui.calls.snapshot import End, PacketCounts, Phase
from personaplex_ui.compat.aiortc_audio import InboundAudio
from personaplex_ui.errors import CallOver, PersonaplexError
from personaplex_ui.logs.call_context import ID_LETTERS, enter_call

log = logging.getLogger(__name__)

ARGUMENTS_WITHIN_SEC = 10.0
GOODBYE_ARRIVES_SEC = 1.0
KEPT_ENDED = 10
SILENCE_SEC = 0.02
SILENCE = np.zeros((1, int(SILENCE_SEC * SAMPLE_RATE_HZ)), dtype=np.int16)

ReadSettings = Callable[[Sequence[object]], tuple[CallSettings, str, str]]
"""Makes of the values of the page's inputs the settings of a call, the key of its owner and the address it
comes from. Raises ``InvalidInput``."""

ClosePeer = Callable[[str], Awaitable[None]]
"""Closes the peer connection of a WebRTC id, if it is still there."""

Sound = tuple[int, npt.NDArray[np.int16]]


class BrowserCalls:
    """Which call, or which refusal, belongs to which WebRTC connection: how a page finds what to show."""

    def __init__(self, call_manager: CallManager) -> None:
        self.call_manager = call_manager
        self._calls: dict[str, LiveCall] = {}
        self._owners: dict[str, str] = {}
        self._refusals: dict[str, str] = {}

    def open(self, webrtc_id: str, settings: CallSettings, owner: str, address: str = "") -> LiveCall:
        """Raises TooManyCalls."""
        self._forget_ended()
        self._calls[webrtc_id] = call = self.call_manager.open(settings, owner, address=address)
        self._owners[webrtc_id] = owner
        return call

    def refuse(self, webrtc_id: str, sentence: str) -> None:
        self._forget_ended()
        self._refusals[webrtc_id] = sentence

    def call_of(self, webrtc_id: str) -> LiveCall | None:
        return self._calls.get(webrtc_id)

    def is_owner(self, webrtc_id: str, owner: str) -> bool:
        return self._owners.get(webrtc_id) == owner

    def refusal_of(self, webrtc_id: str) -> str:
        return self._refusals.get(webrtc_id, "")

    def _forget_ended(self) -> None:
        # Pages ask within a second; what 10 later connections have pushed aside nobody will ask for.
        ended = [key for key, call in self._calls.items() if call.over.is_set()]
        for key in ended[:-KEPT_ENDED]:
            del self._calls[key], self._owners[key]
        for key in list(self._refusals)[:-KEPT_ENDED]:
            del self._refusals[key]


class BrowserCall(AsyncStreamHandler):
    """One WebRTC connection. FastRTC copies a prototype for each, so the constructor does nothing costly.

    ``start_up``, ``receive`` and ``emit`` run beside each other. Nothing here raises into FastRTC: it would
    show the raw text and leave the peer connection open for ever.
    """

    def __init__(self, calls: BrowserCalls, read_settings: ReadSettings, close_peer: ClosePeer) -> None:
        super().__init__("mono", output_sample_rate=SAMPLE_RATE_HZ, input_sample_rate=SAMPLE_RATE_HZ)
        self._calls = calls
        self._read_settings = read_settings
        self._close_peer = close_peer
        self._call: LiveCall | None = None
        self._refusal = ""
        self._closed = False
        self._pacer = Pacer()
        self.inbound: Sequence[InboundAudio] = ()
        """Where the caller's packets come in; given to each connection by the component."""
        self._resampler: AudioResampler | None = None
        self._resampled_kind = ("", "", 0)

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
            self._send("fetch_output")
        except TimeoutError:
            self._refusal = "The page did not send its settings. Please reload it and call again."
        except PersonaplexError as error:
            self._refusal = str(error)
            self._calls.refuse(str(self.latest_args[1]), self._refusal)
            self._send("fetch_output")
        except Exception:
            log.exception("A browser call could not begin.")
            self._give_up("Something failed on our side. Please reload the page and call again.")

    def _read_arguments(self) -> tuple[str, CallSettings, str, str]:
        # latest_args is ["__webrtc_value__", webrtc_id, *inputs] in Blocks.
        arguments: list[Any] = self.latest_args
        return str(arguments[1]), *self._read_settings(arguments[2:])

    def set_args(self, args: list[Any]) -> None:
        """The page sends its inputs when the call begins, and again whenever one changes."""
        super().set_args(args)
        if self._call is None or self._call.phase is Phase.ENDED:
            return
        try:
            _, settings, _, _ = self._read_arguments()
        except PersonaplexError:
            return  # the page shows the sentence at the field; the call keeps its values
        if settings.sampling != self._call.settings.sampling:
            self._call.change_sampling(settings.sampling)

    def resample(self, frame: AudioFrame) -> Generator[AudioFrame, None, None]:
        """As FastRTC's, but in the packets' own 20 ms: it would wait for 40."""
        kind = (frame.format.name, frame.layout.name, frame.sample_rate)
        if self._resampler is None or kind != self._resampled_kind:  # a client may change its codec
            self._resampler = AudioResampler(format="s16", layout="mono", rate=SAMPLE_RATE_HZ)
            self._resampled_kind = kind
        yield from self._resampler.resample(frame)

    def _packet_counts(self) -> PacketCounts:
        counts = [each for inbound in self.inbound for each in inbound.counts]
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
            log.exception("A browser call failed while it received.", extra=self._log_context())
            self._give_up("Something failed on our side. Please call again.")

    async def emit(self) -> Sound | CloseStream | None:
        """The next sound to send, at the pace it is heard; silence while there is none."""
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
            log.exception("A browser call failed while it sent.", extra=self._log_context())
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
        # FastRTC runs these in tasks of its own, which begin before the call.
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
        # FastRTC asks for sound until the track is stopped, and where the connection failed it never is. A
        # client that does not hang up when it is told to would hold its connection for ever.
        await asyncio.sleep(GOODBYE_ARRIVES_SEC)
        clear_queue: Any = self._clear_queue
        track = getattr(clear_queue, "__self__", None)
        if track is not None:
            track.stop()
            await self._close_peer(track.context.webrtc_id)

    def _send(self, kind: str) -> None:
        if self.channel is not None:
            with contextlib.suppress(InvalidStateError):  # the page was left meanwhile
                self.channel.send(create_message(kind, []))  # type: ignore[arg-type]
