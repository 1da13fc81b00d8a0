"""One-time tokens that let a websocket become a call: a signed webhook grants one, the stream redeems it.

Twilio does not sign the parameters of the stream's websocket, so the token does: it is an HMAC over the
values, an expiry time and a nonce. Independent of the web and of Twilio.
"""

import hashlib
import hmac
import json
import re
import secrets
import time
from collections.abc import Callable, Mapping

from personaplex_ui.errors import PersonaplexError
from personaplex_ui.plain_text import fit_for_xml

VALID_SEC = 60.0
"""Twilio plays the announcement between webhook and stream; the rest takes about a second."""

MOST_USED = 10_000
"""Redeemed tokens remembered while they are valid; more calls than that in a minute are refused."""

_SHAPE = re.compile(r"([0-9]{1,12})\.([A-Za-z0-9_-]{22})\.([0-9a-f]{64})")


class TokenRefused(PersonaplexError):
    """A token is forged, expired or already used; the message says which."""


def persona_of(values: Mapping[str, str]) -> dict[str, str]:
    """Voice and role in the form that tokens sign: fit for XML, with white space collapsed, since not every
    XML tool keeps line breaks."""
    return {
        name: " ".join(fit_for_xml(values.get(name, "")).split()) for name in ("voice_prompt", "text_prompt")
    }


class CallTokens:
    """``key``: 32 secret bytes; ``clock`` gives the time as ``time.time`` does. One thread."""

    def __init__(self, key: bytes, clock: Callable[[], float] = time.time) -> None:
        self._key = key
        self._clock = clock
        self._used: dict[str, int] = {}

    def issue(self, values: Mapping[str, str]) -> str:
        """A token for exactly these values, valid for one call within the next 60 s."""
        expires, nonce = str(int(self._clock() + VALID_SEC)), secrets.token_urlsafe(16)
        return f"{expires}.{nonce}.{self._sign(expires, nonce, values)}"

    def redeem(self, token: str, values: Mapping[str, str]) -> None:
        """Use up ``token``, which must have been issued for ``values``.

        Raises:
            TokenRefused: it was not issued for them, has expired or was used before. Only an accepted token
                is used up.
        """
        shape = _SHAPE.fullmatch(token)
        if shape is None:
            raise TokenRefused("This call has no valid token. Please call the number again.")
        expires, nonce, signature = shape.groups()
        if not hmac.compare_digest(signature, self._sign(expires, nonce, values)):
            raise TokenRefused(
                "The token of this call does not fit its values. Please call the number again."
            )
        now = self._clock()
        self._forget(now)
        if int(expires) < now:
            raise TokenRefused("The token of this call is over a minute old. Please call the number again.")
        if nonce in self._used:
            raise TokenRefused("The token of this call was already used. Please call the number again.")
        if len(self._used) >= MOST_USED:
            raise TokenRefused("Too many calls are coming in at once. Please call again in a minute.")
        self._used[nonce] = int(expires)

    def _sign(self, expires: str, nonce: str, values: Mapping[str, str]) -> str:
        signed = json.dumps([expires, nonce, sorted(values.items())])
        return hmac.new(self._key, signed.encode(), hashlib.sha256).hexdigest()

    def _forget(self, now: float) -> None:
        for nonce in [nonce for nonce, expires in self._used.items() if expires < now]:
            del self._used[nonce]
