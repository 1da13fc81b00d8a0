"""When a live call must end by itself: at its time limit, when the caller is gone, when the engine is silent.

Pure: times in seconds come in, a verdict goes out.
"""

from dataclasses import dataclass

from personaplex_ui.calls.snapshot import End

GOODBYE_BEFORE_SEC = 10.0
CALLER_GONE_SEC = 8.0
"""A browser sends packets even when it is muted. None at all for this long: it is gone."""

ENGINE_SILENT_SEC = 5.0

GOODBYE = "This call ends in ten seconds. Goodbye!"


@dataclass(frozen=True, slots=True)
class Verdict:
    """``hang_up``: the reason to end the call now, of kind ``end``. ``goodbye``: what to say to the caller,
    once."""

    hang_up: str = ""
    end: End = End.HUNG_UP
    goodbye: str = ""
    note: str = ""


class Watchdog:
    def __init__(self, max_sec: float) -> None:
        self._max_sec = max_sec
        self._started = 0.0
        self._last_heard = 0.0
        self._last_answered = 0.0
        self._said_goodbye = False

    def start(self, now: float) -> None:
        self._started = self._last_heard = self._last_answered = now

    def heard(self, now: float) -> None:
        self._last_heard = now

    def answered(self, now: float) -> None:
        self._last_answered = now

    def check(self, now: float) -> Verdict:
        elapsed = now - self._started
        if elapsed >= self._max_sec:
            return Verdict(
                f"Calls end after {_in_words(self._max_sec)}. You are welcome to call again.", End.TIME_LIMIT
            )
        if now - self._last_heard >= CALLER_GONE_SEC:
            return Verdict("The connection was lost: no sound came from the caller any more.", End.LOST)
        if self._last_heard - self._last_answered >= ENGINE_SILENT_SEC:
            return Verdict("The speech engine stopped answering. Please call again in a minute.", End.FAILED)
        if elapsed >= self._max_sec - GOODBYE_BEFORE_SEC and not self._said_goodbye:
            self._said_goodbye = True
            return Verdict(goodbye=GOODBYE, note="This call ends in 10 seconds.")
        return Verdict()


def _in_words(sec: float) -> str:
    minutes, seconds = divmod(round(sec), 60)
    parts = [f"{minutes} minutes" if minutes != 1 else "1 minute"] if minutes else []
    parts += [f"{seconds} seconds"] if seconds else []
    return " and ".join(parts)
