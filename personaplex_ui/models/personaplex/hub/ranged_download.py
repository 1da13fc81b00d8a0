"""Downloads one large file over several HTTP connections, each of which requests one part after another.

Depends on HTTP and a ``PartialFile``, not on the hub; a function returns the file's location.
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
"""The most that browsers and the hub's own programs open to one host; more gain little."""

PIECE_BYTES = 1 << 18
MOST_FAILURES = 6
"""Consecutive failures of one connection without a byte in between: half a minute without a network."""

WAIT_SEC = 1.0
"""Wait after the first failure; it doubles with each further one."""

MAX_WAIT_SEC = 60.0
"""Upper limit, however long a server asks to wait."""

_AGAIN = frozenset({408, 425, 429})


@dataclass(frozen=True, slots=True)
class Location:
    """``headers`` may contain credentials: they are only for this host, not for one it redirects to."""

    url: str
    headers: dict[str, str] = field(repr=False)


class RangesUnsupported(Exception):
    """The server ignores ranges and sends the whole file."""


class RangedDownload:
    """Downloads one file; call ``run`` once. ``locate`` is called at the beginning, and again when a URL has
    expired. ``timeout``: to connect, and between two pieces, in seconds; ``wait`` takes seconds.

    Each connection has its own thread, which ends with ``run``.
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
        """Download everything that is missing; blocks.

        Raises:
            RangesUnsupported: nothing was written.
            requests.RequestException: no connection makes progress; what has arrived is kept.
            OSError: the disk failed. Also whatever ``locate`` raises.
        """
        threads = [self._start()]
        try:
            while threads[0].is_alive() and not self._does_ranges.wait(0.05):
                pass
            if self._does_ranges.is_set():  # without ranges, each connection would get the whole file
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
        """Serve one connection. If it fails, it leaves its part to the others."""
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
        """The file's location; requested again if the known one is ``expired``."""
        with self._lock:
            if self._location is None or self._location is expired:
                self._location = self._locate()
            return self._location

    def _receive(self, session: requests.Session, location: Location, part: int) -> None:
        """Write as much of ``part`` as comes in one answer."""
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
    """Data as soon as it arrives, so that nothing is lost if the connection breaks afterwards."""
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
    """Whether a retry is useless. A refusal may be due to an expired signature."""
    status = _status(error)
    return 400 <= status < 500 and status not in (401, 403) and status not in _AGAIN


def _wait_sec(error: requests.RequestException, failures: int) -> float:
    asked = error.response.headers.get("Retry-After", "") if error.response is not None else ""
    sec = float(asked) if re.fullmatch(r"\d{1,9}", asked) else WAIT_SEC * 2 ** (failures - 1)
    return min(sec, MAX_WAIT_SEC)
