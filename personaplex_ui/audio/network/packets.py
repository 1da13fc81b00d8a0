"""Packets of sound as a network brings them, what is counted of them, and how much may come. Pure values."""

from dataclasses import dataclass

AT_ONCE_SEC = 5.0
"""Sound that may come in a heap, after a stall. ``FASTEST``: for good, times real time. More is left out."""

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
    """Sound that is to be made up."""

    duration: int


Output = Packet | Concealment


@dataclass(slots=True)
class BufferCounts:
    """``lost``: were not there in their turn. ``late``: those of them that came after all, and were dropped.
    ``concealed``: pieces made up. ``repeated``: came twice. ``strange``: belong to no stream we follow, or
    came much faster than time."""

    received: int = 0
    handed_on: int = 0
    lost: int = 0
    late: int = 0
    concealed: int = 0
    repeated: int = 0
    strange: int = 0


class FloodGate:
    """Lets in no more sound than a network that had stalled can bring."""

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
