"""Which messages of a browser are taken. How many of them: tests/field/test_d04_half_open_offers.py."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from personaplex_ui.channels.browser.offers import MAX_ID_CHARACTERS, MAX_SDP_CHARACTERS, check_offer
from tests.support.clients.offers import SOUND_OFFER, body

LACKS = ("microphone", "opus", "keys")
ONE: dict[str, Any] = {"webrtc_id": "one"}
AUDIO, CHANNEL = (f"m={media}" for media in SOUND_OFFER.split("m=")[1:])
SESSION = SOUND_OFFER.split("m=")[0]


def changed(old: str, new: str) -> dict[str, Any]:
    assert old in SOUND_OFFER
    return body(SOUND_OFFER.replace(old, new))


TAKEN: list[dict[str, Any]] = [
    body(SOUND_OFFER),
    changed("sendrecv", "sendonly"),
    body(SOUND_OFFER) | {"webrtc_id": "x" * MAX_ID_CHARACTERS},
    ONE | {"type": "ice-candidate", "candidate": {}},
]


@pytest.mark.parametrize("message", TAKEN)
def test_what_a_page_sends_is_taken(message: object) -> None:
    assert check_offer(message) == ""


@pytest.mark.parametrize(
    ("message", "problem"),
    [
        (None, "malformed_message"),
        ([], "malformed_message"),
        ("offer", "malformed_message"),
        (3.5, "malformed_message"),
        ({}, "malformed_webrtc_id"),
        (body(SOUND_OFFER) | {"webrtc_id": None}, "malformed_webrtc_id"),
        (body(SOUND_OFFER) | {"webrtc_id": ""}, "malformed_webrtc_id"),
        (body(SOUND_OFFER) | {"webrtc_id": ["one"]}, "malformed_webrtc_id"),
        (body(SOUND_OFFER) | {"webrtc_id": "x" * (MAX_ID_CHARACTERS + 1)}, "malformed_webrtc_id"),
        (ONE | {"type": "ice-candidate"}, "malformed_candidate"),
        (ONE | {"type": "ice-candidate", "candidate": "candidate:1"}, "malformed_candidate"),
        (ONE | {"sdp": SOUND_OFFER}, "malformed_offer"),
        (body(SOUND_OFFER, "answer"), "malformed_offer"),
        (body(SOUND_OFFER, ["offer"]), "malformed_offer"),
        (body(None), "malformed_offer"),
        (body([SOUND_OFFER]), "malformed_offer"),
        (body("a" * (MAX_SDP_CHARACTERS + 1)), "offer_too_large"),
        (changed("111 opus/48000/2", "xx"), "malformed_sdp"),
        (changed("m=audio 9", "m=audio x"), "malformed_sdp"),
        (changed("c=IN IP4 127.0.0.1", "c="), "malformed_sdp"),
        (body(""), "offer_without_microphone"),
        (body("junk"), "offer_without_microphone"),
        (body(SESSION + AUDIO), "offer_without_microphone"),
        (body(SESSION + CHANNEL), "offer_without_microphone"),
        (changed("sendrecv", "recvonly"), "offer_without_microphone"),
        (changed("m=audio", "m=video"), "offer_without_microphone"),
        (changed("a=fingerprint", "a=nothing"), "offer_without_keys"),
        (changed("a=ice-pwd", "a=nothing"), "offer_without_keys"),
    ],
)
def test_what_is_not_such_an_offer_is_named(message: object, problem: str) -> None:
    assert check_offer(message) == problem


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
        "sdp": st.just(SOUND_OFFER) | st.text() | JSON,
        "candidate": JSON,
    },
)


@given(message=JSON | MESSAGE)
def test_of_junk_it_says_so_and_raises_nothing(message: object) -> None:
    if check_offer(message) == "":
        assert isinstance(message, dict)
        assert message["webrtc_id"]
        assert message.get("sdp") == SOUND_OFFER or isinstance(message["candidate"], dict)


@given(data=st.data())
def test_of_an_offer_with_one_line_spoilt_it_says_so_and_raises_nothing(data: st.DataObject) -> None:
    lines = SOUND_OFFER.splitlines()
    number = data.draw(st.integers(0, len(lines) - 1))
    lines[number] = data.draw(st.text() | st.sampled_from([lines[number][:cut] for cut in range(12)]))
    problem = check_offer(body("\r\n".join(lines)))
    assert problem == "malformed_sdp" or problem in ("", *(f"offer_without_{what}" for what in LACKS))
