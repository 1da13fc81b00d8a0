"""Decides when a live call must end: at its time limit, when the caller is gone, when the engine is silent.

Pure: takes times in seconds and returns a verdict.
"""

from dataclasses import dataclass

from personaplex_ui.calls.call_length import GOODBYE_BEFORE_SEC, longest
from personaplex_ui.calls.snapshot import End

CALLER_GONE_SEC = 8.0
"""A browser sends packets even when it is muted, so one that sends none for this long is gone."""

ENGINE_SILENT_SEC = 5.0

PAUSE_SEC = 1.0
"""After the caller has been silent for this long, no answer is owed for what came before."""

GOODBYE = "This call ends in ten seconds. Goodbye!"
GOODBYE_AT_ONCE = "This call ends in a few seconds. Goodbye!"
"""Where less is left than the usual ten."""
ENDS_SOON = "This call ends in 10 seconds."
ENDS_AT_ONCE = "This call ends in a few seconds."
GOES_ON = "The call goes on: its line is not needed any more."
RENEWED = "The server is being renewed."
WHILE_LIVE = (ENDS_SOON, ENDS_AT_ONCE, GOES_ON, RENEWED)
"""What notes begin with that mean nothing once the call is over."""

AT_ONCE_SEC = GOODBYE_BEFORE_SEC - 1.0


@dataclass(frozen=True, slots=True)
class Verdict:
    """``hang_up``: the reason to end the call now, of kind ``end``. ``goodbye``: what to say to the caller,
    once. ``note``: what the caller should see."""

    hang_up: str = ""
    end: End = End.HUNG_UP
    goodbye: str = ""
    note: str = ""


class Watchdog:
    """``limit``: how long the call may be; its owner may change it at any time."""

    def __init__(self, max_sec: float) -> None:
        self.limit = longest(max_sec)
        self._started = 0.0
        self._last_heard = 0.0
        self._owed_since: float | None = None
        """When the first sound that has not been answered yet arrived."""
        self._said_goodbye = False

    def start(self, now: float) -> None:
        self._started = self._last_heard = now
        self._owed_since = None

    def heard(self, now: float) -> None:
        if self._owed_since is None or now - self._last_heard > PAUSE_SEC:
            self._owed_since = now
        self._last_heard = now

    def answered(self, now: float) -> None:
        self._owed_since = None

    def check(self, now: float) -> Verdict:
        elapsed = now - self._started
        if elapsed >= self.limit.sec:
            return Verdict(self.limit.reason, self.limit.end)
        if now - self._last_heard >= CALLER_GONE_SEC:
            return Verdict("The connection was lost: no more sound came from the caller.", End.LOST)
        if self._owed_since is not None and self._last_heard - self._owed_since >= ENGINE_SILENT_SEC:
            return Verdict("The speech engine stopped answering. Please call again in a minute.", End.FAILED)
        ends_soon = elapsed >= self.limit.sec - GOODBYE_BEFORE_SEC
        if ends_soon == self._said_goodbye:
            return Verdict()
        self._said_goodbye = ends_soon
        if not ends_soon:
            return Verdict(note=GOES_ON)
        if self.limit.sec - elapsed < AT_ONCE_SEC:
            return Verdict(goodbye=GOODBYE_AT_ONCE, note=ENDS_AT_ONCE)
        return Verdict(goodbye=GOODBYE, note=ENDS_SOON)
