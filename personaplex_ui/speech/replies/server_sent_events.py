"""Reads server-sent events: bytes in, the data of each event out, within limits. Pure.

Source: https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

MOST_BYTES = 1_000_000
LONGEST_EVENT = 100_000
"""Bytes of one event, and of a line without an end."""


class TooMuchSent(Exception):
    """The stream exceeds its limits."""


class EventReader:
    """Takes a stream apart. ``most_bytes``: of the whole of it."""

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self._left = most_bytes
        self._line = bytearray()
        self._data: list[str] = []
        self._size = 0

    def feed(self, chunk: bytes) -> list[str]:
        """The data of the events that ``chunk`` completes.

        Raises:
            TooMuchSent: the stream, or one event of it, is too long.
        """
        self._left -= len(chunk)
        if self._left < 0:
            raise TooMuchSent
        found: list[str] = []
        self._line += chunk
        # A carriage return at the end may be half of a line's end.
        half = b"\r" if self._line.endswith(b"\r") else b""
        received = bytes(self._line[: len(self._line) - len(half)])
        *lines, rest = received.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
        self._line = bytearray(rest + half)
        for line in lines:
            found += self._read_line(line)
        if len(self._line) > LONGEST_EVENT:
            raise TooMuchSent
        return found

    def _read_line(self, line: bytes) -> list[str]:
        if not line:
            data, self._data, self._size = "\n".join(self._data), [], 0
            return [data] if data else []
        name, _, value = line.partition(b":")
        if name == b"data":
            self._size += len(value)
            if self._size > LONGEST_EVENT:
                raise TooMuchSent
            self._data.append(value.removeprefix(b" ").decode("utf-8", errors="replace"))
        return []

    def finish(self) -> list[str]:
        """The data of an event that the end of the stream completes; some servers send no empty line."""
        return self._read_line(bytes(self._line).rstrip(b"\r")) + self._read_line(b"")
