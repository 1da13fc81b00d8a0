"""Functions that the client can call for the language model: asked for in a worker, answered over the wire.

``run`` waits in a worker of the replier's until the client has sent what its function returned.
"""

import asyncio
import concurrent.futures
import secrets
from collections.abc import Callable, Sequence

from personaplex_ui.channels.realtime.items import Json

ANSWERED_WITHIN_SEC = 15.0
MOST_PENDING = 8

NOT_ANSWERED = "Error: The function returned nothing in time."
OVER = "Error: The call is over."

Ask = Callable[[str, str, str], None]
"""``call_id``, name, arguments as JSON."""


class ClientTools:
    """The ``Tools`` of one session. ``ask``: called on the event loop of whoever makes this."""

    def __init__(self, tools: Sequence[Json], ask: Ask) -> None:
        self.offers = [
            {"type": "function", "function": {key: value for key, value in tool.items() if key != "type"}}
            for tool in tools
        ]
        self._ask = ask
        self._loop = asyncio.get_running_loop()
        self._pending: dict[str, concurrent.futures.Future[str]] = {}
        """Used on the event loop only, as is the next."""
        self._closed = False

    # In a worker -----------------------------------------------------------------------------------

    def run(self, name: str, arguments: str) -> str:
        """What the client's function returned, or in words why there is nothing. Never raises."""
        result: concurrent.futures.Future[str] = concurrent.futures.Future()
        try:
            self._loop.call_soon_threadsafe(self._begin, name, arguments, result)
            return result.result(ANSWERED_WITHIN_SEC)
        except TimeoutError:
            return NOT_ANSWERED
        except RuntimeError:  # the event loop is closed
            return OVER

    # On the event loop -----------------------------------------------------------------------------

    def answer(self, call_id: str, output: str) -> bool:
        """The client's function returned ``output``. False: nobody waits for it any more."""
        result = self._pending.pop(call_id, None)
        if result is None or result.done():
            return False
        result.set_result(output)
        return True

    def close(self) -> None:
        """Nothing will be answered any more, nor asked. Idempotent."""
        self._closed = True
        for call_id in list(self._pending):
            self.answer(call_id, OVER)

    def _begin(self, name: str, arguments: str, result: concurrent.futures.Future[str]) -> None:
        if self._closed:
            result.set_result(OVER)
            return
        if len(self._pending) >= MOST_PENDING:
            # Those given up after a while are still in there.
            self._pending.pop(next(iter(self._pending)))
        call_id = f"call_{secrets.token_hex(12)}"
        self._pending[call_id] = result
        self._ask(call_id, name, arguments)
