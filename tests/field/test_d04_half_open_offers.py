"""Offers that cost much or never become a connection: the caller beside them gets in."""

import asyncio
from pathlib import Path
from types import SimpleNamespace

import httpx
import pytest

from personaplex_ui.calls.manager import CallManager
from personaplex_ui.channels.browser.offers import (
    MAX_CANDIDATES,
    MAX_HALF_OPEN,
    MAX_HALF_OPEN_OF_ADDRESS,
    OFFERS_AT_ONCE,
    OfferLimits,
    check_offer,
    rough_problem,
    with_few_candidates,
)
from personaplex_ui.compat.fastrtc import close_peer
from tests.support.app_process import running_app
from tests.support.clients.offers import SOUND_OFFER, body
from tests.support.clock import Clock
from tests.support.page_peers import browser_client, open_peers, real_offer, take_answer
from tests.support.running import until

CANDIDATE = "a=candidate:1 1 udp 2130706431 127.0.0.1 9 typ host"


@pytest.mark.parametrize("kind", ["m=audio 9 UDP/TLS/RTP/SAVPF 111", "m=video 9 x 1", "m=application 9 x 1"])
def test_an_offer_has_two_media_at_most(kind: str):
    assert rough_problem(SOUND_OFFER) == ""
    assert check_offer(body(SOUND_OFFER + f"{kind}\r\n")) == "too_many_media"
    assert check_offer(body(SOUND_OFFER + f"{kind}\r\n" * 498)) in ("too_many_media", "offer_too_large")
    assert check_offer(body(SOUND_OFFER + f"{kind}\n" * 498)) in ("too_many_media", "offer_too_large")


@pytest.mark.parametrize("line", ["a=x", "a=rtpmap:1 opus/48000/2", CANDIDATE, "a=" + "y" * 30_000, ""])
def test_an_offer_is_of_bounded_size(line: str):
    assert check_offer(body(SOUND_OFFER + f"{line}\r\n" * 2_000)) == "offer_too_large"


def test_candidates_beyond_the_first_ones_are_left_out():
    few = with_few_candidates(SOUND_OFFER + f"{CANDIDATE}\r\n" * 200)
    assert few.count("a=candidate:") == MAX_CANDIDATES
    assert with_few_candidates(SOUND_OFFER) == SOUND_OFFER


def test_an_address_pushes_out_its_own_offers_only():
    limits = OfferLimits(Clock(), lambda known: False)
    assert limits.add("other", "b") == []
    closed = [gone for number in range(100) for gone in limits.add(f"a{number}", "a")]
    assert closed == [f"a{number}" for number in range(100 - MAX_HALF_OPEN_OF_ADDRESS)]


def test_whoever_has_most_offers_makes_room_in_all():
    limits = OfferLimits(Clock(), lambda known: False)
    assert limits.add("caller", "b") == []
    closed = [gone for number in range(100) for gone in limits.add(f"x{number}", "")]
    assert closed == [f"x{number}" for number in range(100 - MAX_HALF_OPEN + 1)]


def test_who_has_answered_is_not_pushed_out():
    limits = OfferLimits(Clock(), lambda known: known == "x0")
    closed = [gone for number in range(100) for gone in limits.add(f"x{number}", "")]
    assert "x0" not in closed


def test_one_address_makes_so_many_offers_a_second_and_another_one_is_not_touched():
    clock = Clock()
    limits = OfferLimits(clock, lambda known: False)
    taken = 0
    for _ in range(120):
        clock.now += 1 / 12
        taken += limits.admit("a")
    assert taken <= OFFERS_AT_ONCE + 11
    assert limits.admit("b")
    assert all(limits.admit("") for _ in range(100))


def test_a_connection_has_so_many_candidates():
    limits = OfferLimits(Clock(), lambda known: False)
    assert [limits.admit_candidate("a") for _ in range(40)].count(True) == MAX_CANDIDATES
    assert limits.admit_candidate("b")


async def test_a_caller_among_half_open_offers_of_strangers_is_connected(call_manager: CallManager):
    async with open_peers(call_manager, MAX_HALF_OPEN + 8) as peers, browser_client() as client:
        await asyncio.gather(*(peers.offer(body(SOUND_OFFER)) for _ in range(40)))
        assert len(peers.stream.pcs) <= MAX_HALF_OPEN
        await take_answer(client, await peers.offer(body(await real_offer(client))))
        await until(lambda: client.connectionState == "connected")


async def test_a_peer_that_is_pushed_out_while_it_is_answered_leaves_no_socket(call_manager: CallManager):
    """aiortc opens sockets as it gathers candidates; one closed meanwhile would keep those opened later."""
    closed = asyncio.Event()

    async def close() -> None:
        closed.set()

    peer = SimpleNamespace(iceGatheringState="gathering", close=close)
    async with open_peers(call_manager) as peers:
        peers.stream.pcs["pushed out"] = peer
        await close_peer(peers.stream, "pushed out")
        assert "pushed out" not in peers.stream.pcs
        await asyncio.sleep(0.05)
        assert not closed.is_set()
        peer.iceGatheringState = "complete"
        await until(closed.is_set)


@pytest.mark.timeout(90)
def test_the_address_behind_a_proxy_is_the_one_that_counts(tmp_path: Path):
    with running_app(tmp_path, TRUSTED_PROXIES="127.0.0.1") as app, httpx.Client(base_url=app.url) as http:

        def offer(address: str) -> httpx.Response:
            headers = {"X-Forwarded-For": address}
            return http.post("/webrtc/offer", json=body(SOUND_OFFER), headers=headers, timeout=30)

        flood = [offer("203.0.113.5") for _ in range(20)]
        refused = [answer for answer in flood if answer.status_code == 429]
        assert refused
        assert {(each.json()["error"], each.headers["Retry-After"]) for each in refused} == {
            ("too_many_offers", "5")
        }
        assert offer("203.0.113.6").json()["type"] == "answer"
