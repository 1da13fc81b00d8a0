"""A caller that sends a pulse every 0.4 s over a hum, and measures the pulses it hears back.

Pure, except for the clock that says when a pulse was sent. Delay is measured several times a second.
"""

import time
from collections import defaultdict
from dataclasses import dataclass
from statistics import median

import numpy as np

from benchmarks.soak.listening import Listening
from benchmarks.soak.speaking import Speaker, Spoken
from personaplex_ui.audio.frames import Samples

PULSE_EVERY = 20
"""Packets. Longer than any delay, so it is known whose echo a pulse is."""

PULSE_PACKETS = 3
PITCH_HZ = 200.0
PULSE_LEVEL = 0.25
HUM_LEVEL = 0.002
"""-57 dBFS: quiet enough to be left out when the server catches up, loud enough to show in a recording."""

LOUD = 0.06
ONE_PULSE_SEC = 0.15
"""Loud sound this soon after loud sound is the same pulse."""


class PulseSpeaker(Speaker):
    """Hums from the beginning, and says pulses."""

    def __init__(self, rate_hz: int, packet_sec: float) -> None:
        super().__init__(rate_hz, packet_sec, seed=0)
        self.sent_at: list[float] = []
        """When each pulse was sent: the moment at which its first packet was complete."""
        self._rate_hz = rate_hz
        self._samples_each = round(packet_sec * rate_hz)
        self._packets = 0

    def next_packet(self) -> Spoken:
        time_sec = (np.arange(self._samples_each) + self._packets * self._samples_each) / self._rate_hz
        place = self._packets % PULSE_EVERY
        if place == 0:
            self.sent_at.append(time.monotonic())
        self._packets += 1
        buzz = np.sin(2 * np.pi * PITCH_HZ * time_sec) + 0.5 * np.sin(4 * np.pi * PITCH_HZ * time_sec)
        level = PULSE_LEVEL if place < PULSE_PACKETS else HUM_LEVEL
        return Spoken((level * buzz).astype(np.float32))


class PulseListener(Listening):
    """Notes when pulses begin to be heard."""

    def __init__(self) -> None:
        super().__init__()
        self.heard_at: list[float] = []
        self._loud_at = float("-inf")

    def hear(self, arrived_at: float, samples: Samples, rate_hz: int) -> None:
        loud = np.flatnonzero(np.abs(samples) > LOUD)
        if not len(loud):
            return
        if arrived_at - self._loud_at > ONE_PULSE_SEC:
            self.heard_at.append(arrived_at + int(loud[0]) / rate_hz)
        self._loud_at = arrived_at


@dataclass(frozen=True, slots=True)
class PulseDelays:
    """``delays_sec``: of each pulse that was heard again, by the time since the beginning."""

    said: int
    delays_sec: list[tuple[float, float]]

    @property
    def by_second(self) -> dict[int, float]:
        """The median of each second in which a pulse was sent."""
        seconds: dict[int, list[float]] = defaultdict(list)
        for at_sec, delay_sec in self.delays_sec:
            seconds[int(at_sec)].append(delay_sec)
        return {second: median(delays) for second, delays in seconds.items()}

    def median_sec(self, from_sec: float, until_sec: float) -> float:
        """NaN if none was heard then."""
        delays = [delay for at_sec, delay in self.delays_sec if from_sec <= at_sec < until_sec]
        return median(delays) if delays else float("nan")


def pulse_delays(
    speaker: PulseSpeaker, listener: PulseListener, began_at: float, seconds: float, longest_sec: float
) -> PulseDelays:
    """Of what was said in the ``seconds`` since ``began_at``. After ``longest_sec`` it is another one."""
    said = [at for at in speaker.sent_at if began_at <= at < began_at + seconds]
    delays: list[tuple[float, float]] = []
    for at in said:
        delay = next((heard - at for heard in listener.heard_at if 0.0 < heard - at < longest_sec), None)
        if delay is not None:
            delays.append((at - began_at, delay))
    return PulseDelays(len(said), delays)
