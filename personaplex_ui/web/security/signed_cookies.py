"""Login cookies that all servers with the same password know, so that a login counts at each of several at
one address.

What one of them has issued is signed with a key that comes from the password alone. Whoever sees a cookie
could try passwords on it, so each try is made to cost a tenth of a second.
"""

import hashlib
import hmac
import re
import secrets
from collections import OrderedDict
from collections.abc import Callable

SALT = b"personaplex_ui login cookie"
COST = {"n": 2**15, "r": 8, "p": 1, "maxmem": 64 * 1024 * 1024}
"""Of scrypt (RFC 7914): 32 MB and about 0.1 s, once at the start."""
MOST_REVOKED = 100_000
SHAPE = re.compile(r"([0-9]{1,12})\.([A-Za-z0-9_-]{22})\.([0-9a-f]{64})")


class SignedCookies:
    """``secret``: the password. ``clock`` gives the time as ``time.time`` does: the servers' clocks agree."""

    def __init__(self, secret: bytes, keep_sec: float, clock: Callable[[], float]) -> None:
        self._key = hashlib.scrypt(secret, salt=SALT, dklen=32, **COST)
        self._keep_sec = keep_sec
        self._clock = clock
        self._revoked: OrderedDict[str, None] = OrderedDict()
        """Here alone; the browser that logs out deletes its own anyway."""

    def new(self) -> str:
        signed = f"{int(self._clock() + self._keep_sec)}.{secrets.token_urlsafe(16)}"
        return f"{signed}.{self._sign(signed)}"

    def is_valid(self, value: str) -> bool:
        """Whether a server with this password has issued it, and it has not expired."""
        shape = SHAPE.fullmatch(value)
        if shape is None or value in self._revoked:
            return False
        expires, nonce, signature = shape.groups()
        return (
            hmac.compare_digest(signature, self._sign(f"{expires}.{nonce}")) and int(expires) > self._clock()
        )

    def revoke(self, value: str) -> None:
        if self.is_valid(value):
            self._revoked[value] = None
            while len(self._revoked) > MOST_REVOKED:
                self._revoked.popitem(last=False)

    def _sign(self, signed: str) -> str:
        return hmac.new(self._key, signed.encode(), hashlib.sha256).hexdigest()
