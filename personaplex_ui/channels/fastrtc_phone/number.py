"""A telephone number for a demo, lent by FastRTC's phone service: opens, watches and returns it.

Owns everything a number needs: a port, a server with only the telephone's routes, the tunnel to it, and the
registration. Independent of what the routes do. Runs on the event loop of the calls.
"""

import asyncio
import contextlib
import enum
import logging
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any

from personaplex_ui.calls.call import Call
from personaplex_ui.calls.manager import CallManager
from personaplex_ui.calls.snapshot import End, Transport
from personaplex_ui.channels.fastrtc_phone.loopback_server import listening, serving
from personaplex_ui.channels.fastrtc_phone.service import FastRtcService, Registration
from personaplex_ui.channels.fastrtc_phone.tunnel import Tunnel
from personaplex_ui.errors import PhoneUnavailable

log = logging.getLogger(__name__)

BuildApp = Callable[[str], Any]
"""Builds the ASGI app with the telephone's routes for the public host."""

OpenTunnel = Callable[[int], AbstractAsyncContextManager[Tunnel]]
"""Opens a tunnel to the port."""

CALLS_END_WITHIN_SEC = 1.0
GOODBYES_ARRIVE_SEC = 0.2
LATE_ANSWER_WITHIN_SEC = 1.0

OFF = "There is no FastRTC number now."
OPENING_TUNNEL = "The tunnel to Hugging Face is being opened. The first time this takes up to a minute."
ASKING = "FastRTC's phone service is being asked for a number."
CLOSING = "The number is being given back."
SWITCHED_OFF = "The number was switched off before it was ready."
GOODBYE = "The telephone number has been switched off."
FAILED_HERE = "The phone number could not be set up; the server's log says why. Please try again."
SERVER_GONE = (
    "The server behind the number has stopped, so the number reaches nobody. Ask for a number again."
)


class NumberState(enum.StrEnum):
    OFF = "off"
    OPENING = "opening"
    READY = "ready"
    CLOSING = "closing"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class NumberView:
    """What a page shows. ``sentence``: what is happening, or why there is no number.

    Set only when ready: ``number`` to call, ``code`` to enter, ``remaining`` minutes as ``mm:ss`` until
    ``reset_date``; the last two are empty if the service does not report them.
    """

    state: NumberState
    sentence: str
    number: str = ""
    code: str = ""
    remaining: str = ""
    reset_date: str = ""


class FastRtcNumber:
    """At most one number at a time. ``build_app`` makes the only app that is reached through ``open_tunnel``.
    Calls of ``Transport.FASTRTC_PHONE`` use up the minutes and end with the number."""

    def __init__(
        self,
        build_app: BuildApp,
        open_tunnel: OpenTunnel,
        service: FastRtcService,
        call_manager: CallManager,
    ) -> None:
        self._build_app = build_app
        self._open_tunnel = open_tunnel
        self._service = service
        self._call_manager = call_manager
        self._state = NumberState.OFF
        self._sentence = OFF
        self._holding: asyncio.Task[None] | None = None
        self._opened = asyncio.Event()
        self._registration: Registration | None = None
        self._used_sec = 0.0
        call_manager.on_end.append(self._count)

    @property
    def state(self) -> NumberState:
        return self._state

    def view(self) -> NumberView:
        """The current number; cheap, so a page may ask as often as it likes."""
        lent = self._registration
        if lent is None or self._state is not NumberState.READY:
            return NumberView(self._state, self._sentence)
        talked_sec = self._used_sec + sum(call.elapsed_sec for call in self._calls())
        remaining = "" if lent.remaining_sec is None else in_minutes(lent.remaining_sec - talked_sec)
        return NumberView(self._state, self._sentence, lent.number, lent.code, remaining, lent.reset_date)

    async def open(self) -> None:
        """Get a number; returns when it can be called. Does nothing if there is one, and waits if one is
        being opened. Cancellation only stops the wait.

        Raises:
            PhoneUnavailable: no number is available; the view and the log also say why.
        """
        if self._holding is not None and self._state is NumberState.CLOSING:
            await asyncio.wait([self._holding])
        if self._holding is None:
            self._opened.clear()
            self._show(NumberState.OPENING, OPENING_TUNNEL)
            self._holding = asyncio.create_task(self._hold(), name="phone number")
        await self._opened.wait()
        if self._state is not NumberState.READY:
            raise PhoneUnavailable(self._sentence if self._state is NumberState.FAILED else SWITCHED_OFF)

    async def close(self) -> None:
        """Give the number back, end its calls and stop everything, even in the middle of ``open``. Usually
        takes under a second, at most 8 s."""
        if self._holding is not None:
            if self._state in (NumberState.OPENING, NumberState.READY):
                self._show(NumberState.CLOSING, CLOSING)
                self._holding.cancel()
            await asyncio.wait([self._holding])
        self._show(NumberState.OFF, OFF)

    async def _hold(self) -> None:
        """Open a number and hold it until it ends, for any reason."""
        state, sentence = NumberState.OFF, OFF
        try:
            self._service.check_token()
            async with contextlib.AsyncExitStack() as held:
                await self._open_all(held)
        except PhoneUnavailable as error:
            state, sentence = NumberState.FAILED, str(error)
            log.warning("There is no phone number: %s", error)
        except Exception:  # from uvicorn, the system, ...
            state, sentence = NumberState.FAILED, FAILED_HERE
            log.exception("There is no phone number.")
        finally:
            self._holding = None
            self._show(state, sentence)
            self._opened.set()

    async def _open_all(self, held: contextlib.AsyncExitStack) -> None:
        """Raises PhoneUnavailable if there is no number, or when it is lost."""
        # Undone in reverse order: first no new callers are sent here, and the port is closed last.
        listener = held.enter_context(listening())
        tunnel = await held.enter_async_context(self._open_tunnel(listener.getsockname()[1]))
        server = await held.enter_async_context(serving(self._build_app(tunnel.host), listener))
        held.push_async_callback(self._end_calls)
        self._show(NumberState.OPENING, ASKING)
        lent = self._registration = await held.enter_async_context(self._lent(tunnel.host))
        self._used_sec = 0.0
        self._show(NumberState.READY, f"Call {lent.number} and enter the code {lent.code}.")
        self._opened.set()
        left = in_minutes(lent.remaining_sec) if lent.remaining_sec is not None else "an unknown time"
        log.info(
            "The phone number is %s, with the code %s; %s remain.",
            lent.number,
            lent.code,
            left,
            extra={"our_number": lent.number},
        )
        await asyncio.wait([tunnel.lost, server], return_when=asyncio.FIRST_COMPLETED)
        self._show(NumberState.CLOSING, CLOSING)
        raise PhoneUnavailable(tunnel.lost.result() if tunnel.lost.done() else SERVER_GONE)

    @contextlib.asynccontextmanager
    async def _lent(self, host: str) -> AsyncGenerator[Registration]:
        asking = asyncio.create_task(self._service.register(host))
        try:
            yield await asyncio.shield(asking)
        finally:
            # The service may lend a number although nobody waits for it any more; then give it back.
            await asyncio.wait([asking], timeout=LATE_ANSWER_WITHIN_SEC)
            if asking.done() and not asking.cancelled() and asking.exception() is None:
                await self._service.unregister(host, asking.result())
            asking.cancel()

    async def _end_calls(self) -> None:
        calls = self._calls()
        for call in calls:
            call.hang_up(GOODBYE, End.SHUTDOWN)
        if calls:
            ends = [asyncio.create_task(self._call_manager.ended(call)) for call in calls]
            _, late = await asyncio.wait(ends, timeout=CALLS_END_WITHIN_SEC)
            for end in late:
                end.cancel()
            await asyncio.sleep(GOODBYES_ARRIVE_SEC)

    def _calls(self) -> list[Call]:
        return [c for c in self._call_manager.calls.values() if c.transport is Transport.FASTRTC_PHONE]

    def _count(self, call: Call) -> None:
        if call.transport is Transport.FASTRTC_PHONE:
            self._used_sec += call.elapsed_sec

    def _show(self, state: NumberState, sentence: str) -> None:
        self._state, self._sentence = state, sentence


def in_minutes(sec: float) -> str:
    """``mm:ss``, not below 0 s."""
    minutes, seconds = divmod(max(0, int(sec)), 60)
    return f"{minutes:02}:{seconds:02}"
