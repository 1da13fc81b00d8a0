"""The credentials of this server: the password, the API key for machines, and the login cookie.

Compares what a client shows with the secrets in constant time and counts failures. Independent of routes.
"""

import base64
import binascii
import hmac
import logging
import math
import secrets
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

from starlette.requests import HTTPConnection
from starlette.types import Scope

from personaplex_ui.errors import PersonaplexError
from personaplex_ui.web.security.login_throttle import LoginThrottle
from personaplex_ui.web.security.signed_cookies import SignedCookies

log = logging.getLogger(__name__)

COOKIE = "personaplex_pass"
COOKIE_SEC = 7 * 86_400
PASSWORD_HEADER = b"x-app-password"
UNGUESSABLE_BYTES = 16
MOST_LOGINS = 100_000
"""Beyond this, the oldest are logged out."""

UNREADABLE = b"\0"
"""Stands for malformed credentials. They count as wrong, since no setting can contain a zero byte."""


class TooManyFailures(PersonaplexError):
    """Too many wrong passwords came from one address or ``in_all``, so none is checked now."""

    def __init__(self, wait_sec: int, in_all: bool = False) -> None:
        whence = "" if in_all else " from your network"
        super().__init__(
            f"Too many wrong passwords or keys came{whence}. Please try again in {wait_sec} seconds."
        )
        self.wait_sec = wait_sec


@dataclass(frozen=True, slots=True)
class Shown:
    """The credentials a client shows, as bytes; empty for none. ``in_query``: the password was in the query.

    ``bearer``: the password or the key from ``Authorization: Bearer`` or ``Basic``.
    """

    password: bytes = b""
    bearer: bytes = b""
    in_query: bool = False

    def __bool__(self) -> bool:
        return bool(self.password or self.bearer)


class Credentials:
    """``app_password``: None admits everybody. ``api_key``: None admits no machine. ``clock``: seconds.
    ``signed``: the cookies of several servers, in the place of those of this process."""

    def __init__(
        self,
        app_password: str | None,
        api_key: str | None,
        clock: Callable[[], float],
        signed: SignedCookies | None = None,
    ) -> None:
        self._signed = signed
        self._password = (app_password or "").encode()
        self._api_key = (api_key or "").encode()
        self._clock = clock
        self._throttle = LoginThrottle(clock)
        self._logins: OrderedDict[str, float] = OrderedDict()
        """Valid cookies and when they expire."""

    @property
    def has_api_key(self) -> bool:
        return bool(self._api_key)

    @property
    def are_needed(self) -> bool:
        return bool(self._password)

    def admits(self, shown: Shown, address: str) -> bool:
        """Whether the password or the key was shown; wrong ones count against ``address``.

        Raises:
            TooManyFailures: nothing was checked.
        """
        return self._check(shown, address, self._is_password(shown) | self._is_machine(shown))

    def admits_machine(self, shown: Shown, address: str) -> bool:
        """Whether the API key was shown. Like ``admits``, but the password is not enough."""
        bearer = Shown(bearer=shown.bearer)
        right = self._is_machine(bearer)
        return self._check(bearer, address, right | self._is_password(bearer)) and right

    def new_cookie(self) -> str:
        """A value for ``COOKIE``: random, and invalid after a restart; or signed."""
        if self._signed is not None:
            return self._signed.new()
        value = secrets.token_urlsafe(32)
        self._logins[value] = self._clock() + COOKIE_SEC
        while len(self._logins) > MOST_LOGINS or next(iter(self._logins.values())) <= self._clock():
            self._logins.popitem(last=False)
        return value

    def is_cookie(self, value: str) -> bool:
        """Whether ``value`` is a valid cookie that has not expired."""
        if self._signed is not None:
            return self._signed.is_valid(value)
        return self._logins.get(value, -math.inf) > self._clock()

    def revoke_cookie(self, value: str) -> None:
        """Log out: the cookie and its copies become invalid."""
        if self._signed is not None:
            self._signed.revoke(value)
        self._logins.pop(value, None)

    def check_wait(self, address: str) -> None:
        """Raises TooManyFailures if nothing that ``address`` shows is checked now."""
        if wait_sec := self._throttle.wait_sec(address):
            raise TooManyFailures(wait_sec, self._throttle.is_total_spent())

    def _check(self, shown: Shown, address: str, right: bool) -> bool:
        if not shown:
            return False
        is_shared = not address or self._throttle.is_total_spent()
        if is_shared and len(self._api_key) >= UNGUESSABLE_BYTES and self._is_machine(shown):
            return True  # clients that share a limit must not shut out machines
        self.check_wait(address)
        if right:
            self._throttle.spare(address)
            return True
        for _ in filter(None, (shown.password, shown.bearer)):
            self._throttle.add(address)
        if self._throttle.is_total_spent():
            log.warning(
                "Too many wrong passwords from many networks: new ones are refused for a while. "
                "If there is a proxy in front, make sure it sets X-Forwarded-For (docs/DEPLOYMENT.md)."
            )
        elif self._throttle.wait_sec(address):
            log.warning("Too many wrong passwords from one network: it is refused for a while.")
        return False

    def _is_password(self, shown: Shown) -> bool:
        return _same(shown.password, self._password) | _same(shown.bearer, self._password)

    def _is_machine(self, shown: Shown) -> bool:
        return _same(shown.bearer, self._api_key)


def take_shown(scope: Scope) -> Shown:
    """Read a client's credentials, and remove ``?password=`` from the query, so that it is never logged."""
    password = take_from_query(scope, b"password")
    in_query = bool(password)
    bearer = b""
    for name, value in scope["headers"]:
        if name == PASSWORD_HEADER and not password:
            password = value.strip()
        elif name == b"authorization":
            bearer = _credentials_of(value)
    return Shown(_as_utf8(password), _as_utf8(bearer), in_query)


def _credentials_of(authorization: bytes) -> bytes:
    """The secret in an ``Authorization`` header, or nothing. ``Basic`` accepts any name (RFC 7617)."""
    scheme, _, rest = authorization.strip().partition(b" ")
    rest = rest.strip()
    match scheme.lower():
        case b"bearer":
            return rest
        case b"basic" if rest:
            try:
                decoded = base64.b64decode(rest + b"=" * (-len(rest) % 4), validate=True)
            except (binascii.Error, ValueError):  # ValueError if it is not ASCII
                return UNREADABLE
            _, colon, password = decoded.partition(b":")
            return password if colon else UNREADABLE
        case _:
            return b""


def cookie_of(connection: HTTPConnection) -> str:
    """Our login cookie from the browser, or an empty string."""
    return connection.cookies.get(COOKIE, "")


def take_from_query(scope: Scope, wanted: bytes) -> bytes:
    """The value of the parameter ``wanted``, which is removed from the query, so that it is never logged."""
    query: bytes = scope["query_string"]
    taken = b""
    kept: list[bytes] = []
    for part in query.split(b"&"):
        name, _, value = part.partition(b"=")
        if _unquote(name) == wanted:
            taken = _unquote(value)
        else:
            kept.append(part)
    # Changed in place, because uvicorn logs this dictionary's query when a websocket is accepted.
    scope["query_string"] = b"&".join(kept)
    return taken


def _unquote(part: bytes) -> bytes:
    return unquote_to_bytes(part.replace(b"+", b" "))


def _as_utf8(value: bytes) -> bytes:
    """Browsers send headers in Latin-1, other clients in UTF-8."""
    try:
        value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1").encode()
    return value


def _same(shown: bytes, secret: bytes) -> bool:
    return bool(secret) and hmac.compare_digest(shown, secret)
