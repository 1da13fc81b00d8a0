"""Fetches one large file over several HTTP connections, each of which asks for one part after the other.

Depends on HTTP and a ``PartialFile``, not on the hub: a function tells where the file is.
"""

import logging
import re
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

import requests
import urllib3

from personaplex_ui.models.personaplex.hub.partial_file import PartialFile

log = logging.getLogger(__name__)

CONNECTIONS = 8
"""What browsers and the hub's own programs open at most to one host; past that little is won."""

PIECE_BYTES = 1 << 18
MOST_FAILURES = 6
"""Of one connection in a row, without a byte in between: half a minute without a network."""

WAIT_SEC = 1.0
"""After a first failure, and twice as long after each that follows it."""

MAX_WAIT_SEC = 60.0
"""However long a server asks to wait."""

_AGAIN = frozenset({408, 425, 429})


@dataclass(frozen=True, slots=True)
class Location:
    """``headers`` may sign in: they are for this host alone, not for another that it redirects to."""

    url: str
    headers: dict[str, str] = field(repr=False)


class RangesUnsupported(Exception):
    """The server sends the whole file, whatever part it is asked for."""


class RangedDownload:
    """``run`` it once, for one file. ``locate`` is asked at the beginning, and again when an address has
    expired. ``timeout``: to connect, and between two pieces, in seconds; ``wait`` is given seconds.

    Threads: each connection has one, and they end with ``run``.
    """

    def __init__(
        self,
        file: PartialFile,
        locate: Callable[[], Location],
        timeout: tuple[float, float],
        wait: Callable[[float], object] | None = None,
    ) -> None:
        self._file = file
        self._locate = locate
        self._timeout = timeout
        self._stopped = threading.Event()
        self._wait = wait or self._stopped.wait
        self._lock = threading.Lock()
        self._parts = deque(file.missing_parts())
        self._location: Location | None = None
        self._does_ranges = threading.Event()
        self._failure: Exception | None = None

    def run(self) -> None:
        """Fetch all that is missing; blocks.

        Raises:
            RangesUnsupported: nothing was written.
            requests.RequestException: no connection gets on any more; what has arrived is kept.
            OSError: of the disk. Whatever ``locate`` raises.
        """
        threads = [self._start()]
        try:
            while threads[0].is_alive() and not self._does_ranges.wait(0.05):
                pass
            if self._does_ranges.is_set():  # another server would send the whole file to each
                threads += [self._start() for _ in range(min(CONNECTIONS - 1, len(self._parts)))]
            for thread in threads:
                thread.join()
        finally:
            self._stopped.set()
            for thread in threads:
                thread.join()
        if self._failure is not None and self._file.missing_parts():
            raise self._failure

    def _start(self) -> threading.Thread:
        thread = threading.Thread(target=self._work, name="download", daemon=True)
        thread.start()
        return thread

    def _work(self) -> None:
        """One connection. Where it does not get on, it leaves its part to the others."""
        with requests.Session() as session:
            while not self._stopped.is_set():
                with self._lock:
                    if not self._parts:
                        return
                    part = self._parts.popleft()
                try:
                    self._fetch(session, part)
                except Exception as error:
                    log.info("A connection of a download ended (%s).", type(error).__name__)
                    with self._lock:
                        self._parts.append(part)
                        self._failure = error
                    if not isinstance(error, requests.RequestException) or _is_final(error):
                        self._stopped.set()
                    return

    def _fetch(self, session: requests.Session, part: int) -> None:
        failures = 0
        while not self._stopped.is_set():
            start, end = self._file.missing_range(part)
            if start == end:
                return
            location, wait_sec = None, WAIT_SEC
            try:
                location = self._located(None)
                self._receive(session, location, part)
            except requests.RequestException as error:
                failures = 1 if self._file.missing_range(part)[0] > start else failures + 1
                if _is_final(error) or failures >= MOST_FAILURES:
                    raise
                if location is not None and _status(error) in (401, 403):
                    self._located(location)  # its signature has expired
                wait_sec = _wait_sec(error, failures)
            if self._file.missing_range(part)[0] == start:
                self._wait(wait_sec)

    def _located(self, expired: Location | None) -> Location:
        """Where the file is; asked for anew if that is ``expired``."""
        with self._lock:
            if self._location is None or self._location is expired:
                self._location = self._locate()
            return self._location

    def _receive(self, session: requests.Session, location: Location, part: int) -> None:
        """As much of ``part`` as comes in one answer."""
        start, end = self._file.missing_range(part)
        headers = {**location.headers, "Range": f"bytes={start}-{end - 1}", "Accept-Encoding": "identity"}
        with session.get(location.url, headers=headers, stream=True, timeout=self._timeout) as response:
            response.raise_for_status()
            if not _is_range(response, start, self._file.size):
                if not self._does_ranges.is_set():
                    raise RangesUnsupported
                raise requests.exceptions.ContentDecodingError("not the range that was asked for")
            self._does_ranges.set()
            while start < end and not self._stopped.is_set():
                piece = _read(response)[: end - start]
                if not piece:
                    return
                self._file.append(part, piece)
                start += len(piece)


def _read(response: requests.Response) -> bytes:
    """What has come, as soon as it comes: nothing of it is lost when the connection breaks after it."""
    try:
        return response.raw.read1(PIECE_BYTES)
    except urllib3.exceptions.HTTPError as error:
        raise requests.ConnectionError(error) from error


def _is_range(response: requests.Response, start: int, size: int) -> bool:
    found = re.fullmatch(
        r"bytes (\d{1,15})-\d{1,15}/(\d{1,15}|\*)", response.headers.get("Content-Range", "")
    )
    plain = response.headers.get("Content-Encoding", "identity") == "identity"
    fits = found is not None and int(found[1]) == start and found[2] in ("*", str(size))
    return response.status_code == 206 and plain and fits


def _status(error: Exception) -> int:
    answer = error.response if isinstance(error, requests.HTTPError) else None
    return answer.status_code if answer is not None else 0


def _is_final(error: Exception) -> bool:
    """Whether asking again is useless. A refusal may come of a signature that has expired."""
    status = _status(error)
    return 400 <= status < 500 and status not in (401, 403) and status not in _AGAIN


def _wait_sec(error: requests.RequestException, failures: int) -> float:
    asked = error.response.headers.get("Retry-After", "") if error.response is not None else ""
    sec = float(asked) if re.fullmatch(r"\d{1,9}", asked) else WAIT_SEC * 2 ** (failures - 1)
    return min(sec, MAX_WAIT_SEC)
