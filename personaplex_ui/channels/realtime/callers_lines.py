"""The calls that clients may have, counted from the moment they connect: their persona comes only later."""

from collections.abc import Coroutine
from typing import Any

from personaplex_ui.calls.allowance import Visitor
from personaplex_ui.calls.live_call import LiveCall
from personaplex_ui.calls.manager import CallManager
from personaplex_ui.calls.settings import CallSettings
from personaplex_ui.calls.snapshot import Transport
from personaplex_ui.errors import TooManyCalls


class ExpectedCalls:
    """Of clients that are connected and have no call yet. ``call_manager`` counts them among those that are
    being opened."""

    def __init__(self, call_manager: CallManager) -> None:
        self.call_manager = call_manager
        self.count = 0
        call_manager.opening.append(lambda: self.count)


class CallersLines:
    """The calls that one client may have. ``address``: for limits; ``visitor``: whose minutes are used."""

    def __init__(self, expected: ExpectedCalls, address: str, visitor: Visitor | None) -> None:
        self._expected = expected
        self._manager = expected.call_manager
        self._address = address
        self._visitor = visitor
        self._held = False

    def expect(self) -> None:
        """A call is to be opened soon; ``forget`` it if there will be none.

        Raises:
            TooManyCalls: the address has as many as it may have, those that are expected among them.
        """
        try:
            self._manager.limits.hold(self._address)
        except TooManyCalls:
            self._manager.turn_away(Transport.REALTIME)
            raise
        self._expected.count += 1
        self._held = True

    def forget(self) -> None:
        """No call is expected any more. Idempotent."""
        if self._held:
            self._held = False
            self._expected.count -= 1
            self._manager.limits.release(self._address)

    def open(self, settings: CallSettings) -> LiveCall:
        """The call that was expected. See ``CallManager.open``."""
        self.forget()
        return self._manager.open(settings, "", Transport.REALTIME, self._address, self._visitor)

    async def unless_closed(self, work: Coroutine[Any, Any, None]) -> None:
        """See ``CallManager.unless_closed``."""
        await self._manager.unless_closed(work)
