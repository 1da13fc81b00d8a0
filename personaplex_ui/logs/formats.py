"""The log: one line per record, as text or JSON, with its call but no data of callers.

Depends on formats, and on what other libraries would reveal of callers. Code that logs must not pass prompts,
sound or telephone numbers; masking here is the last line of defence.
"""

import asyncio
import json
import logging
import re
import traceback
from datetime import UTC, datetime
from pathlib import Path

from personaplex_ui.logs.call_context import current_call

MOST_CHARACTERS = 8_000
"""The longest message; a longer one is cut before it is searched for secrets."""

TELL_TOO_MUCH = (
    "aioice",  # addresses of callers
    "httpx",  # addresses with their queries
    "twilio",  # addresses and headers of its API
)
QUOTES_CALLERS = "fastrtc.webrtc_connection_mixin"
"""Its warnings and errors quote the addresses a browser sent."""

IN_A_REQUEST = ("uvicorn.error", "Exception in ASGI application")
"""Logger and message's beginning. What libraries raise in a request may quote it."""

_OUR_FOLDER = Path(__file__).parents[1]

_DIGITS_KEPT = 3
_PHONE_NUMBER = re.compile(r"(?:[+\uff0b]|%2[Bb]|\\u002[Bb])((?:[ ().\-/\u00a0]{0,3}\d){8,})")
_NAME = (
    r"(?:password|passwd|token|secret|api[_-]?key|text_prompt|personaplex_(?:visitor|pass|operator)|access-token)"
    r"(?:[_-]\w{1,30})?"
)
_VALUE = r"""(?:"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|[^\s&]+)"""
_SECRETS = (
    # password=x, password%3Dx, {"password": "x"}
    (re.compile(rf"(?i)({_NAME}(?:\s?=\s?|%3D|\\?[\"']\s?:\s?)){_VALUE}"), r"\1***"),
    (re.compile(r"(?i)\b(bearer|authorization\W{1,6}b?\W?(?:basic|digest))\s+[\"']?[^\s\"']+"), r"\1 ***"),
    (re.compile(r"(?<![A-Za-z0-9])hf_[A-Za-z0-9]{10,}"), "hf_***"),
)
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029]")


def configure_logging(level: str, json_lines: bool) -> None:
    """Log to standard error, as JSON if ``json_lines``; our own records from ``level`` (``info``) on.

    Records of other libraries below INFO are never shown: they print what callers send.
    """
    shown = logging.getLevelNamesMapping()[level.upper()]
    handler = logging.StreamHandler()
    handler.setFormatter(JsonFormat() if json_lines else TextFormat())
    handler.addFilter(_add_call)
    logging.basicConfig(level=max(shown, logging.INFO), handlers=[handler], force=True)
    logging.getLogger("personaplex_ui").setLevel(shown)
    for name in TELL_TOO_MUCH:
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.getLogger(QUOTES_CALLERS).setLevel(logging.CRITICAL)
    logging.getLogger("uvicorn.error").addFilter(_settle_uvicorn)


def is_raised_by_us(error: BaseException) -> bool:
    """Whether the line that raised it is in this package, so its text is ours."""
    return any(_is_ours(path) for path, _ in _places(error)[-1:])


def place_of(error: BaseException) -> str:
    """The line that raised it, ``gradio/blocks.py:1854``; and, if it is a library's, the last line of ours
    before it."""
    places = _places(error)
    ours = [place for place in places if _is_ours(place[0])]
    told = dict.fromkeys(
        f"{'/'.join(Path(path).parts[-2:])}:{line}" for path, line in places[-1:] + ours[-1:]
    )
    return ", called at ".join(told) or "an unknown place"


def _places(error: BaseException) -> list[tuple[str, int]]:
    return [(frame.f_code.co_filename, line) for frame, line in traceback.walk_tb(error.__traceback__)]


def _is_ours(path: str) -> bool:
    return Path(path).is_relative_to(_OUR_FOLDER)


def mask(text: str) -> str:
    """``text`` without what looks like a telephone number (its last three digits stay) or a secret."""
    for secret, shown in _SECRETS:
        text = secret.sub(shown, text)
    return _PHONE_NUMBER.sub(_last_digits, text)


def _last_digits(found: re.Match[str]) -> str:
    digits = re.sub(r"\D", "", found[1])
    return f"+***{digits[-_DIGITS_KEPT:]}"


class TextFormat(logging.Formatter):
    """``2026-01-31 12:00:00,000 INFO name [call]: message``; further lines are indented, so that no peer's
    text can look like a record of ours."""

    def format(self, record: logging.LogRecord) -> str:
        call = f" [{_call_of(record)}]" if _call_of(record) else ""
        message = "\n".join(filter(None, (_message_of(record), _exception_of(record))))
        line = f"{self.formatTime(record)} {record.levelname} {record.name}{call}: {message}"
        return line.replace("\n", "\n    ")


class JsonFormat(logging.Formatter):
    """One object per line, in ASCII: ``time`` (UTC), ``level``, ``logger``, ``message``; where there is one,
    ``call`` and ``exception``."""

    def format(self, record: logging.LogRecord) -> str:
        time = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        line = {
            "time": time.replace("+00:00", "Z"),
            "level": record.levelname,
            "logger": record.name,
            "message": _message_of(record),
            "call": _call_of(record),
            "exception": _exception_of(record),
        }
        return json.dumps({name: value for name, value in line.items() if value or name == "message"})


def _message_of(record: logging.LogRecord) -> str:
    message = record.getMessage()
    if len(message) > MOST_CHARACTERS:
        message = f"{message[:MOST_CHARACTERS]}… ({len(message) - MOST_CHARACTERS:,} characters more)"
    # These must stay readable, as in extra={"our_number": number}: they are told to whoever reads the log.
    ours = str(getattr(record, "our_number", "") or getattr(record, "operator_link", ""))
    parts = message.split(ours) if ours else [message]
    return _printable(ours.join(mask(part) for part in parts))


def _exception_of(record: logging.LogRecord) -> str:
    error = record.exc_info[1] if record.exc_info else None
    if error is None:
        return ""
    logger, beginning = IN_A_REQUEST
    if record.name == logger and str(record.msg).startswith(beginning) and not is_raised_by_us(error):
        told = ["Traceback (most recent call last):\n", *traceback.format_tb(error.__traceback__)]
        told.append(f"{type(error).__name__} (its words may be a caller's)")
    else:
        told = traceback.format_exception(error)
    return _printable(mask("".join(told).rstrip()))


def _printable(text: str) -> str:
    return _CONTROL.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def _call_of(record: logging.LogRecord) -> str:
    return str(getattr(record, "call", ""))


def _add_call(record: logging.LogRecord) -> bool:
    # A record from a thread that serves many calls carries its own call, as in extra={"call": id}.
    if not _call_of(record):
        record.call = current_call.get()
    return True


def _settle_uvicorn(record: logging.LogRecord) -> bool:
    """Whether a record of uvicorn is worth logging; removes address and query of websockets."""
    message = str(record.msg)
    if record.exc_info and isinstance(record.exc_info[1], asyncio.CancelledError):
        return False  # each page holds a stream open; on shutdown uvicorn cancels and logs each
    if message == "ASGI callable returned without completing handshake.":
        # uvicorn 0.54 says so, as an error, of each websocket that we answer with 401. Where it has to answer
        # itself, with 500, that is in the log besides, as "connection rejected".
        return False
    # '%s - "WebSocket %s" [accepted]', with the client's address and a query that holds role and password.
    if '"WebSocket %s"' in message and isinstance(record.args, tuple) and len(record.args) >= 2:
        _, path, *others = record.args
        record.args = ("A client", str(path).partition("?")[0], *others)
    return True
