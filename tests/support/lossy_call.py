"""A caller on a bad network who hears himself: how late, second by second, and what of him was recorded.

He says a pulse every 0.4 s over a hum. Times are of this process's clock. The way back to him loses nothing,
and what comes is looked at as it arrives, before any buffer of his own.
"""

import asyncio
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

from benchmarks.pulses import (
    PULSE_EVERY,
    PulseDelays,
    PulseListener,
    PulseSpeaker,
    pulse_delays,
)
from benchmarks.soak.address import Server
from benchmarks.soak.callers import WebRtcCaller
from benchmarks.soak.own_load import OwnLoadMeter
from tests.support.app_process import AppProcess, wait_until
from tests.support.clients.browser import PACKET_SEC, RATE_HZ
from tests.support.clients.impairment import Impaired, Impairment

APP = Path(__file__).parent / "repeating_app.py"
NO_LIMITS = {"MAX_CALLS": "4", "MAX_CALLS_PER_ADDRESS": "0", "CALLS_PER_MINUTE": "0"}
SECONDS = 15.0
NETWORKS = {
    "1 % loss": Impairment(loss=0.01),
    "5 % loss": Impairment(loss=0.05),
    "30 ms jitter and a burst of 10": Impairment(jitter_sec=0.03, burst=10),
}
MOST_GROWTH_SEC = 0.06
MOST_GAP_SEC = 0.06
SETTLED_SEC = 3

NOTHING = 2.5 / 32768
"""A sample below this is silence, which the hum never is for long."""

HELD_UP_SEC = 0.03
"""This process was so late itself that what it measured says little."""


@dataclass(frozen=True, slots=True)
class LossyCall:
    """``late_sec``: the most that this process was late itself."""

    pulses: PulseDelays
    impaired: Impaired
    late_sec: float

    @property
    def held_up(self) -> bool:
        return self.late_sec > HELD_UP_SEC

    @property
    def at_first_sec(self) -> float:
        """The delay at the beginning: before the first burst, and when the call has settled."""
        return self.pulses.median_sec(0.0, SETTLED_SEC)

    @property
    def growth_sec(self) -> dict[int, float]:
        by_second = self.pulses.by_second
        return {
            second: delay - self.at_first_sec for second, delay in by_second.items() if second >= SETTLED_SEC
        }


async def lossy_call(url: str, impairment: Impairment, seed: int, seconds: float) -> LossyCall:
    """One recorded call of ``seconds``."""
    caller = WebRtcCaller(Server(url, "", "NATF2", ""), seed, record=True, impairment=impairment)
    speaker, listener, meter = PulseSpeaker(RATE_HZ, PACKET_SEC), PulseListener(), OwnLoadMeter()
    caller.speaker, caller.listening = speaker, listener
    calling = asyncio.create_task(caller.run())
    measuring = asyncio.create_task(meter.run())
    try:
        async with asyncio.timeout(30.0):
            while not caller.live.is_set():
                await asyncio.sleep(0.02)
                if calling.done():
                    calling.result()
        began_at = time.monotonic()
        meter.restart()
        await asyncio.sleep(seconds)
        late_sec = meter.load().late_max_ms / 1_000
    finally:
        calling.cancel()
        measuring.cancel()
        await asyncio.gather(calling, measuring, return_exceptions=True)
    assert caller.relay is not None
    delays = pulse_delays(speaker, listener, began_at, seconds - 1.0, PULSE_EVERY * PACKET_SEC)
    return LossyCall(delays, caller.relay.done, late_sec)


def longest_silence_sec(recording: Path) -> float:
    """On the caller's side, between the first and the last sound."""
    sound, rate_hz = soundfile.read(recording, dtype="float32", always_2d=True)
    heard = np.flatnonzero(np.abs(np.asarray(sound)[:, 0]) > NOTHING)
    return float(np.max(np.diff(heard), initial=0)) / rate_hz


def recorded_call(app: AppProcess, impairment: Impairment, seed: int) -> tuple[LossyCall, float]:
    """A call of ``SECONDS``, and the longest silence in its recording."""
    before = set(app.recordings.rglob("*.wav"))
    call = asyncio.run(lossy_call(app.url, impairment, seed, SECONDS))

    def finished() -> set[Path]:
        return {path for path in app.recordings.rglob("*.wav") if not path.name.endswith(".part.wav")}

    new = wait_until(lambda: finished() - before, 20, "the recording is closed")
    return call, longest_silence_sec(new.pop())


def problems(call: LossyCall, silence_sec: float, impairment: Impairment) -> list[str]:
    """What is not as promised, in words."""
    lost_sec = call.impaired.longest_loss * PACKET_SEC
    usual_ms = 1_000 * call.at_first_sec
    found = [
        f"in second {second} the delay was {1_000 * growth:.0f} ms more than {usual_ms:.0f} ms"
        for second, growth in call.growth_sec.items()
        if growth > MOST_GROWTH_SEC
    ]
    if silence_sec > lost_sec + MOST_GAP_SEC:
        found.append(f"{1_000 * silence_sec:.0f} ms were silent, where {1_000 * lost_sec:.0f} ms were lost")
    # A pulse is three packets: hardly anything but a burst takes all of it.
    most_lost = 0.1 + 2 * impairment.loss
    said, heard = call.pulses.said, len(call.pulses.delays_sec)
    if heard < (1.0 - most_lost) * said - call.impaired.bursts:
        found.append(f"of {said} pulses {heard} were heard")
    return found
