"""Offers to the server: those of a real aiortc client connect, all others hold nothing."""

import asyncio
import random
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiortc import RTCPeerConnection

from personaplex_ui.calls.snapshot import End
from personaplex_ui.channels.browser import session
from personaplex_ui.channels.browser.connections import NOT_CONNECTED, Connection
from personaplex_ui.compat import fastrtc
from personaplex_ui.engine.engine import Engine
from tests.support.clients.offers import SOUND_OFFER, body
from tests.support.page_peers import (
    OWNER,
    PagePeers,
    browser_client,
    open_peers,
    real_offer,
    take_answer,
)
from tests.support.running import running_call_manager, until


@pytest.fixture
async def peers(engine: Engine, tmp_path: Path) -> AsyncIterator[PagePeers]:
    async with running_call_manager(engine, tmp_path) as call_manager, open_peers(call_manager) as peers:
        yield peers


@pytest.fixture
async def client() -> AsyncIterator[RTCPeerConnection]:
    async with browser_client() as client:
        yield client


@pytest.fixture
def soon_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fastrtc, "CONNECTED_WITHIN_SEC", 0.2)


def offer_of(sdp: object, webrtc_id: str = "one") -> dict[str, Any]:
    return body(sdp) | {"webrtc_id": webrtc_id}


def connection_of(peers: PagePeers, webrtc_id: str = "one") -> Connection:
    connection = peers.connections.of(webrtc_id, OWNER)
    assert connection is not None
    return connection


async def call(peers: PagePeers, client: RTCPeerConnection) -> None:
    await take_answer(client, await peers.offer(offer_of(await real_offer(client))))
    await until(lambda: connection_of(peers).call is not None)


async def test_no_server_is_asked_for_our_own_address(peers: PagePeers) -> None:
    assert peers.stream.server_rtc_configuration.iceServers == []


async def test_a_real_client_is_connected_heard_and_forgotten_when_it_closes(
    peers: PagePeers, client: RTCPeerConnection
) -> None:
    await call(peers, client)
    opened = connection_of(peers).call
    assert opened is not None
    await opened.live.wait()
    counts = peers.stream.handlers["one"].inbound[0].counts
    await until(lambda: counts.handed_on > 10)
    await client.close()
    await until(lambda: not peers.kept() and opened.over.is_set())
    assert opened.reason == "You hung up."


async def test_sound_comes_through_our_own_jitter_buffer(peers: PagePeers, client: RTCPeerConnection) -> None:
    answer = await peers.offer(offer_of(await real_offer(client)))
    handler = peers.stream.handlers["one"]
    (inbound,) = handler.inbound
    assert inbound.counts.received == 0, "it is there before the first packet"
    await take_answer(client, answer)
    await until(lambda: inbound.counts.handed_on > 10)
    again = await peers.offer(offer_of(client.localDescription.sdp))
    assert again == {"error": "connection_already_exists"}
    assert handler.inbound == [inbound]


async def test_the_same_offer_twice_is_taken_once(peers: PagePeers, client: RTCPeerConnection) -> None:
    sdp = await real_offer(client)
    assert (await peers.offer(offer_of(sdp)))["type"] == "answer"
    first = peers.stream.pcs["one"]
    assert await peers.offer(offer_of(sdp)) == {"error": "connection_already_exists"}
    assert peers.stream.pcs == {"one": first}


@pytest.mark.usefixtures("soon_given_up")
async def test_a_client_that_never_answers_is_forgotten_and_told_so(
    peers: PagePeers, client: RTCPeerConnection
) -> None:
    await peers.offer(offer_of(await real_offer(client)))
    assert list(peers.stream.pcs) == ["one"]
    await until(lambda: not peers.kept() and connection_of(peers).over)
    facts = peers.connections.facts(connection_of(peers))
    assert (facts["phase"], facts["end"], facts["reason"]) == ("ended", "lost", NOT_CONNECTED)


async def test_a_client_that_opens_no_data_channel_is_let_go(
    peers: PagePeers, client: RTCPeerConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "CHANNEL_WITHIN_SEC", 0.2)
    sdp = await real_offer(client)
    answer = await peers.offer(offer_of(sdp))
    monkeypatch.setattr(client.sctp, "_data_channel_flush", _nothing)
    await take_answer(client, answer)
    await until(lambda: not peers.kept())
    assert connection_of(peers).refusal == session.NO_CHANNEL


async def _nothing() -> None: ...


AUDIO = SOUND_OFFER[SOUND_OFFER.index("m=audio") : SOUND_OFFER.index("m=application")]
BAD_OFFERS: dict[str, tuple[str, str]] = {
    "malformed": ("111 opus/48000/2", "xx"),
    "no codec in common": ("opus/48000/2", "codec2/8000"),
    "another codec first": (
        "a=rtpmap:111 opus/48000/2",
        "a=rtpmap:0 PCMU/8000\r\na=rtpmap:111 opus/48000/2",
    ),
    "no fingerprint": ("a=fingerprint", "a=nothing"),
    "no multiplexing": ("a=rtcp-mux\r\n", ""),
    "no media id": ("a=mid:", "a=nothing:"),
    "unknown hash": ("sha-256", "sha-1"),
    "unknown role": ("actpass", "holdconn"),
    "bundle of others": ("BUNDLE 0 1", "BUNDLE 7 8"),
    "two microphones": (AUDIO, AUDIO + AUDIO.replace("mid:0", "mid:2")),
    "a camera": (AUDIO, AUDIO.replace("m=audio", "m=video")),
    "nobody there": ("", ""),
}


@pytest.mark.usefixtures("soon_given_up")
@pytest.mark.parametrize("name", BAD_OFFERS)
async def test_an_offer_that_leads_nowhere_holds_nothing(peers: PagePeers, name: str) -> None:
    before = asyncio.all_tasks()
    answer = await peers.offer(offer_of(SOUND_OFFER.replace(*BAD_OFFERS[name])))
    assert answer.get("type") == "answer" or answer["error"]
    await until(lambda: not peers.kept())
    await until(lambda: asyncio.all_tasks() == before)


@pytest.mark.usefixtures("soon_given_up")
async def test_many_spoilt_offers_hold_nothing_and_a_good_one_is_taken_after_them(
    peers: PagePeers, client: RTCPeerConnection
) -> None:
    dice = random.Random(3)
    sdp = await real_offer(client)
    for number in range(16):
        lines = sdp.splitlines()
        for _ in range(3):
            spoilt = dice.randrange(len(lines))
            lines[spoilt] = lines[spoilt][: dice.randrange(len(lines[spoilt]) + 1)]
        await peers.offer(offer_of("\r\n".join(lines) + "\r\n", f"spoilt {number}"))
    await until(lambda: not peers.kept())
    assert (await peers.offer(offer_of(sdp)))["type"] == "answer"


async def test_a_bad_second_offer_does_not_end_the_first_call(
    peers: PagePeers, client: RTCPeerConnection
) -> None:
    await call(peers, client)
    for name in ("malformed", "no fingerprint", "nobody there"):
        await peers.offer(offer_of(SOUND_OFFER.replace(*BAD_OFFERS[name])))
    counts = peers.stream.handlers["one"].inbound[0].counts
    heard = counts.handed_on
    await until(lambda: counts.handed_on > heard + 5)
    assert not connection_of(peers).over


@pytest.mark.parametrize(
    "candidate", [{}, {"candidate": None}, {"candidate": "candidate:1 x"}, {"candidate": 3, "sdpMid": {}}]
)
async def test_a_candidate_that_fits_nothing_holds_nothing(
    peers: PagePeers, candidate: dict[str, object]
) -> None:
    answer = await peers.offer({"webrtc_id": "one", "type": "ice-candidate", "candidate": candidate})
    assert answer["error"] in ("unknown_connection", "malformed_candidate")
    assert peers.kept() == []


async def test_candidates_are_taken_from_the_owner_alone(peers: PagePeers, client: RTCPeerConnection) -> None:
    await peers.offer(offer_of(await real_offer(client)))
    line = "candidate:1 1 udp 2130706431 127.0.0.1 9 typ host generation 0"
    message: dict[str, Any] = {"webrtc_id": "one", "type": "ice-candidate"}
    good = message | {"candidate": {"candidate": line, "sdpMid": "0", "sdpMLineIndex": 0}}
    assert await peers.offer(good) == {}
    assert await peers.offer(message | {"candidate": {"candidate": ""}}) == {}
    assert await peers.offer(good, owner="somebody else") == {"error": "unknown_connection"}
    assert await peers.offer(message | {"candidate": {"candidate": "candidate:x"}}) == {
        "error": "candidate_refused"
    }
    answers = [await peers.offer(good) for _ in range(40)]
    assert answers[-1] == {"error": "too_many_candidates"}


@pytest.mark.usefixtures("soon_given_up")
async def test_more_connections_than_allowed_are_refused(
    engine: Engine, tmp_path: Path, client: RTCPeerConnection
) -> None:
    async with running_call_manager(engine, tmp_path) as manager, open_peers(manager, 1) as peers:
        sdp = await real_offer(client)
        await peers.offer(offer_of(sdp, "one"))
        assert await peers.offer(offer_of(sdp, "two")) == {"error": "concurrency_limit_reached"}
        assert peers.connections.of("two", OWNER) is None


async def test_a_network_that_carries_nothing_any_more_is_no_hanging_up(
    peers: PagePeers, client: RTCPeerConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    await call(peers, client)
    live = connection_of(peers).call
    assert live is not None
    peer = peers.stream.pcs["one"]
    monkeypatch.setattr(RTCPeerConnection, "iceConnectionState", property(lambda _: "failed"))
    peer.emit("iceconnectionstatechange")
    await until(lambda: live.over.is_set())
    assert (live.reason, live.end) == ("The connection was lost.", End.LOST)
