"""Which calls have to end sooner because others wait for their lines."""

import functools
from collections.abc import Callable

from personaplex_ui.calls.allowance import Allowance, Visitor
from personaplex_ui.calls.call import Call
from personaplex_ui.calls.call_length import CallLength, Limit
from personaplex_ui.engine.slot_pool import SlotPool


class FairLines:
    """The calls in progress whose visitors are counted. ``max_sec``: the longest call; ``busy_sec``: that of
    a visitor while others wait, 0 for the same. ``of_server``: see ``CallLength``."""

    def __init__(
        self,
        slots: SlotPool,
        max_sec: float,
        busy_sec: float,
        of_server: Callable[[float], Limit | None] = lambda _: None,
    ) -> None:
        self._of_server = of_server
        self._max_sec = max_sec
        self._slots = slots
        self._busy_sec = busy_sec
        self._counted: dict[str, Call] = {}

    def length(self, call_id: str, allowance: Allowance, visitor: Visitor | None) -> CallLength:
        """Of the call with that id, which may be about to begin."""
        is_wanted = functools.partial(self._is_wanted, call_id)
        return CallLength(self._max_sec, self._busy_sec, is_wanted, allowance, visitor, self._of_server)

    def add(self, call: Call) -> None:
        self._counted[call.call_id] = call

    def remove(self, call: Call) -> None:
        self._counted.pop(call.call_id, None)

    def _is_wanted(self, call_id: str) -> bool:
        """Whether somebody waits for the line of this call: as many of the longest calls are wanted as
        callers wait, telephones and others that are not counted left out."""
        waiting = self._slots.waiting
        call = self._counted.get(call_id)
        if not waiting or call is None:
            return False
        longer = [other for other in self._counted.values() if other.elapsed_sec > call.elapsed_sec]
        return len(longer) < waiting
