"""The personas of outbound calls that ring: kept until the call is answered, under a key for one use.

A role is too long for the webhook's URL, and TwiML inside the request to Twilio ends at 4,000 characters.
"""

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass

from personaplex_ui.calls.settings import CallSettings
from personaplex_ui.errors import PhoneUnavailable

KEPT_SEC = 300.0
MOST = 100
"""Calls that ring at once; far more than one account may begin in their time."""


@dataclass(frozen=True, slots=True)
class _Kept:
    settings: CallSettings
    until: float


class PendingDials:
    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._kept: dict[str, _Kept] = {}

    def keep(self, settings: CallSettings) -> str:
        """Returns the key. Raises PhoneUnavailable when 100 calls ring already."""
        now = self._clock()
        for key in [key for key, kept in self._kept.items() if kept.until < now]:
            del self._kept[key]
        if len(self._kept) >= MOST:
            raise PhoneUnavailable(f"{MOST} calls ring already. Please try again in a minute.")
        key = secrets.token_urlsafe(16)
        self._kept[key] = _Kept(settings, now + KEPT_SEC)
        return key

    def take(self, key: str) -> CallSettings | None:
        """The settings kept under ``key``, once; None when there are none, or no more."""
        kept = self._kept.pop(key, None)
        return kept.settings if kept is not None and kept.until >= self._clock() else None
