"""Who may come in: the password of this server, the key for machines, and the cookie of those who knew it.

Knows the secrets and what a client showed of them; it compares in constant time and counts what was wrong. It
knows no routes.
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

log = logging.getLogger(__name__)

COOKIE = "personaplex_pass"
COOKIE_SEC = 7 * 86_400
PASSWORD_HEADER = b"x-app-password"
UNGUESSABLE_BYTES = 16
MOST_LOGINS = 100_000
"""Beyond it, the oldest are logged out."""

UNREADABLE = b"\0"
"""Stands for credentials that cannot be read. They count as wrong: no setting can hold a zero byte."""


class TooManyFailures(PersonaplexError):
    """Too many wrong passwords came, from one address or ``in_all``; none is looked at now."""

    def __init__(self, wait_sec: int, in_all: bool = False) -> None:
        whence = "" if in_all else " from your network"
        super().__init__(
            f"Too many wrong passwords or keys came{whence}. Please try again in {wait_sec} seconds."
        )
        self.wait_sec = wait_sec


@dataclass(frozen=True, slots=True)
class Shown:
    """What a client shows of the secrets, as bytes; empty for none. ``in_query``: in the address.

    ``bearer``: the password or the key, of ``Authorization: Bearer`` or ``Basic``.
    """

    password: bytes = b""
    bearer: bytes = b""
    in_query: bool = False

    def __bool__(self) -> bool:
        return bool(self.password or self.bearer)


class Credentials:
    """``app_password``: None lets everybody in. ``api_key``: None lets nobody in as a machine. ``clock``:
    seconds."""

    def __init__(self, app_password: str | None, api_key: str | None, clock: Callable[[], float]) -> None:
        self._password = (app_password or "").encode()
        self._api_key = (api_key or "").encode()
        self._clock = clock
        self._throttle = LoginThrottle(clock)
        self._logins: OrderedDict[str, float] = OrderedDict()
        """The cookies that are good, and until when."""

    @property
    def has_api_key(self) -> bool:
        return bool(self._api_key)

    @property
    def are_needed(self) -> bool:
        return bool(self._password)

    def admits(self, shown: Shown, address: str) -> bool:
        """Whether the password or the key was shown; wrong ones are counted against ``address``.

        Raises:
            TooManyFailures: neither was looked at.
        """
        return self._check(shown, address, self._is_password(shown) | self._is_machine(shown))

    def admits_machine(self, shown: Shown, address: str) -> bool:
        """Whether the API key was shown. As ``admits``, but the password does not make a machine."""
        bearer = Shown(bearer=shown.bearer)
        right = self._is_machine(bearer)
        return self._check(bearer, address, right | self._is_password(bearer)) and right

    def new_cookie(self) -> str:
        """A value for ``COOKIE``: random, and worthless after a restart."""
        value = secrets.token_urlsafe(32)
        self._logins[value] = self._clock() + COOKIE_SEC
        while len(self._logins) > MOST_LOGINS or next(iter(self._logins.values())) <= self._clock():
            self._logins.popitem(last=False)
        return value

    def is_cookie(self, value: str) -> bool:
        """Whether ``value`` is one of ours and still good."""
        return self._logins.get(value, -math.inf) > self._clock()

    def revoke_cookie(self, value: str) -> None:
        """Whoever had this cookie has logged out; copies of it are worthless too."""
        self._logins.pop(value, None)

    def check_wait(self, address: str) -> None:
        """Raises TooManyFailures: nothing that ``address`` shows is looked at now."""
        if wait_sec := self._throttle.wait_sec(address):
            raise TooManyFailures(wait_sec, self._throttle.is_total_spent())

    def _check(self, shown: Shown, address: str, right: bool) -> bool:
        if not shown:
            return False
        is_shared = not address or self._throttle.is_total_spent()
        if is_shared and len(self._api_key) >= UNGUESSABLE_BYTES and self._is_machine(shown):
            return True  # those that share a limit must not shut out machines
        self.check_wait(address)
        if right:
            self._throttle.spare(address)
            return True
        for _ in filter(None, (shown.password, shown.bearer)):
            self._throttle.add(address)
        if self._throttle.is_total_spent():
            log.warning(
                "Too many wrong passwords from many networks: new ones are refused for a while. "
                "If a proxy is in front, see that it sets X-Forwarded-For (docs/DEPLOYMENT.md)."
            )
        elif self._throttle.wait_sec(address):
            log.warning("Too many wrong passwords from one network: it is refused for a while.")
        return False

    def _is_password(self, shown: Shown) -> bool:
        return _same(shown.password, self._password) | _same(shown.bearer, self._password)

    def _is_machine(self, shown: Shown) -> bool:
        return _same(shown.bearer, self._api_key)


def take_shown(scope: Scope) -> Shown:
    """Read what a client shows, and take ``?password=`` out of the query, so that nobody can log it."""
    password = _take_from_query(scope)
    in_query = bool(password)
    bearer = b""
    for name, value in scope["headers"]:
        if name == PASSWORD_HEADER and not password:
            password = value.strip()
        elif name == b"authorization":
            bearer = _credentials_of(value)
    return Shown(_as_utf8(password), _as_utf8(bearer), in_query)


def _credentials_of(authorization: bytes) -> bytes:
    """The secret in an ``Authorization`` header, or nothing. With ``Basic`` any name will do (RFC 7617)."""
    scheme, _, rest = authorization.strip().partition(b" ")
    rest = rest.strip()
    match scheme.lower():
        case b"bearer":
            return rest
        case b"basic" if rest:
            try:
                decoded = base64.b64decode(rest + b"=" * (-len(rest) % 4), validate=True)
            except (binascii.Error, ValueError):  # the latter for what is not ASCII
                return UNREADABLE
            _, colon, password = decoded.partition(b":")
            return password if colon else UNREADABLE
        case _:
            return b""


def cookie_of(connection: HTTPConnection) -> str:
    """What the browser holds of ours, or an empty text."""
    return connection.cookies.get(COOKIE, "")


def _take_from_query(scope: Scope) -> bytes:
    query: bytes = scope["query_string"]
    password = b""
    kept: list[bytes] = []
    for part in query.split(b"&"):
        name, _, value = part.partition(b"=")
        if _unquote(name) == b"password":
            password = _unquote(value)
        else:
            kept.append(part)
    # In place: uvicorn logs the query of this very dictionary when a websocket is accepted.
    scope["query_string"] = b"&".join(kept)
    return password


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
