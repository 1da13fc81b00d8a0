"""aiortc 1.16 and aioice 0.13: how soon a dead peer is noticed, and how a peer is closed.

Private names of aiortc are used only here. tests/unit/compat/test_aiortc.py fails when they change, or when a
workaround is no longer needed.
"""

import asyncio
import contextlib
import functools
from collections.abc import Callable, Coroutine
from typing import Any

from aioice import ice
from aiortc import RTCPeerConnection, RTCSctpTransport

CONSENT_INTERVAL_SEC = 2
CONSENT_FAILURES = 3
GATHERED_WITHIN_SEC = 10.0


def notice_dead_peers_soon() -> None:
    """Detect closed tabs after 6 s (RFC 7675 consent checks); aioice takes 30 s and has no option for it."""
    ice.CONSENT_INTERVAL = CONSENT_INTERVAL_SEC
    ice.CONSENT_FAILURES = CONSENT_FAILURES


SENDING_IN_TASKS = ("_data_channel_flush", "_send_reconfig_param", "_transmit", "_transmit_reconfig")


def give_up_sending_quietly() -> None:
    """A page that hangs up can leave between a message and its sending: nobody is there to be told.

    aiortc sends in tasks that it never awaits, so their ConnectionError would stand in the log as a traceback
    of an unretrieved exception. The methods end early, as they do when they raise: were each packet only
    dropped, the retransmission timer would start again after the transport was stopped. Idempotent.
    """
    for name in SENDING_IN_TASKS:
        send = getattr(RTCSctpTransport, name)
        if not hasattr(send, "__wrapped__"):
            setattr(RTCSctpTransport, name, _unless_gone(send))


def _unless_gone(send: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., Coroutine[Any, Any, None]]:
    @functools.wraps(send)
    async def sent(*given: Any) -> None:
        with contextlib.suppress(ConnectionError):
            await send(*given)

    return sent


peers_closing: set[asyncio.Task[None]] = set()
"""Tasks that close peers once they have gathered candidates."""


async def close_once_gathered(pc: RTCPeerConnection) -> None:
    """Close ``pc`` now, or in the background if its offer is still being answered.

    If closed while it gathers candidates, it would open sockets afterwards and never close them.
    """
    if pc.iceGatheringState != "gathering":
        await pc.close()
        return
    task = asyncio.create_task(_close_later(pc))
    peers_closing.add(task)
    task.add_done_callback(peers_closing.discard)


async def _close_later(pc: RTCPeerConnection) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(GATHERED_WITHIN_SEC):
            while pc.iceGatheringState == "gathering":  # noqa: ASYNC110  its events are FastRTC's
                await asyncio.sleep(0.02)
    await pc.close()
