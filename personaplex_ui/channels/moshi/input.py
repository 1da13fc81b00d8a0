"""A Moshi client's audio: pieces of its stream in, sound to its call out, no faster than real time.

Depends on the format, the limits on incoming sound and the call, not on a websocket or messages.
"""

import asyncio
import time
from collections.abc import Callable, Iterator
from typing import Protocol

from personaplex_ui.audio.frames import Samples
from personaplex_ui.calls.live_call import LiveCall
from personaplex_ui.channels.moshi.paced_input import MOST_SEC, PacedInput
from personaplex_ui.channels.token_bucket import TokenBucket
from personaplex_ui.errors import ProtocolError


class AudioInput(Protocol):
    """``OpusInput`` or ``PcmInput``."""

    def receive(
        self, data: bytes, may_hear: Callable[[float], bool]
    ) -> Iterator[Samples | ProtocolError]: ...


class Hearing:
    """``run`` it alongside the connection: it hands on sound from long pages."""

    def __init__(self, call: LiveCall, stream: AudioInput) -> None:
        self._call = call
        self._stream = stream
        self._intake = TokenBucket(MOST_SEC)
        self._paced = PacedInput()
        self._something_held = asyncio.Event()
        self._page_too_long_sec = 0.0
        self._told_of_long_pages = False

    def receive(self, piece: bytes) -> Iterator[ProtocolError]:
        """Receive a piece of the stream; yields its errors. Before the call is live only the stream's headers
        are used."""
        for sound in self._stream.receive(piece, self._may_hear):
            if isinstance(sound, ProtocolError):
                yield sound
            else:
                self._hear(self._paced.put(sound, time.monotonic()))
        if self._page_too_long_sec and not self._told_of_long_pages:
            self._told_of_long_pages = True
            yield ProtocolError(
                f"The audio (01) comes in Ogg pages of {self._page_too_long_sec:.1f} s, too long to be heard "
                "live. Please send pages of at most 2 s; 20 to 80 ms are best."
            )

    async def run(self) -> None:
        while True:
            wait_sec = self._paced.wait_sec(time.monotonic())
            if wait_sec is None:
                self._something_held.clear()
                await self._something_held.wait()
            else:
                await asyncio.sleep(wait_sec)
                self._hear(self._paced.take(time.monotonic()))

    def excuse(self, waited_sec: float) -> None:
        """The call is live after ``waited_sec``. Some clients then send everything said meanwhile."""
        self._intake.excuse(waited_sec)

    @property
    def too_fast_sec(self) -> float:
        """Sound that came faster than real time and was dropped."""
        return self._intake.dropped_sec

    @property
    def too_fast(self) -> bool:
        """Whether that is enough to close the connection."""
        return self._intake.too_fast

    def _may_hear(self, sec: float) -> bool:
        if not self._call.live.is_set():
            return False
        if sec > MOST_SEC:
            self._page_too_long_sec = sec
        return self._intake.allow(time.monotonic(), sec)

    def _hear(self, sound: Samples) -> None:
        if len(sound):
            self._call.hear(sound)
        self._call.left_out_samples = self._paced.dropped_samples
        self._something_held.set()
