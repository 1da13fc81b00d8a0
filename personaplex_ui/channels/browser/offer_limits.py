"""What a WebRTC offer may hold, and how many offers may be there that have not become a connection.

Pure: told the time and what comes, it says what is too much. A half-open offer costs sockets and time of the
event loop, and nobody has to show anything to make one.
"""

from collections import Counter, OrderedDict
from collections.abc import Callable

MAX_SDP_CHARACTERS = 20_000
"""Browsers' offers of a microphone and a data channel have 2,000 to 8,000."""

MAX_SDP_LINES = 500
MAX_MEDIA = 2
MAX_CANDIDATES = 32
MAX_CANDIDATE_CHARACTERS = 512

OF_ONE_ADDRESS = 3
IN_ALL = 20
"""Offers that are not connected. The oldest one makes room for the next, of the address that has the most."""

BURST = 6.0
A_SECOND = 1.0
"""Offers of one known address: so many at once, and then so many a second."""

MOST_ADDRESSES = 1_000


def rough_problem(sdp: str) -> str:
    """Why this is no offer of a page, or an empty text. Costs next to nothing, unlike parsing it."""
    if len(sdp) > MAX_SDP_CHARACTERS or sdp.count("\n") > MAX_SDP_LINES:
        return "offer_too_large"
    if sum(line.startswith("m=") for line in sdp.splitlines()) > MAX_MEDIA:
        return "too_many_media"
    return ""


def with_few_candidates(sdp: str) -> str:
    """``sdp`` without the candidates beyond the first 32: each of them is tried with each of ours."""
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

    An empty address stands for all those that are not known: they share the limit in all.
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
        tokens, since = self._tokens.pop(address, (BURST, now))
        tokens = min(BURST, tokens + A_SECOND * (now - since))
        self._tokens[address] = (tokens - 1.0 if tokens >= 1.0 else tokens), now
        if len(self._tokens) > MOST_ADDRESSES:
            self._tokens.popitem(last=False)
        return tokens >= 1.0

    def add(self, webrtc_id: str, address: str) -> list[str]:
        """An offer of ``address`` begins; the ids of those that are to be closed for it."""
        for known in [known for known in self._offers if self._is_connecting(known)]:
            del self._offers[known]
        self._offers[webrtc_id] = address
        closed: list[str] = []
        if address:
            while list(self._offers.values()).count(address) > OF_ONE_ADDRESS:
                closed.append(self._oldest_of(address))
        while len(self._offers) > IN_ALL:
            closed.append(self._oldest_of(Counter(self._offers.values()).most_common(1)[0][0]))
        return closed

    def remove(self, webrtc_id: str) -> None:
        """It is connected, or gone."""
        self._offers.pop(webrtc_id, None)
        self._candidates.pop(webrtc_id, None)

    def admit_candidate(self, webrtc_id: str) -> bool:
        """Whether one more candidate of this connection is looked at."""
        self._candidates[webrtc_id] += 1
        return self._candidates[webrtc_id] <= MAX_CANDIDATES

    def _oldest_of(self, address: str) -> str:
        oldest = next(known for known, whose in self._offers.items() if whose == address)
        self.remove(oldest)
        return oldest
