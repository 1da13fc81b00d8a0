"""aiortc's and aioice's faults that are mended: when one of these fails, its mend can go."""

import asyncio
import subprocess
import sys
from typing import Any, cast

import pytest
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSctpTransport, RTCSessionDescription
from aiortc.rtcsctptransport import WEBRTC_STRING

from personaplex_ui.compat import aiortc as compat
from tests.support.clients.offers import SOUND_OFFER
from tests.support.running import until


async def gathering_peer() -> tuple[RTCPeerConnection, "asyncio.Task[None]"]:
    peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    await peer.setRemoteDescription(RTCSessionDescription(SOUND_OFFER, "offer"))
    answering = asyncio.create_task(peer.setLocalDescription(await peer.createAnswer()))
    while peer.iceGatheringState != "gathering":
        await asyncio.sleep(0)  # it takes a few milliseconds only
    return peer, answering


def sockets_of(peer: RTCPeerConnection) -> list[Any]:
    hidden: Any = peer
    transports = [hidden.sctp.transport.transport, hidden.getTransceivers()[0].receiver.transport.transport]
    return [socket for each in transports for socket in each.iceGatherer._connection._protocols]


async def test_a_peer_that_is_closed_while_it_gathers_keeps_its_sockets_in_aiortc_and_not_here():
    peer, answering = await gathering_peer()
    await peer.close()
    await answering
    assert sockets_of(peer) != [], "then it may be closed at once"
    for protocol in sockets_of(peer):
        await protocol.close()

    peer, answering = await gathering_peer()
    await compat.close_once_gathered(peer)
    assert peer.connectionState != "closed"
    await answering
    await until(lambda: not compat.peers_closing)
    assert (peer.connectionState, sockets_of(peer)) == ("closed", [])


def peer_that_is_gone() -> RTCPeerConnection:
    """Its data channel is open and has a message to send, and the connection below it is closed."""
    peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    channel = peer.createDataChannel("text", negotiated=True, id=0)
    hidden: Any = peer.sctp
    hidden._remote_port = 5000
    hidden._association_state = hidden.State.ESTABLISHED
    hidden._data_channel_queue.append((channel, WEBRTC_STRING, b"Too late."))
    return peer


async def test_what_is_sent_to_a_peer_that_is_gone_fails_in_aiortc_and_is_dropped_here():
    compat.give_up_sending_quietly()
    compat.give_up_sending_quietly()
    sctp: Any = RTCSctpTransport
    peer = peer_that_is_gone()
    with pytest.MonkeyPatch.context() as patched:
        for name in compat.SENDING_IN_TASKS:
            patched.setattr(sctp, name, getattr(sctp, name).__wrapped__)
        with pytest.raises(ConnectionError, match="not connected"):
            await cast(Any, peer.sctp)._data_channel_flush()
    await peer.close()

    peer = peer_that_is_gone()
    hidden: Any = peer.sctp
    await hidden._data_channel_flush()
    assert hidden._t3_handle is None, "nothing is sent again"
    await peer.close()


def test_aioice_notices_a_dead_peer_after_half_a_minute():
    """In a process of its own: here it may be changed already."""
    asked = "from aioice import ice; print(ice.CONSENT_INTERVAL * ice.CONSENT_FAILURES)"
    told = subprocess.run([sys.executable, "-c", asked], capture_output=True, check=True)
    assert int(told.stdout) == 30 > compat.CONSENT_INTERVAL_SEC * compat.CONSENT_FAILURES
