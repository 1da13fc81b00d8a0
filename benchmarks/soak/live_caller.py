"""What all callers have in common that stay on one call for the whole soak. Knows no wire."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Protocol

from benchmarks.soak.listening import Listening
from benchmarks.soak.speaking import Speaker, Spoken
from personaplex_ui.audio.frames import Samples
from personaplex_ui.calls.snapshot import CallStats, Transport

WELCOME_WITHIN_SEC = 15.0


class LiveCaller(Protocol):
    """``live`` is set once the call has begun. ``figures``: what the server told of it, oldest first."""

    kind: Transport
    speaker: Speaker
    listening: Listening
    live: asyncio.Event
    figures: list[CallStats]

    async def run(self) -> None:
        """Call, and stay on the call until cancelled; returns when the server ended it.

        Raises:
            PersonaplexError: the call did not come about; why.
        """
        ...


def say(spoken: Spoken, listening: Listening) -> None:
    """``spoken`` is sent now: the moment its last sample was spoken."""
    if spoken.quiet_since_sec is not None:
        listening.expect(time.monotonic() - spoken.quiet_since_sec)


async def speak(
    speaker: Speaker, listening: Listening, packet_sec: float, send: Callable[[Samples], Awaitable[None]]
) -> None:
    """Send packet after packet in real time, for ever."""
    due = time.monotonic()
    while True:
        due += packet_sec
        await asyncio.sleep(max(0.0, due - time.monotonic()))
        spoken = speaker.next_packet()
        say(spoken, listening)
        await send(spoken.samples)
