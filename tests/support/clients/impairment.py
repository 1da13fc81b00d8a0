"""What a bad network does to packets: loses some, loses bursts, delays some. Pure; the same for a seed."""

import random
from dataclasses import dataclass

BURST_EVERY_SEC = 10.0
FIRST_BURST_SEC = 4.0
"""After the first packet, so that short runs have one, too."""


@dataclass(frozen=True, slots=True)
class Impairment:
    """``loss``: the part of all packets that is lost, each by itself. ``jitter_sec``: each is delayed by
    something from 0 to this, so they change places, too. ``burst``: so many in a row are lost every 10 s."""

    loss: float = 0.0
    jitter_sec: float = 0.0
    burst: int = 0

    def __bool__(self) -> bool:
        return self != Impairment()


@dataclass(frozen=True, slots=True)
class Impaired:
    """What was done. ``longest_loss``: packets in a row. ``mean_delay_sec``: of those that were not lost."""

    packets: int = 0
    lost: int = 0
    longest_loss: int = 0
    bursts: int = 0
    mean_delay_sec: float = 0.0
    most_delay_sec: float = 0.0


class BadNetwork:
    """Asked for each packet, in the order in which they are sent."""

    def __init__(self, impairment: Impairment, seed: int) -> None:
        self._impairment = impairment
        self._dice = random.Random(seed)
        self._began_at: float | None = None
        self._burst_left = 0
        self._packets = self._lost = self._lost_in_a_row = self._longest_loss = self._bursts = 0
        self._delay_sec = self._most_delay_sec = 0.0

    def delay_sec(self, now: float) -> float | None:
        """How long the next packet is underway; None when it is lost."""
        if self._began_at is None:
            self._began_at = now
        self._packets += 1
        next_burst_sec = FIRST_BURST_SEC + self._bursts * BURST_EVERY_SEC
        if self._impairment.burst and now - self._began_at >= next_burst_sec:
            self._bursts += 1
            self._burst_left = self._impairment.burst
        # Always asked, so that a burst does not change what comes after it.
        lost, delay_sec = self._dice.random() < self._impairment.loss, self._dice.random()
        if self._burst_left:
            self._burst_left -= 1
            lost = True
        if lost:
            self._lost += 1
            self._lost_in_a_row += 1
            self._longest_loss = max(self._longest_loss, self._lost_in_a_row)
            return None
        self._lost_in_a_row = 0
        delay_sec *= self._impairment.jitter_sec
        self._delay_sec += delay_sec
        self._most_delay_sec = max(self._most_delay_sec, delay_sec)
        return delay_sec

    @property
    def done(self) -> Impaired:
        passed = self._packets - self._lost
        return Impaired(
            self._packets,
            self._lost,
            self._longest_loss,
            self._bursts,
            self._delay_sec / passed if passed else 0.0,
            self._most_delay_sec,
        )


def together(done: list[Impaired]) -> Impaired:
    """Of several networks."""
    passed = sum(each.packets - each.lost for each in done)
    delay_sec = sum(each.mean_delay_sec * (each.packets - each.lost) for each in done)
    return Impaired(
        sum(each.packets for each in done),
        sum(each.lost for each in done),
        max((each.longest_loss for each in done), default=0),
        sum(each.bursts for each in done),
        delay_sec / passed if passed else 0.0,
        max((each.most_delay_sec for each in done), default=0.0),
    )
