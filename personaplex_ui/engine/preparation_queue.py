"""The personas being prepared, by slot: first come, first served.

All are about as long. One after the other, the first of ten is ready after a tenth of the time and the last
no later than if they took turns; with turns, all would wait as long as the last. One is passed over only
where its next chunk cannot be done and that of a later one can.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol


class Chunks(Protocol):
    """What is asked of a preparation before each of its chunks; see ``Preparation``."""

    @property
    def can_ride(self) -> bool: ...

    @property
    def in_prompt(self) -> bool: ...


@dataclass(slots=True)
class _Waiting:
    chunks: Chunks
    served: int = 0
    """Chunks it got. ``passed_over``: ticks that did none of its chunks."""
    passed_over: int = 0


class PreparationQueue:
    def __init__(self) -> None:
        self._waiting: dict[int, _Waiting] = {}

    def __iter__(self) -> Iterator[tuple[int, Chunks]]:
        """Slots and their preparations, in their order."""
        return ((slot, waiting.chunks) for slot, waiting in self._waiting.items())

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, slot: int, chunks: Chunks) -> None:
        self._waiting[slot] = _Waiting(chunks)

    def remove(self, slot: int) -> None:
        """Idempotent."""
        self._waiting.pop(slot, None)

    def first_rider(self) -> int | None:
        return next((slot for slot, chunks in self if chunks.can_ride), None)

    def serve(self, slot: int) -> None:
        """The next chunk of ``slot`` is done now."""
        self._waiting[slot].served += 1

    def tick(self, rider: int | None) -> None:
        """A step for live callers does the next chunk of ``rider`` and of nobody else."""
        for slot, waiting in self._waiting.items():
            waiting.passed_over += slot != rider
        if rider is not None:
            self.serve(rider)

    def makes_way(self, slot: int) -> bool:
        """Whether ``slot`` got a chunk in fewer than half of the ticks."""
        waiting = self._waiting.get(slot)
        return waiting is not None and waiting.passed_over > waiting.served
