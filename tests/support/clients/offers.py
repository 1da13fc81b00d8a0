"""What a browser sends to begin a call, well formed and not."""

import uuid
from typing import Any

import httpx

_CANDIDATE = "a=candidate:1 1 udp 2130706431 127.0.0.1 9 typ host"
_TRANSPORT = f"""c=IN IP4 127.0.0.1
a=mid:{{mid}}
a=ice-ufrag:abcd
a=ice-pwd:abcdefghijklmnopqrstuvwx
a=fingerprint:sha-256 {":".join(["AB"] * 32)}
a=setup:actpass
{_CANDIDATE}
a=end-of-candidates
"""
_SESSION = "v=0\no=- 1 1 IN IP4 127.0.0.1\ns=-\nt=0 0\na=group:BUNDLE 0 1\na=msid-semantic:WMS *\n"
_AUDIO = (
    "m=audio 9 UDP/TLS/RTP/SAVPF 111\n"
    + _TRANSPORT.format(mid=0)
    + "a=sendrecv\na=rtcp-mux\na=rtpmap:111 opus/48000/2\na=ssrc:1 cname:x\n"
)
_CHANNEL = (
    "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\n"
    + _TRANSPORT.format(mid=1)
    + "a=sctp-port:5000\na=max-message-size:65536\n"
)

SOUND_OFFER = (_SESSION + _AUDIO + _CHANNEL).replace("\n", "\r\n")
"""Nothing is wrong with it; but where it says that it can be reached, nobody is."""


def body(sdp: object, kind: object = "offer") -> dict[str, Any]:
    return {"sdp": sdp, "type": kind, "webrtc_id": uuid.uuid4().hex[:11]}


def junk_bodies() -> dict[str, Any]:
    """By what is wrong with them. None of them may hold anything."""
    return {
        "malformed attribute": body(SOUND_OFFER.replace("opus/48000/2", "xx")),
        "malformed line": body(SOUND_OFFER.replace("m=audio 9", "m=audio nine")),
        "no SDP at all": body("hello"),
        "no SDP but a list": body(["v=0"]),
        "empty SDP": body(""),
        "no media": body(_SESSION.replace("\n", "\r\n")),
        "no microphone": body((_SESSION + _CHANNEL).replace("BUNDLE 0 1", "BUNDLE 1").replace("\n", "\r\n")),
        "no data channel": body((_SESSION + _AUDIO).replace("BUNDLE 0 1", "BUNDLE 0").replace("\n", "\r\n")),
        "listens only": body(SOUND_OFFER.replace("a=sendrecv", "a=recvonly")),
        "no codec of ours": body(SOUND_OFFER.replace("opus/48000/2", "nonsense/8000")),
        "no key": body(SOUND_OFFER.replace("a=fingerprint", "a=nothing")),
        "no password": body(SOUND_OFFER.replace("a=ice-pwd", "a=nothing")),
        "an answer": body(SOUND_OFFER, "answer"),
        "no kind": body(SOUND_OFFER, 5),
        "huge": body(SOUND_OFFER + "a=x\r\n" * 400_000),
        "number as id": body(SOUND_OFFER) | {"webrtc_id": 7},
        "long id": body(SOUND_OFFER) | {"webrtc_id": "x" * 10_000},
        "no id": {"sdp": SOUND_OFFER, "type": "offer"},
        "a text": "offer",
        "a list": [1, 2, 3],
        "nothing": None,
        "a candidate for nobody": {
            "type": "ice-candidate",
            "webrtc_id": "nobody",
            "candidate": {"candidate": _CANDIDATE},
        },
        "a candidate that is none": {"type": "ice-candidate", "webrtc_id": "nobody", "candidate": "x"},
    }


def send(url: str, message: object) -> httpx.Response:
    return httpx.post(f"{url}/webrtc/offer", json=message, timeout=30)
