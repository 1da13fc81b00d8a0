"""Offers to the component: those of a real aiortc client connect, all others hold nothing."""

import asyncio
import random
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiortc import RTCPeerConnection

from personaplex_ui.channels.browser.component import TRACK_CONSTRAINTS
from personaplex_ui.compat import fastrtc
from tests.support.clients.offers import SOUND_OFFER, body
from tests.support.running import until
from tests.support.webrtc_component import browser_client, kept, open_component, real_offer, take_answer


@pytest.fixture
def diary() -> list[str]:
    return []


@pytest.fixture
async def component(diary: list[str]) -> AsyncIterator[Any]:
    async with open_component(diary) as component:
        yield component


@pytest.fixture
async def client() -> AsyncIterator[RTCPeerConnection]:
    async with browser_client() as client:
        yield client


@pytest.fixture
def soon_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fastrtc, "CONNECTED_WITHIN_SEC", 0.2)


def offer_of(sdp: object, webrtc_id: str = "one") -> dict[str, Any]:
    return body(sdp) | {"webrtc_id": webrtc_id}


async def call(component: Any, client: RTCPeerConnection) -> None:
    """Until it is heard, the component's side knows no more than that the answer was sent."""
    await take_answer(client, await component.offer(offer_of(await real_offer(client))))


def test_the_microphone_is_asked_for_without_conditions() -> None:
    assert "exact" not in repr(TRACK_CONSTRAINTS)


async def test_no_server_is_asked_for_our_own_address(component: Any) -> None:
    assert component.server_rtc_configuration.iceServers == []


async def test_a_real_client_is_connected_heard_and_forgotten_when_it_closes(
    component: Any, client: RTCPeerConnection, diary: list[str]
) -> None:
    await call(component, client)
    await until(lambda: client.connectionState == "connected" and "receive" in diary)
    assert list(component.pcs) == ["one"]
    await client.close()
    await until(lambda: not kept(component) and "shutdown" in diary)
    await until(lambda: asyncio.all_tasks() == {asyncio.current_task()})
    assert diary.count("start_up") == 1


async def test_sound_comes_through_our_own_jitter_buffer(component: Any, client: RTCPeerConnection) -> None:
    answer = await component.offer(offer_of(await real_offer(client)))
    handler = component.handlers["one"]
    (inbound,) = handler.inbound
    assert inbound.counts.received == 0, "it is there before the first packet"
    await take_answer(client, answer)
    await until(lambda: inbound.counts.handed_on > 10)
    again = await component.offer(offer_of(client.localDescription.sdp))
    assert b"connection_already_exists" in again.body
    assert handler.inbound == [inbound]


async def test_the_same_offer_twice_is_taken_once(component: Any, client: RTCPeerConnection) -> None:
    sdp = await real_offer(client)
    assert (await component.offer(offer_of(sdp)))["type"] == "answer"
    first = component.pcs["one"]
    assert b"connection_already_exists" in (await component.offer(offer_of(sdp))).body
    assert component.pcs == {"one": first}


@pytest.mark.usefixtures("soon_given_up")
async def test_a_client_that_never_answers_is_forgotten(
    component: Any, client: RTCPeerConnection, diary: list[str]
) -> None:
    await component.offer(offer_of(await real_offer(client)))
    assert list(component.pcs) == ["one"]
    await until(lambda: not kept(component))
    await until(lambda: diary == ["shutdown"])


AUDIO = SOUND_OFFER[SOUND_OFFER.index("m=audio") : SOUND_OFFER.index("m=application")]
BAD_OFFERS: dict[str, tuple[str, str]] = {
    "malformed": ("111 opus/48000/2", "xx"),
    "no codec in common": ("opus/48000/2", "codec2/8000"),
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
async def test_an_offer_that_leads_nowhere_holds_nothing(component: Any, name: str) -> None:
    answer = await component.offer(offer_of(SOUND_OFFER.replace(*BAD_OFFERS[name])))
    assert answer.get("type") == "answer" or answer["status"] == "failed"
    await until(lambda: not kept(component))
    await until(lambda: asyncio.all_tasks() == {asyncio.current_task()})


@pytest.mark.usefixtures("soon_given_up")
async def test_many_spoilt_offers_hold_nothing_and_a_good_one_is_taken_after_them(
    component: Any, client: RTCPeerConnection
) -> None:
    dice = random.Random(3)
    sdp = await real_offer(client)
    for number in range(16):
        lines = sdp.splitlines()
        for _ in range(3):
            spoilt = dice.randrange(len(lines))
            lines[spoilt] = lines[spoilt][: dice.randrange(len(lines[spoilt]) + 1)]
        await component.offer(offer_of("\r\n".join(lines) + "\r\n", f"spoilt {number}"))
    await until(lambda: not kept(component))
    assert (await component.offer(offer_of(sdp)))["type"] == "answer"


async def test_a_bad_second_offer_does_not_end_the_first_call(
    component: Any, client: RTCPeerConnection, diary: list[str]
) -> None:
    await call(component, client)
    await until(lambda: "receive" in diary)
    for name in ("malformed", "no fingerprint", "nobody there"):
        await component.offer(offer_of(SOUND_OFFER.replace(*BAD_OFFERS[name])))
    diary.clear()
    await until(lambda: "receive" in diary)
    assert "shutdown" not in diary


@pytest.mark.parametrize(
    "candidate", [{}, {"candidate": None}, {"candidate": "candidate:1 x"}, {"candidate": 3, "sdpMid": {}}]
)
async def test_a_candidate_that_fits_nothing_holds_nothing(
    component: Any, candidate: dict[str, object]
) -> None:
    answer = await component.offer({"webrtc_id": "one", "type": "ice-candidate", "candidate": candidate})
    assert answer["meta"]["error"] in ("unknown_connection", "malformed_candidate")
    assert kept(component) == []


@pytest.mark.usefixtures("soon_given_up")
async def test_more_connections_than_allowed_are_refused(client: RTCPeerConnection) -> None:
    async with open_component([], max_connections=1) as component:
        sdp = await real_offer(client)
        await component.offer(offer_of(sdp, "one"))
        refusal = await component.offer(offer_of(sdp, "two"))
        assert b"concurrency_limit_reached" in refusal.body
