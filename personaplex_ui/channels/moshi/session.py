"""The Moshi websocket's transport: one connection is one call, from the query to the close frame.

Runs what receives and what sends side by side, and says goodbye. Depends on the protocol's messages, not on
routes or a model.

Many clients take the first message for the handshake, and understand only kinds 00, 01 and 02, which are all
that NVIDIA's server sends. So nothing precedes 00, not even an error: a client that cannot be served sees the
close frame. Clients that opt in (``Extensions``) are told more.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from starlette.websockets import WebSocket

from personaplex_ui.calls.allowance import Visitor
from personaplex_ui.calls.live_call import LiveCall
from personaplex_ui.calls.manager import CallManager
from personaplex_ui.calls.settings import CallSettings
from personaplex_ui.calls.snapshot import End, Phase, Transport
from personaplex_ui.channels.browser.following import HUNG_UP
from personaplex_ui.channels.close_codes import (
    CANNOT_BE_USED,
    ENDED,
    FAILED,
    GOING_AWAY,
    NOT_ALLOWED,
    TRY_LATER,
)
from personaplex_ui.channels.moshi.input import Hearing
from personaplex_ui.channels.moshi.opus import OpusInput
from personaplex_ui.channels.moshi.page_channel import PageChannel, WaitEstimator
from personaplex_ui.channels.moshi.pcm import PcmInput
from personaplex_ui.channels.moshi.protocol import Metadata, Ping
from personaplex_ui.channels.moshi.query import AudioFormat, Extensions
from personaplex_ui.channels.moshi.receiving import Receiver, Unwelcome
from personaplex_ui.channels.moshi.sending import Sender
from personaplex_ui.channels.moshi.state_feed import StateFeed
from personaplex_ui.channels.moshi.websocket import Wire
from personaplex_ui.channels.peer_websocket import ClientGone
from personaplex_ui.errors import CallOver, InvalidInput, PersonaplexError
from personaplex_ui.logs.call_context import enter_call

log = logging.getLogger(__name__)

SIGN_OF_LIFE_EVERY_SEC = 2.0
"""Official clients hang up when they hear nothing for 10 s."""

CLOSE_CODES = {End.SHUTDOWN: GOING_AWAY, End.FAILED: FAILED, End.REFUSED: TRY_LATER}


class Chat:
    """One call over one websocket."""

    def __init__(
        self, wire: Wire, call: LiveCall, extensions: Extensions, wait_sec: WaitEstimator = lambda _: None
    ) -> None:
        self._wire = wire
        self._call = call
        self._extensions = extensions
        self._close_code: int | None = None
        is_pcm = extensions.audio is AudioFormat.PCM16
        self._hearing = Hearing(call, PcmInput() if is_pcm else OpusInput())
        self._page = PageChannel(call, self._send_values, wait_sec) if extensions.tells_facts else None
        tells_state = extensions.tells_state and self._page is None
        self._state = StateFeed(wire, call, self._hearing) if tells_state else None
        self._receiver = Receiver(wire, call, extensions, self._page, self._hearing)
        self._sender = Sender(wire, call, extensions, self._page, self._state, self._receiver.excuse_wait)

    async def run(self) -> None:
        """Returns when the call is over and the client was told or is gone."""
        enter_call(self._call.call_id)
        try:
            async with asyncio.TaskGroup() as group:
                for part in (self._receiver.run, self._hearing.run, self._sender.run):
                    group.create_task(part())
                if self._page is not None:
                    group.create_task(self._page.tell_changes())
                    group.create_task(self._page.tell_wait())
                elif self._state is not None:
                    group.create_task(self._state.tell_progress())
                if self._extensions.tells_more:
                    group.create_task(self._give_signs_of_life())
        except* CallOver:
            pass  # the reason is sent below
        except* ClientGone as group_of:
            for gone in group_of.exceptions:
                end = gone.end if isinstance(gone, ClientGone) else End.LOST
                by_page = self._page is not None and end is End.HUNG_UP
                self._call.hang_up(HUNG_UP if by_page else str(gone), end)
        except* Unwelcome as group_of:
            self._close_code = NOT_ALLOWED
            self._call.hang_up(str(group_of.exceptions[0]), End.REFUSED)
        except* Exception:
            log.exception("A Moshi call failed.")
            self._call.hang_up("Something failed on our side. Please call again.", End.FAILED)
        finally:
            self._call.hang_up("The client hung up.")  # when this task was cancelled
        await self._say_goodbye()

    async def _say_goodbye(self) -> None:
        with contextlib.suppress(ClientGone):
            await self._sender.send_last()
            if self._page is not None:
                await self._page.tell_end()
            end = self._call.end or End.HUNG_UP
            code = self._close_code or CLOSE_CODES.get(end, ENDED)
            if isinstance(self._call.error, InvalidInput):
                code = CANNOT_BE_USED
            await self._wire.refuse(self._call.reason, code, self._receiver.may_tell)

    async def _give_signs_of_life(self) -> None:
        while True:
            await asyncio.sleep(SIGN_OF_LIFE_EVERY_SEC)
            if self._call.phase is Phase.LIVE and self._state is not None:
                await self._state.tell()
            else:
                await self._wire.send(Ping())

    async def _send_values(self, values: Mapping[str, object]) -> None:
        await self._wire.send(Metadata(values))


ReadSettings = Callable[[], CallSettings]
"""Builds the call's settings from what the client requested. Raises ``InvalidInput``."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls. ``address``: the client's, for the limits of the call manager; empty if none apply.
    ``owner``: the key of the visitor to whom the call belongs, if any. ``visitor``: whose minutes it uses, if
    they are counted."""

    address: str = ""
    owner: str = ""
    transport: Transport = Transport.MOSHI
    visitor: Visitor | None = None


async def serve_chat(
    websocket: WebSocket,
    call_manager: CallManager,
    read_settings: ReadSettings,
    caller: Caller = Caller(),
    extensions: Extensions = Extensions(),
    wait_sec: WaitEstimator = lambda _: None,
) -> None:
    """Accept one websocket and serve it to the end. Never raises for anything a peer does."""
    wire = Wire(websocket)
    with contextlib.suppress(ClientGone):
        await wire.accept()
        try:
            settings = read_settings()
            call = call_manager.open(settings, caller.owner, caller.transport, caller.address, caller.visitor)
        except InvalidInput as error:
            await wire.refuse(str(error), CANNOT_BE_USED, extensions.tells_more)
        except PersonaplexError as error:
            await wire.refuse(str(error), TRY_LATER, extensions.tells_more)
        else:
            await Chat(wire, call, extensions, wait_sec).run()
