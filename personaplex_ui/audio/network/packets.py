"""Packets of sound from a network, the counts kept of them, and the limit on how much may arrive. Pure."""

from dataclasses import dataclass

AT_ONCE_SEC = 5.0
"""Sound that may arrive in a burst after a stall. ``FASTEST``: sustained rate, relative to real time. Excess
sound is dropped."""

FASTEST = 2.0


@dataclass(frozen=True, slots=True)
class Packet:
    """``sequence`` has 16 bits, ``timestamp`` 32. ``duration`` is 0 for a packet without sound."""

    source: int
    sequence: int
    timestamp: int
    duration: int
    payload: bytes


@dataclass(frozen=True, slots=True)
class Concealment:
    """Sound to be concealed."""

    duration: int


Output = Packet | Concealment


@dataclass(slots=True)
class BufferCounts:
    """``lost``: missing in their turn. ``late``: lost packets that arrived after all, and were dropped.
    ``concealed``: pieces concealed. ``repeated``: duplicates. ``strange``: belong to an unknown stream, or
    arrived much faster than real time."""

    received: int = 0
    handed_on: int = 0
    lost: int = 0
    late: int = 0
    concealed: int = 0
    repeated: int = 0
    strange: int = 0


class FloodGate:
    """Admits no more sound than a network can deliver after a stall."""

    def __init__(self) -> None:
        self._allowed_sec = AT_ONCE_SEC
        self._asked_at = 0.0

    def lets_in(self, duration_sec: float, now: float) -> bool:
        self._allowed_sec = min(AT_ONCE_SEC, self._allowed_sec + FASTEST * (now - self._asked_at))
        self._asked_at = now
        if self._allowed_sec < duration_sec:
            return False
        self._allowed_sec -= duration_sec
        return True
