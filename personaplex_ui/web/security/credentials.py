"""Who may come in: the password of this server, the key for machines, and the cookie of those who knew it.

Knows the secrets and what a client showed of them; it compares in constant time and counts what was wrong. It
knows no routes.
"""

import base64
import binascii
import hashlib
import hmac
import logging
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
MOST_LOGGED_OUT = 10_000

UNREADABLE = b"\0"
"""Stands for credentials that cannot be read. They count as wrong: no setting can hold a zero byte."""


class TooManyFailures(PersonaplexError):
    """So many wrong passwords came, from one address or ``in_all``, that none is looked at now."""

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
    """``app_password``: None leaves every door open. ``api_key``: None lets nobody in as a machine."""

    def __init__(
        self,
        app_password: str | None,
        api_key: str | None,
        limit: LoginThrottle,
        now: Callable[[], float],
    ) -> None:
        self._password = (app_password or "").encode()
        self._api_key = (api_key or "").encode()
        self._limit = limit
        self._now = now
        self._cookie_key = secrets.token_bytes(32)
        self._logged_out: OrderedDict[str, None] = OrderedDict()

    @property
    def has_api_key(self) -> bool:
        return bool(self._api_key)

    @property
    def are_needed(self) -> bool:
        return bool(self._password)

    def admits(self, shown: Shown, address: str) -> bool:
        """Whether one of the two opens the doors; wrong ones are counted against ``address``.

        Raises:
            TooManyFailures: neither was looked at.
        """
        return self._check(shown, address, self._is_password(shown) | self._is_machine(shown))

    def admits_machine(self, shown: Shown, address: str) -> bool:
        """Whether the API key was shown. As ``admits``, but the password does not make a machine."""
        bearer = Shown(bearer=shown.bearer)
        right = self._is_machine(bearer)
        return self._check(bearer, address, right | self._is_password(bearer)) and right

    def login(self, user: str, password: str) -> bool:
        """Gradio's own question, for ``auth``. Any name will do."""
        return self._is_password(Shown(password.encode()))

    def new_cookie(self) -> str:
        """A value for ``COOKIE``; it says nothing of the password, and is worthless after a restart."""
        rest = f"{int(self._now()) + COOKIE_SEC}.{secrets.token_hex(8)}"
        return f"{rest}.{self._sign(rest)}"

    def is_cookie(self, value: str) -> bool:
        """Whether ``value`` is one of ours and still good."""
        rest, _, signature = value.rpartition(".")
        if rest in self._logged_out or not _same(signature.encode(), self._sign(rest).encode()):
            return False
        return int(rest.partition(".")[0]) > self._now()

    def revoke_cookie(self, value: str) -> None:
        """Whoever had this cookie has logged out; copies of it are worthless too."""
        if self.is_cookie(value):
            self._logged_out[value.rpartition(".")[0]] = None
            while len(self._logged_out) > MOST_LOGGED_OUT:
                self._logged_out.popitem(last=False)

    def check_wait(self, address: str) -> None:
        """Raises TooManyFailures: nothing that ``address`` shows is looked at now."""
        if wait_sec := self._limit.wait_sec(address):
            raise TooManyFailures(wait_sec, self._limit.is_total_spent())

    def _check(self, shown: Shown, address: str, right: bool) -> bool:
        if not shown:
            return False
        is_shared = not address or self._limit.is_total_spent()
        if is_shared and len(self._api_key) >= UNGUESSABLE_BYTES and self._is_machine(shown):
            return True  # those that share a limit must not shut out machines
        self.check_wait(address)
        if right:
            self._limit.spare(address)
            return True
        for _ in filter(None, (shown.password, shown.bearer)):
            self._limit.add(address)
        if self._limit.is_total_spent():
            log.warning(
                "Too many wrong passwords from many networks: new ones are refused for a while. "
                "If a proxy is in front, see that it sets X-Forwarded-For (docs/DEPLOYMENT.md)."
            )
        elif self._limit.wait_sec(address):
            log.warning("Too many wrong passwords from one network: it is refused for a while.")
        return False

    def _is_password(self, shown: Shown) -> bool:
        return _same(shown.password, self._password) | _same(shown.bearer, self._password)

    def _is_machine(self, shown: Shown) -> bool:
        return _same(shown.bearer, self._api_key)

    def _sign(self, text: str) -> str:
        return hmac.new(self._cookie_key, text.encode(), hashlib.sha256).hexdigest()


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
