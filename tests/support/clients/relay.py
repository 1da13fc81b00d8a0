"""A bad network in user space: a UDP relay between a WebRTC client and a server on this machine.

It takes the place of both in the other's ICE candidates. Only the client's sound is impaired: lost handshakes
and checks of the connection are another matter, and on the way back the answers are measured.
"""

import asyncio
import re
from collections.abc import Callable

from aiortc import RTCSessionDescription

from personaplex_ui.errors import PersonaplexError
from tests.support.clients.impairment import BadNetwork, Impaired, Impairment

Address = tuple[str, int]
_CANDIDATE = re.compile(r"^a=candidate:\S+ 1 udp \d+ (\d+\.\d+\.\d+\.\d+) (\d+) typ host.*$", re.I | re.M)
_ANY_CANDIDATE = re.compile(r"^a=candidate:.*\r?\n", re.M)


class Relay:
    """Open it, give the server what ``toward_server`` makes of the offer, and the client what
    ``toward_client`` makes of the answer. ``done``: what it did to the client's sound."""

    def __init__(self, impairment: Impairment, seed: int) -> None:
        self._network = BadNetwork(impairment, seed)
        self._client: Address | None = None
        self._server: Address | None = None
        self._facing_client: asyncio.DatagramTransport | None = None
        self._facing_server: asyncio.DatagramTransport | None = None

    @property
    def done(self) -> Impaired:
        return self._network.done

    async def toward_server(self, offer: RTCSessionDescription) -> RTCSessionDescription:
        """Raises PersonaplexError: there is no candidate that can be relayed."""
        self._client = _first_candidate(offer.sdp)
        ip, _ = self._client
        self._facing_client = await _open(ip, self._from_client)
        self._facing_server = await _open(ip, self._from_server)
        return _with_candidate(offer, self._facing_server)

    def toward_client(self, answer: RTCSessionDescription) -> RTCSessionDescription:
        """Raises PersonaplexError: there is no candidate that can be relayed."""
        self._server = _first_candidate(answer.sdp)
        assert self._facing_client is not None
        return _with_candidate(answer, self._facing_client)

    def close(self) -> None:
        for transport in (self._facing_client, self._facing_server):
            if transport is not None:
                transport.close()

    def _from_client(self, datagram: bytes) -> None:
        if not _is_sound(datagram):
            self._to_server(datagram)
            return
        loop = asyncio.get_running_loop()
        delay_sec = self._network.delay_sec(loop.time())
        if delay_sec:
            loop.call_later(delay_sec, self._to_server, datagram)
        elif delay_sec is not None:
            self._to_server(datagram)

    def _to_server(self, datagram: bytes) -> None:
        if self._facing_server is not None and self._server and not self._facing_server.is_closing():
            self._facing_server.sendto(datagram, self._server)

    def _from_server(self, datagram: bytes) -> None:
        if self._facing_client is not None and self._client and not self._facing_client.is_closing():
            self._facing_client.sendto(datagram, self._client)


class _Side(asyncio.DatagramProtocol):
    def __init__(self, forward: Callable[[bytes], None]) -> None:
        self._forward = forward

    def datagram_received(self, data: bytes, addr: Address) -> None:
        self._forward(data)


async def _open(ip: str, forward: Callable[[bytes], None]) -> asyncio.DatagramTransport:
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(lambda: _Side(forward), local_addr=(ip, 0))
    return transport


def _is_sound(datagram: bytes) -> bool:
    """RTP, by its first byte (RFC 7983), and not RTCP, by its second (RFC 5761)."""
    return len(datagram) > 1 and 128 <= datagram[0] <= 191 and not 192 <= datagram[1] <= 223


def _first_candidate(sdp: str) -> Address:
    found = _CANDIDATE.search(sdp)
    if found is None:
        raise PersonaplexError("There is no IPv4 candidate in the SDP, so no bad network can be put between.")
    return found[1], int(found[2])


def _with_candidate(
    description: RTCSessionDescription, transport: asyncio.DatagramTransport
) -> RTCSessionDescription:
    """With that address as the only candidate of each m-line."""
    address: Address = transport.get_extra_info("sockname")
    line = f"a=candidate:1 1 udp 2130706431 {address[0]} {address[1]} typ host\r\n"
    head, *media = re.split(r"^(?=m=)", description.sdp, flags=re.M)
    relayed = [_ANY_CANDIDATE.sub("", part) + line for part in media]
    return RTCSessionDescription(head + "".join(relayed), description.type)
