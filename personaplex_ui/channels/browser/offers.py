"""Checks WebRTC offers, and limits how many offers may be open without a connection.

Pure; times are passed in. A half-open offer costs sockets and event loop time, and anybody can make one
without credentials.
"""

from collections import Counter, OrderedDict
from collections.abc import Callable, Sequence
from typing import cast

from aiortc.rtcrtpparameters import RTCRtpCodecParameters
from aiortc.sdp import SessionDescription

from personaplex_ui.errors import PersonaplexError

SOUND_CODECS = ("opus", "g722", "pcmu", "pcma")
"""Those of aiortc."""

MAX_ID_CHARACTERS = 64

MAX_SDP_CHARACTERS = 20_000
"""Browsers' offers with a microphone and a data channel have 2,000 to 8,000."""

MAX_SDP_LINES = 500
MAX_MEDIA = 2
MAX_CANDIDATES = 32
MAX_CANDIDATE_CHARACTERS = 512

MAX_HALF_OPEN_OF_ADDRESS = 3
MAX_HALF_OPEN = 20
"""Offers that have not connected. The next one replaces the oldest of the address that has the most."""

OFFERS_AT_ONCE = 6.0
OFFERS_PER_SEC = 1.0
"""The burst and the sustained rate of one known address."""

MAX_ADDRESSES = 1_000

_UNUSABLE = "This is no WebRTC offer that a call can begin with: "
_AGAIN = "Please reload the page and call again."
REFUSALS: dict[str, tuple[int, str]] = {
    "malformed_message": (422, "Please send a JSON object with webrtc_id, type and sdp."),
    "malformed_webrtc_id": (422, f"The webrtc_id must be 1 to {MAX_ID_CHARACTERS} characters."),
    "malformed_offer": (422, "The type must be offer, with an sdp, or ice-candidate."),
    "malformed_candidate": (422, "The candidate must be an object as browsers give it."),
    "malformed_sdp": (422, f"{_UNUSABLE}its SDP cannot be read."),
    "offer_too_large": (422, f"{_UNUSABLE}its SDP is too long."),
    "too_many_media": (422, f"{_UNUSABLE}it has more than a microphone and a data channel."),
    "offer_without_microphone": (422, f"{_UNUSABLE}it needs a microphone and a data channel."),
    "offer_without_opus": (422, f"{_UNUSABLE}the first codec of its microphone must be Opus."),
    "offer_without_keys": (422, f"{_UNUSABLE}it lacks a fingerprint or the credentials of ICE."),
    "unusable_offer": (422, f"{_UNUSABLE}it could not be answered. {_AGAIN}"),
    "connection_already_exists": (409, "There is a call with this webrtc_id. Please take a new one."),
    "unknown_connection": (404, "You have no such call, or its connection has ended."),
    "too_many_candidates": (429, "Too many candidates were sent."),
    "too_many_offers": (429, "Your network begins too many calls. Please try again in a few seconds."),
    "concurrency_limit_reached": (503, "Too many calls are beginning at once. Please try again in a minute."),
    "pushed_out": (503, "Too many calls are beginning at once. Please try again in a minute."),
    "candidate_refused": (422, "The candidate cannot be used."),
}
"""Statuses and sentences by code."""


class OfferRefused(PersonaplexError):
    """An offer or candidate is refused. ``problem``: one of ``REFUSALS``; ``status``: of HTTP."""

    def __init__(self, problem: str) -> None:
        self.status, sentence = REFUSALS[problem]
        super().__init__(sentence)
        self.problem = problem


def check_offer(body: object) -> str:
    """Why a browser's message cannot be accepted, or an empty string. ``body`` is any JSON."""
    if not isinstance(body, dict):
        return "malformed_message"
    body = cast(dict[str, object], body)
    webrtc_id = body.get("webrtc_id")
    if not isinstance(webrtc_id, str) or not 0 < len(webrtc_id) <= MAX_ID_CHARACTERS:
        return "malformed_webrtc_id"
    if body.get("type") == "ice-candidate":
        return _check_candidate(body.get("candidate"))
    sdp = body.get("sdp")
    if body.get("type") != "offer" or not isinstance(sdp, str):
        return "malformed_offer"
    return rough_problem(sdp) or _check_sdp(sdp)


def _check_candidate(candidate: object) -> str:
    if not isinstance(candidate, dict):
        return "malformed_candidate"
    line = cast(dict[str, object], candidate).get("candidate") or ""
    if not isinstance(line, str) or len(line) > MAX_CANDIDATE_CHARACTERS:
        return "malformed_candidate"
    return ""


def _check_sdp(sdp: str) -> str:
    try:
        media = SessionDescription.parse(sdp).media
    except Exception:
        # aiortc's parser raises any error of its string handling (ValueError, IndexError, AssertionError).
        return "malformed_sdp"
    sends_audio = any(m.kind == "audio" and m.direction in ("sendrecv", "sendonly") for m in media)
    if not sends_audio or not any(m.kind == "application" for m in media):
        return "offer_without_microphone"
    if not all(_prefers_opus(m.rtp.codecs) for m in media if m.kind == "audio"):
        return "offer_without_opus"
    # Without these no connection is possible, yet aiortc would answer and wait for one.
    secured = all(m.dtls and m.dtls.fingerprints for m in media)
    known = all(m.ice and m.ice.usernameFragment and m.ice.password for m in media)
    return "" if secured and known else "offer_without_keys"


def _prefers_opus(codecs: Sequence[RTCRtpCodecParameters]) -> bool:
    """Whether Opus is the first of the codecs that this server knows too, and so the one it will send."""
    known = [codec.name.lower() for codec in codecs if codec.name.lower() in SOUND_CODECS]
    return known[:1] == ["opus"]


def rough_problem(sdp: str) -> str:
    """Why this is not an offer from a page, or an empty string. Much cheaper than parsing it."""
    if len(sdp) > MAX_SDP_CHARACTERS or sdp.count("\n") > MAX_SDP_LINES:
        return "offer_too_large"
    if sum(line.startswith("m=") for line in sdp.splitlines()) > MAX_MEDIA:
        return "too_many_media"
    return ""


def with_few_candidates(sdp: str) -> str:
    """``sdp`` with only its first 32 candidates, since each is paired with each of ours."""
    left = MAX_CANDIDATES
    kept: list[str] = []
    for line in sdp.splitlines():
        is_candidate = line.startswith("a=candidate:")
        if is_candidate and not left:
            continue
        left -= is_candidate
        kept.append(line)
    return "\r\n".join(kept) + "\r\n"


class OfferLimits:
    """``clock``: seconds. ``is_connecting``: whether the peer of an id has answered.

    An empty address stands for all unknown clients; only the total limits them.
    """

    def __init__(self, clock: Callable[[], float], is_connecting: Callable[[str], bool]) -> None:
        self._clock = clock
        self._is_connecting = is_connecting
        self._offers: OrderedDict[str, str] = OrderedDict()
        self._candidates = Counter[str]()
        self._tokens: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def admit(self, address: str) -> bool:
        """Whether ``address`` may make an offer now."""
        if not address:
            return True
        now = self._clock()
        tokens, since = self._tokens.pop(address, (OFFERS_AT_ONCE, now))
        tokens = min(OFFERS_AT_ONCE, tokens + OFFERS_PER_SEC * (now - since))
        self._tokens[address] = (tokens - 1.0 if tokens >= 1.0 else tokens), now
        if len(self._tokens) > MAX_ADDRESSES:
            self._tokens.popitem(last=False)
        return tokens >= 1.0

    def add(self, webrtc_id: str, address: str) -> list[str]:
        """Record an offer of ``address``; returns the ids of the peers to close for it."""
        for known in [known for known in self._offers if self._is_connecting(known)]:
            del self._offers[known]
        self._offers[webrtc_id] = address
        closed: list[str] = []
        if address:
            while list(self._offers.values()).count(address) > MAX_HALF_OPEN_OF_ADDRESS:
                closed.append(self._oldest_of(address))
        while len(self._offers) > MAX_HALF_OPEN:
            closed.append(self._oldest_of(Counter(self._offers.values()).most_common(1)[0][0]))
        return closed

    def remove(self, webrtc_id: str) -> None:
        """The peer has connected or is gone."""
        self._offers.pop(webrtc_id, None)
        self._candidates.pop(webrtc_id, None)

    def admit_candidate(self, webrtc_id: str) -> bool:
        """Whether this connection may send one more candidate."""
        self._candidates[webrtc_id] += 1
        return self._candidates[webrtc_id] <= MAX_CANDIDATES

    def _oldest_of(self, address: str) -> str:
        oldest = next(known for known, whose in self._offers.items() if whose == address)
        self.remove(oldest)
        return oldest
