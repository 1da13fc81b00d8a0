"""Offers to the component: real ones of an aiortc client connect, all others hold nothing."""

import asyncio
import random
from collections.abc import AsyncIterator
from typing import Any

import gradio as gr
import numpy as np
import numpy.typing as npt
import pytest
from aioice import ice
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import AudioStreamTrack
from fastrtc import AsyncStreamHandler, WebRTC
from fastrtc.tracks import EmitType
from hypothesis import given, settings
from hypothesis import strategies as st

from personaplex_ui.channels.browser import component as webrtc_component
from personaplex_ui.channels.browser.component import (
    MAX_ID_CHARACTERS,
    TRACK_CONSTRAINTS,
    attach,
    build_component,
    check_offer,
    hide_internal_functions,
    peers_closing,
)
from personaplex_ui.channels.browser.ice_servers import Fixed, IceServers
from personaplex_ui.channels.browser.offer_limits import MAX_SDP_CHARACTERS
from tests.support.running import until

FINGERPRINT = ":".join(["AB"] * 32)
AUDIO = [
    "m=audio 9 UDP/TLS/RTP/SAVPF 111",
    "c=IN IP4 0.0.0.0",
    "a=sendrecv",
    "a=mid:0",
    "a=rtcp-mux",
    "a=rtpmap:111 opus/48000/2",
    "a=ice-ufrag:abcd",
    "a=ice-pwd:abcdefghijklmnopqrstuv",
    f"a=fingerprint:sha-256 {FINGERPRINT}",
    "a=setup:actpass",
]
CHANNEL = [
    "m=application 9 UDP/DTLS/SCTP webrtc-datachannel",
    "c=IN IP4 0.0.0.0",
    "a=mid:1",
    "a=sctp-port:5000",
    "a=ice-ufrag:abcd",
    "a=ice-pwd:abcdefghijklmnopqrstuv",
    f"a=fingerprint:sha-256 {FINGERPRINT}",
    "a=setup:actpass",
]


def sdp_of(*media: list[str], bundle: str = "0 1") -> str:
    session = ["v=0", "o=- 1 2 IN IP4 127.0.0.1", "s=-", "t=0 0", f"a=group:BUNDLE {bundle}"]
    return "\r\n".join([*session, *[line for lines in media for line in lines]]) + "\r\n"


def offer_of(sdp: object, webrtc_id: object = "one") -> dict[str, object]:
    return {"webrtc_id": webrtc_id, "type": "offer", "sdp": sdp}


def changed(lines: list[str], old: str, new: str) -> list[str]:
    assert any(old in line for line in lines)
    return [line.replace(old, new) for line in lines]


GOOD_SDP = sdp_of(AUDIO, CHANNEL)


# Looking at an offer ---------------------------------------------------------------------------------


def test_an_offer_with_microphone_and_channel_is_taken():
    assert check_offer(offer_of(GOOD_SDP)) == ""
    assert check_offer(offer_of(sdp_of(changed(AUDIO, "sendrecv", "sendonly"), CHANNEL))) == ""
    assert check_offer(offer_of(GOOD_SDP, "x" * MAX_ID_CHARACTERS)) == ""


def test_a_candidate_is_taken():
    assert check_offer({"webrtc_id": "one", "type": "ice-candidate", "candidate": {}}) == ""


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (None, "malformed_message"),
        ([], "malformed_message"),
        ("offer", "malformed_message"),
        (3.5, "malformed_message"),
        ({}, "malformed_webrtc_id"),
        (offer_of(GOOD_SDP, None), "malformed_webrtc_id"),
        (offer_of(GOOD_SDP, ""), "malformed_webrtc_id"),
        (offer_of(GOOD_SDP, ["one"]), "malformed_webrtc_id"),
        (offer_of(GOOD_SDP, "x" * (MAX_ID_CHARACTERS + 1)), "malformed_webrtc_id"),
        ({"webrtc_id": "one", "type": "ice-candidate"}, "malformed_candidate"),
        ({"webrtc_id": "one", "type": "ice-candidate", "candidate": "candidate:1"}, "malformed_candidate"),
        ({"webrtc_id": "one", "sdp": GOOD_SDP}, "malformed_offer"),
        ({"webrtc_id": "one", "type": "answer", "sdp": GOOD_SDP}, "malformed_offer"),
        ({"webrtc_id": "one", "type": ["offer"], "sdp": GOOD_SDP}, "malformed_offer"),
        (offer_of(None), "malformed_offer"),
        (offer_of([GOOD_SDP]), "malformed_offer"),
        (offer_of("a" * (MAX_SDP_CHARACTERS + 1)), "offer_too_large"),
        (offer_of(sdp_of(changed(AUDIO, "111 opus/48000/2", "xx"), CHANNEL)), "malformed_sdp"),
        (offer_of(sdp_of(changed(AUDIO, "m=audio 9", "m=audio x"), CHANNEL)), "malformed_sdp"),
        (offer_of(GOOD_SDP.replace("c=IN IP4 0.0.0.0", "c=")), "malformed_sdp"),
        (offer_of(""), "offer_without_microphone"),
        (offer_of("junk"), "offer_without_microphone"),
        (offer_of(sdp_of(AUDIO)), "offer_without_microphone"),
        (offer_of(sdp_of(CHANNEL)), "offer_without_microphone"),
        (offer_of(sdp_of(changed(AUDIO, "sendrecv", "recvonly"), CHANNEL)), "offer_without_microphone"),
        (offer_of(sdp_of(changed(AUDIO, "m=audio", "m=video"), CHANNEL)), "offer_without_microphone"),
    ],
)
def test_what_is_no_such_offer_is_named(body: object, problem: str):
    assert check_offer(body) == problem


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=8,
)
MESSAGE = st.fixed_dictionaries(
    {},
    optional={
        "webrtc_id": st.just("one") | JSON,
        "type": st.sampled_from(["offer", "ice-candidate", "answer"]) | JSON,
        "sdp": st.just(GOOD_SDP) | st.text() | JSON,
        "candidate": JSON,
    },
)


@settings(deadline=None)
@given(body=JSON | MESSAGE)
def test_of_junk_it_says_so_and_raises_nothing(body: object):
    if check_offer(body) == "":
        assert isinstance(body, dict)
        assert body["webrtc_id"]
        assert body.get("sdp") == GOOD_SDP or isinstance(body["candidate"], dict)


@settings(deadline=None)
@given(data=st.data())
def test_of_an_offer_with_one_line_spoilt_it_says_so_and_raises_nothing(data: st.DataObject):
    lines = GOOD_SDP.splitlines()
    number = data.draw(st.integers(0, len(lines) - 1))
    lines[number] = data.draw(st.text() | st.sampled_from([lines[number][:cut] for cut in range(12)]))
    assert check_offer(offer_of("\r\n".join(lines))) in (
        "",
        "malformed_sdp",
        "offer_without_microphone",
        "offer_without_keys",
    )


# The component ---------------------------------------------------------------------------------------


class Handler(AsyncStreamHandler):
    """Hears and says nothing but silence; all copies share one diary."""

    def __init__(self, diary: list[str]) -> None:
        super().__init__("mono", 24_000, input_sample_rate=24_000)
        self.diary = diary

    def copy(self) -> "Handler":
        return Handler(self.diary)

    async def start_up(self) -> None:
        self.diary.append("start_up")

    async def receive(self, frame: tuple[int, npt.NDArray[np.int16]]) -> None:  # type: ignore[override]
        self.diary.append("receive")

    async def emit(self) -> EmitType:
        await asyncio.sleep(0.02)
        return 24_000, np.zeros((1, 480), dtype=np.int16)

    async def shutdown(self) -> None:  # type: ignore[override]
        self.diary.append("shutdown")


@pytest.fixture
def diary() -> list[str]:
    return []


@pytest.fixture
async def component(diary: list[str], monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[WebRTC]:
    monkeypatch.setattr(ice, "CONSENT_INTERVAL", ice.CONSENT_INTERVAL)
    monkeypatch.setattr(ice, "CONSENT_FAILURES", ice.CONSENT_FAILURES)
    with gr.Blocks(analytics_enabled=False):
        component = build_component(20, IceServers(Fixed(())))
        attach(component, Handler(diary), [], 20)
    yield component
    # A peer that is left open leaves its sockets to whichever test comes next.
    await asyncio.gather(*(peer.close() for peer in list(component.pcs.values())))
    await until(lambda: not peers_closing)


@pytest.fixture
async def client() -> AsyncIterator[RTCPeerConnection]:
    client = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    client.addTrack(AudioStreamTrack())
    client.createDataChannel("text")
    yield client
    await client.close()


async def real_offer(client: RTCPeerConnection) -> str:
    await client.setLocalDescription(await client.createOffer())
    return client.localDescription.sdp


async def send(component: Any, body: object) -> Any:
    """Send ``body`` as a page does; FastRTC types nothing of it."""
    return await component.offer(body)


def kept(component: WebRTC) -> list[str]:
    """What the component keeps of any connection, by the names of its attributes."""
    keepers: dict[str, dict[str, Any]] = {
        "pcs": component.pcs,
        "handlers": component.handlers,
        "connections": component.connections,
        "data_channels": component.data_channels,
        "connection_timeouts": component.connection_timeouts,
        "additional_outputs": component.additional_outputs,
    }
    return [name for name, keeper in keepers.items() if keeper]


async def test_the_component_is_set_up_for_our_calls(component: WebRTC):
    assert component.concurrency_limit == 20
    assert (ice.CONSENT_INTERVAL, ice.CONSENT_FAILURES) == (2, 3)
    assert "exact" not in repr(TRACK_CONSTRAINTS)
    assert component.server_rtc_configuration is not None
    assert component.server_rtc_configuration.iceServers == []


async def test_a_real_client_is_connected_heard_and_forgotten_when_it_closes(
    component: WebRTC, client: RTCPeerConnection, diary: list[str]
):
    answer = await send(component, offer_of(await real_offer(client)))
    await client.setRemoteDescription(RTCSessionDescription(**answer))
    await until(lambda: client.connectionState == "connected" and "receive" in diary)
    assert list(component.pcs) == ["one"]
    await client.close()
    await until(lambda: not kept(component))
    await until(lambda: "shutdown" in diary)
    await until(lambda: asyncio.all_tasks() == {asyncio.current_task()})
    assert diary.count("start_up") == 1


async def test_sound_comes_through_our_own_jitter_buffer(component: WebRTC, client: RTCPeerConnection):
    answer = await send(component, offer_of(await real_offer(client)))
    handlers: dict[str, Any] = vars(component)["handlers"]
    handler = handlers["one"]
    (inbound,) = handler.inbound
    assert inbound.counts[0].received == 0, "it is there before the first packet"
    await client.setRemoteDescription(RTCSessionDescription(**answer))
    await until(lambda: inbound.counts[0].handed_on > 10)
    again = await send(component, offer_of(client.localDescription.sdp))
    assert b"connection_already_exists" in again.body
    assert handler.inbound == [inbound]


async def test_the_same_offer_twice_is_taken_once(component: WebRTC, client: RTCPeerConnection):
    sdp = await real_offer(client)
    assert (await send(component, offer_of(sdp)))["type"] == "answer"
    first = component.pcs["one"]
    refusal = await send(component, offer_of(sdp))
    assert b"connection_already_exists" in refusal.body
    assert component.pcs == {"one": first}
    await first.close()
    await until(lambda: not kept(component))


async def test_a_client_that_never_answers_is_forgotten(
    component: WebRTC, client: RTCPeerConnection, diary: list[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(webrtc_component, "CONNECTED_WITHIN_SEC", 0.3)
    await send(component, offer_of(await real_offer(client)))
    assert list(component.pcs) == ["one"]
    await until(lambda: not kept(component))
    await until(lambda: diary == ["shutdown"])


BAD_OFFERS: dict[str, object] = {
    "no message": None,
    "no id": {"type": "offer", "sdp": GOOD_SDP},
    "malformed": offer_of(sdp_of(changed(AUDIO, "111 opus/48000/2", "xx"), CHANNEL)),
    "junk": offer_of("junk"),
    "no codec in common": offer_of(sdp_of(changed(AUDIO, "opus/48000/2", "codec2/8000"), CHANNEL)),
    "no fingerprint": offer_of(sdp_of(*([x for x in m if "finger" not in x] for m in (AUDIO, CHANNEL)))),
    "no ICE password": offer_of(sdp_of(*([x for x in m if "ice-pwd" not in x] for m in (AUDIO, CHANNEL)))),
    "no multiplexing": offer_of(sdp_of([x for x in AUDIO if x != "a=rtcp-mux"], CHANNEL)),
    "no media id": offer_of(sdp_of(*([x for x in m if "a=mid" not in x] for m in (AUDIO, CHANNEL)))),
    "unknown hash": offer_of(GOOD_SDP.replace("sha-256", "sha-1")),
    "unknown role": offer_of(GOOD_SDP.replace("actpass", "holdconn")),
    "bundle of others": offer_of(sdp_of(AUDIO, CHANNEL, bundle="7 8")),
    "two microphones": offer_of(sdp_of(AUDIO, changed(AUDIO, "mid:0", "mid:2"), CHANNEL, bundle="0 2 1")),
    "a camera": offer_of(sdp_of(AUDIO, changed(AUDIO, "m=audio", "m=video"), CHANNEL)),
    "nobody there": offer_of(GOOD_SDP),
}


@pytest.mark.parametrize("name", BAD_OFFERS)
async def test_an_offer_that_leads_nowhere_holds_nothing(
    component: WebRTC, monkeypatch: pytest.MonkeyPatch, name: str
):
    monkeypatch.setattr(webrtc_component, "CONNECTED_WITHIN_SEC", 0.05)
    answer = await send(component, BAD_OFFERS[name])
    assert answer.get("type") == "answer" or answer["status"] == "failed"
    await until(lambda: not kept(component))
    await until(lambda: asyncio.all_tasks() == {asyncio.current_task()})


async def test_many_spoilt_offers_hold_nothing_and_a_good_one_is_taken_after_them(
    component: WebRTC, client: RTCPeerConnection, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(webrtc_component, "CONNECTED_WITHIN_SEC", 0.05)
    dice = random.Random(3)
    sdp = await real_offer(client)
    for number in range(16):
        lines = sdp.splitlines()
        for _ in range(3):
            spoilt = dice.randrange(len(lines))
            lines[spoilt] = lines[spoilt][: dice.randrange(len(lines[spoilt]) + 1)]
        await send(component, offer_of("\r\n".join(lines) + "\r\n", f"spoilt {number}"))
    await until(lambda: not kept(component))
    assert (await send(component, offer_of(sdp)))["type"] == "answer"
    await until(lambda: not kept(component))


async def test_a_bad_second_offer_does_not_end_the_first_call(
    component: WebRTC, client: RTCPeerConnection, diary: list[str]
):
    answer = await send(component, offer_of(await real_offer(client)))
    await client.setRemoteDescription(RTCSessionDescription(**answer))
    await until(lambda: "receive" in diary)
    for name in ("malformed", "no fingerprint", "nobody there"):
        await send(component, BAD_OFFERS[name])
    diary.clear()
    await until(lambda: "receive" in diary)
    assert "shutdown" not in diary
    await client.close()
    await until(lambda: not kept(component))


@pytest.mark.parametrize(
    "candidate", [{}, {"candidate": None}, {"candidate": "candidate:1 x"}, {"candidate": 3, "sdpMid": {}}]
)
async def test_a_candidate_that_fits_nothing_holds_nothing(component: WebRTC, candidate: dict[str, object]):
    body = {"webrtc_id": "one", "type": "ice-candidate", "candidate": candidate}
    answer = await send(component, body)
    assert answer["meta"]["error"] in ("unknown_connection", "malformed_candidate")
    assert kept(component) == []


async def test_more_connections_than_allowed_are_refused(
    component: WebRTC, client: RTCPeerConnection, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(webrtc_component, "CONNECTED_WITHIN_SEC", 0.3)
    component.concurrency_limit = 1
    sdp = await real_offer(client)
    await send(component, offer_of(sdp, "one"))
    refusal = await send(component, offer_of(sdp, "two"))
    assert b"concurrency_limit_reached" in refusal.body
    await until(lambda: not kept(component))


async def test_functions_of_fastrtc_are_hidden_from_api_clients_and_ours_are_not(diary: list[str]):
    with gr.Blocks(analytics_enabled=False) as page:
        component = build_component(4, IceServers(Fixed(())))
        attach(component, Handler(diary), [], 4)
        component.on_additional_outputs(lambda: "", outputs=[gr.Textbox()])
        gr.Button().click(lambda: None, api_name="ours")
    before: dict[str, Any] = page.get_api_info()["named_endpoints"]
    assert len(before) > 1
    hide_internal_functions(page)
    assert list(page.get_api_info()["named_endpoints"]) == ["/ours"]
