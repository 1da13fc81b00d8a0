"""Why a server with a language model gave no answer, in sentences for the operator. Pure.

No sentence quotes what the server sent, which may hold the key or be made up.
"""

import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from personaplex_ui.errors import setting
from personaplex_ui.speech.parts import SpeechPartFailed

LONGEST_WAIT_SEC = 60.0
"""However long a server asks to wait, it is asked again after this."""

NOT_THERE = "The language model's server cannot be reached; check {url} and whether it runs."
TOO_SLOW = "The language model's server did not answer in time; try a faster model or a nearer server."
CUT_OFF = "The language model's server ended its answer in the middle; its log may say why."
NONSENSE = (
    "The language model's server sent no chat completion; check that {url} ends where its API begins (/v1)."
)
WEB_PAGE = (
    "The language model's server answered with a web page; check that {url} ends where its API begins (/v1)."
)
TOO_LONG = "The language model's server sent more than an answer can hold; its answer is thrown away."
NOTHING_SAID = "The language model answered without words; try another model in {model}."
WANTS_TOOL = "The language model asked for a tool, and it has none here; try another model in {model}."


def failure(sentence: str) -> SpeechPartFailed:
    """The error with ``sentence``, in which ``{url}``, ``{key}`` and ``{model}`` name settings."""
    names = {"url": setting("LLM_BASE_URL"), "key": setting("LLM_API_KEY"), "model": setting("LLM_MODEL")}
    return SpeechPartFailed(sentence.format(**names))


def refused(status: int, wait_sec: float | None = None) -> SpeechPartFailed:
    """The error for an answer with ``status`` other than 200."""
    match status:
        case 401 | 403:
            return failure(f"The language model's server refused the key (HTTP {status}); check {{key}}.")
        case 402:
            return failure("The language model's server wants to be paid first (HTTP 402); see its account.")
        case 404:
            return failure(
                "The language model's server has no such model or address (HTTP 404); check {url} and "
                "{model}."
            )
        case 429:
            when = f"ask again in {wait_sec:.0f} s" if wait_sec else "ask again later"
            return failure(
                f"The language model's server has too many requests (HTTP 429); {when}, or raise its limit."
            )
        case _ if 300 <= status < 400:
            return failure(
                f"The language model's server sent us elsewhere (HTTP {status}); set {{url}} to its own "
                f"address."
            )
        case _ if status >= 500:
            return failure(
                f"The language model's server is out of order (HTTP {status}); its log may say why."
            )
        case _:
            return failure(
                f"The language model's server refused the request (HTTP {status}); check {{model}}."
            )


def wait_asked_for(retry_after: str | None, now: datetime | None = None) -> float | None:
    """Seconds in a ``Retry-After`` header, a number or a date; None if it says nothing usable."""
    text = (retry_after or "").strip()[:64]
    if re.fullmatch(r"\d{1,9}(?:\.\d{1,3})?", text):
        return float(text)
    try:
        until = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError):
        return None
    if until.tzinfo is None:
        until = until.replace(tzinfo=UTC)
    return max(0.0, (until - (now or datetime.now(UTC))).total_seconds())
