"""A telephone number for a demo, lent by FastRTC's phone service: opened, watched, given back.

Owns everything a number needs: a port of its own, a server with the telephone's routes and nothing else, the
tunnel that leads to it, and the registration. What those routes do, it does not know. One event loop, that of
the calls.
"""

import asyncio
import contextlib
import enum
import logging
from collections.abc import Callable
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
"""Makes of the public host the ASGI app with the telephone's routes."""

CALLS_END_WITHIN_SEC = 1.0
GOODBYES_ARRIVE_SEC = 0.2
LATE_ANSWER_WITHIN_SEC = 1.0

OFF = "There is no FastRTC number now."
OPENING_TUNNEL = "The tunnel to Hugging Face is being opened. The first time this takes up to a minute."
ASKING = "FastRTC's phone service is being asked for a number."
CLOSING = "The number is being given back."
SWITCHED_OFF = "The number was switched off before it was there."
GOODBYE = "The telephone number has been switched off."
FAILED_HERE = "The phone number could not be set up; the server's log tells why. Please try again."
SERVER_GONE = (
    "The server of the telephone's routes has ended, so the number reaches nobody. Ask for one again."
)


class NumberState(enum.StrEnum):
    OFF = "off"
    OPENING = "opening"
    READY = "ready"
    CLOSING = "closing"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class NumberView:
    """What a page shows. ``sentence``: what goes on, or why there is no number.

    Only when ready: ``number`` to call, ``code`` to enter then, ``remaining`` minutes as ``mm:ss`` until
    ``reset_date``; the last two are "" when the service does not tell them.
    """

    state: NumberState
    sentence: str
    number: str = ""
    code: str = ""
    remaining: str = ""
    reset_date: str = ""


class FastRtcNumber:
    """At most one number at a time.

    Args:
        build_app: makes the app that is reached through the tunnel, and nothing else is.
        tunnel: leads to it.
        service: lends the number.
        call manager: its calls of ``Transport.FASTRTC_PHONE`` use up the minutes, and end with the number.
    """

    def __init__(
        self, build_app: BuildApp, tunnel: Tunnel, service: FastRtcService, call_manager: CallManager
    ) -> None:
        self._build_app = build_app
        self._tunnel = tunnel
        self._service = service
        self._call_manager = call_manager
        self._state = NumberState.OFF
        self._sentence = OFF
        self._one_at_a_time = asyncio.Lock()
        self._opening: asyncio.Task[None] | None = None
        self._held = contextlib.AsyncExitStack()
        self._registration: Registration | None = None
        self._used_sec = 0.0

    @property
    def state(self) -> NumberState:
        return self._state

    def view(self) -> NumberView:
        """The number now; cheap, to be asked as often as a page likes."""
        lent = self._registration
        if lent is None or self._state is not NumberState.READY:
            return NumberView(self._state, self._sentence)
        remaining = "" if lent.remaining_sec is None else in_minutes(lent.remaining_sec - self._talked_sec())
        return NumberView(self._state, self._sentence, lent.number, lent.code, remaining, lent.reset_date)

    async def open(self) -> None:
        """Get a number; returns when it can be called. If there is one, nothing happens; if one is being
        opened, this waits for it.

        A cancellation leaves nothing behind.

        Raises:
            PhoneUnavailable: there is none to be had; the view and the log say why, too.
        """
        if self._opening is not None:
            await asyncio.wait([self._opening])
            if self._state is not NumberState.READY:
                raise PhoneUnavailable(self._sentence if self._state is NumberState.FAILED else SWITCHED_OFF)
            return
        async with self._one_at_a_time:
            if self._state is NumberState.READY:
                return
            self._opening = asyncio.create_task(self._open(), name="phone number")
            try:
                await self._opening
            except asyncio.CancelledError:
                task = asyncio.current_task()
                if task is not None and task.cancelling():
                    raise
                raise PhoneUnavailable(SWITCHED_OFF) from None
            finally:
                self._opening = None

    async def close(self) -> None:
        """Give the number back, end its calls, and leave nothing running; also in the middle of ``open``.
        Usually takes under a second, and 8 s at most."""
        if self._opening is not None:
            self._opening.cancel()
        async with self._one_at_a_time:
            if self._state is NumberState.READY:
                await self._let_go(NumberState.OFF, OFF)
            self._show(NumberState.OFF, OFF)

    async def _open(self) -> None:
        self._show(NumberState.OPENING, OPENING_TUNNEL)
        try:
            self._service.check_token()
            async with contextlib.AsyncExitStack() as held:
                await self._open_all(held)
                self._held = held.pop_all()
        except PhoneUnavailable as error:
            log.warning("There is no phone number: %s", error)
            self._show(NumberState.FAILED, str(error))
            raise
        except Exception:  # of uvicorn, the tunnel's program, ...
            log.exception("There is no phone number.")
            self._show(NumberState.FAILED, FAILED_HERE)
            raise PhoneUnavailable(FAILED_HERE) from None
        finally:
            if self._state is NumberState.OPENING:
                self._show(NumberState.OFF, OFF)

    async def _open_all(self, held: contextlib.AsyncExitStack) -> None:
        # Undone in the other order: first nobody new is sent here, last the port is closed.
        listener = held.enter_context(listening())
        held.push_async_callback(self._tunnel.close)
        host = await self._tunnel.open(listener.getsockname()[1])
        server = await held.enter_async_context(serving(self._build_app(host), listener))
        held.push_async_callback(self._end_calls)
        self._show(NumberState.OPENING, ASKING)
        lent = await self._register(host)
        held.push_async_callback(self._service.unregister, host, lent)
        self._used_sec = 0.0
        self._call_manager.on_end.append(self._count)
        held.callback(self._call_manager.on_end.remove, self._count)
        watch = asyncio.create_task(self._watch(server), name="phone number's watch")
        held.callback(lambda: watch.cancel() if watch is not asyncio.current_task() else None)
        self._registration = lent
        self._show(NumberState.READY, f"Call {lent.number} and enter the code {lent.code}.")
        left = in_minutes(lent.remaining_sec) if lent.remaining_sec is not None else "an unknown time"
        log.info(
            "The phone number is %s, with the code %s; %s remain.",
            lent.number,
            lent.code,
            left,
            extra={"our_number": lent.number},
        )

    async def _register(self, host: str) -> Registration:
        asking = asyncio.create_task(self._service.register(host))
        try:
            return await asyncio.shield(asking)
        except asyncio.CancelledError:
            # The service may have lent the number already, and then it must hear that nobody wants it.
            await asyncio.wait([asking], timeout=LATE_ANSWER_WITHIN_SEC)
            if asking.done() and not asking.cancelled() and asking.exception() is None:
                await self._service.unregister(host, asking.result())
            asking.cancel()
            raise

    async def _watch(self, server: "asyncio.Task[None]") -> None:
        lost = asyncio.create_task(self._tunnel.lost())
        try:
            await asyncio.wait([lost, server], return_when=asyncio.FIRST_COMPLETED)
            sentence = lost.result() if lost.done() else SERVER_GONE
        finally:
            lost.cancel()
        async with self._one_at_a_time:
            log.warning("The phone number is gone: %s", sentence)
            await self._let_go(NumberState.FAILED, sentence)

    async def _let_go(self, state: NumberState, sentence: str) -> None:
        self._show(NumberState.CLOSING, CLOSING)
        self._registration = None
        held, self._held = self._held, contextlib.AsyncExitStack()
        try:
            await held.aclose()
        finally:
            self._show(state, sentence)

    async def _end_calls(self) -> None:
        calls = self._calls()
        for call in calls:
            call.hang_up(GOODBYE, End.SHUTDOWN)
        ends = [asyncio.create_task(self._call_manager.ended(call)) for call in calls]
        if ends:
            _, late = await asyncio.wait(ends, timeout=CALLS_END_WITHIN_SEC)
            for end in late:
                end.cancel()
            await asyncio.sleep(GOODBYES_ARRIVE_SEC)

    def _calls(self) -> list[Call]:
        return [c for c in self._call_manager.calls.values() if c.transport is Transport.FASTRTC_PHONE]

    def _count(self, call: Call) -> None:
        if call.transport is Transport.FASTRTC_PHONE:
            self._used_sec += call.elapsed_sec

    def _talked_sec(self) -> float:
        return self._used_sec + sum(call.elapsed_sec for call in self._calls())

    def _show(self, state: NumberState, sentence: str) -> None:
        self._state, self._sentence = state, sentence


def in_minutes(sec: float) -> str:
    """``mm:ss``, of at least 0 s."""
    minutes, seconds = divmod(max(0, int(sec)), 60)
    return f"{minutes:02}:{seconds:02}"
