"""Who runs this server: only they see its telephone set-up and its status, and switch its engine.

They prove it with the API key or, where none is set, with a link that works once and is written to the log,
which only they can read. Where a request comes from proves nothing: behind a plain proxy everybody comes from
this machine. Nor does the password of the page, which visitors may share. Either gives a cookie, remembered
here until it expires or the process ends.
"""

import hashlib
import hmac
import logging
import math
import secrets
from collections import OrderedDict
from collections.abc import Callable

from starlette.requests import HTTPConnection

from personaplex_ui.sliding_window import SlidingWindow
from personaplex_ui.web.security.credentials import Credentials, Shown, TooManyFailures
from personaplex_ui.web.security.login_throttle import LoginThrottle
from personaplex_ui.web.security.origin_check import OriginCheck
from personaplex_ui.web.security.proxy_headers import client_address

log = logging.getLogger(__name__)

IsOperator = Callable[[HTTPConnection], bool]

COOKIE = "personaplex_operator"
PATH = "operator"
VALID_SEC = 12 * 3600
"""Of a link, and of the cookie it gives."""
MOST_COOKIES = 100
"""Beyond this, the oldest become invalid."""
LINK_LOGGED_EVERY_SEC = 60.0
"""Anybody may ask for it, and the log must stay readable."""


class OperatorAccess:
    """``address``: of this server, as its operator opens it. ``clock``: seconds."""

    def __init__(
        self, credentials: Credentials, origins: OriginCheck, address: str, clock: Callable[[], float]
    ) -> None:
        self._credentials = credentials
        self._origins = origins
        self._address = address
        self._clock = clock
        self._token, self._token_until = "", -math.inf
        self._cookies: OrderedDict[bytes, float] = OrderedDict()
        """Hashes of the valid cookies, so that the time of a search tells nothing, and when they expire."""
        self._throttle = LoginThrottle(clock)
        self._logged = SlidingWindow(1, LINK_LOGGED_EVERY_SEC, clock)

    @property
    def needs_key(self) -> bool:
        """Whether the API key is asked for; otherwise the link from the log."""
        return self._credentials.has_api_key

    def is_operator(self, connection: HTTPConnection) -> bool:
        """Whether the request shows our cookie and comes from a page of ours, for browsers send cookies by
        themselves."""
        cookie = connection.cookies.get(COOKIE, "")
        until = self._cookies.get(_hash(cookie), -math.inf)
        return until > self._clock() and self._origins.include(connection)

    def link(self) -> str:
        """The address that makes its first visitor the operator: the same until it is used or expires."""
        if self._token_until <= self._clock():
            self._token, self._token_until = secrets.token_urlsafe(32), self._clock() + VALID_SEC
        return f"{self._address}/{PATH}?token={self._token}"

    def log_link(self) -> None:
        """Write the link to the log, unless a key is asked for or the log got it less than a minute ago."""
        if self.needs_key or self._logged.left("") <= 0:
            return
        self._logged.add("")
        link = self.link()
        log.info(
            "The operator's pages (Phone, Server) open with this link, once, within %d hours: %s",
            VALID_SEC // 3600,
            link,
            extra={"operator_link": link},
        )

    def redeem(self, token: str, address: str) -> str:
        """The cookie for whoever opens the link; empty if the link is wrong, used or expired.

        A right one is never throttled, since nobody can guess it: strangers must not lock the operator out.

        Raises:
            TooManyFailures: ``address`` has opened too many wrong ones.
        """
        right = hmac.compare_digest(_hash(token), _hash(self._token))
        if right and self._token_until > self._clock() and not self.needs_key:
            self._token_until = -math.inf
            return self._new_cookie()
        if wait_sec := self._throttle.wait_sec(address):
            raise TooManyFailures(wait_sec, self._throttle.is_total_spent())
        self._throttle.add(address)
        return ""

    def log_in(self, key: str, connection: HTTPConnection) -> str:
        """The cookie for whoever shows the API key; empty if it is wrong.

        Raises:
            TooManyFailures: nothing was checked.
        """
        shown = Shown(bearer=key.strip().encode(errors="replace"))
        is_right = self._credentials.admits_machine(shown, client_address(connection))
        return self._new_cookie() if is_right else ""

    def leave(self, connection: HTTPConnection) -> None:
        """The cookie and its copies become invalid."""
        self._cookies.pop(_hash(connection.cookies.get(COOKIE, "")), None)

    def _new_cookie(self) -> str:
        cookie = secrets.token_urlsafe(32)
        self._cookies[_hash(cookie)] = self._clock() + VALID_SEC
        while len(self._cookies) > MOST_COOKIES:
            self._cookies.popitem(last=False)
        log.info("Somebody has become the operator of this server.")
        return cookie


def _hash(value: str) -> bytes:
    return hashlib.sha256(value.encode(errors="replace")).digest()
