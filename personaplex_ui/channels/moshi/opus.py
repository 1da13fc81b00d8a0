"""Ogg/Opus streams to sound and back. Depends on pages and packets, not on a websocket or a call.

``sphn`` decodes and encodes. Its reader fails permanently once it is given anything but whole Ogg pages,
turns an empty packet into five seconds of sound, and buffers a packet that never ends, so each page is
checked first. Checksums are not verified: neither older servers nor the official client verify them.
"""

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import sphn

from personaplex_ui.audio.frames import SAMPLE_RATE_HZ, Frame, Samples
from personaplex_ui.audio.network.opus_packet import RATE_HZ, samples_of
from personaplex_ui.channels.moshi import ogg_lacing
from personaplex_ui.errors import ProtocolError

MOST_CUT_SHORT = 16
CAPTURE = b"OggS\0"
"""How a page begins; the last byte is the version of Ogg."""
HEADER_BYTES = 27
FIRST_PAGE, CONTINUED = 0x02, 0x01
OPUS_HEAD, OPUS_TAGS = b"OpusHead", b"OpusTags"

MAX_PACKET_BYTES = 61_440
"""48 frames of 1,275 bytes and their headers: no Opus packet is longer (RFC 6716, 3.4)."""

NO_SOUND: Samples = np.zeros(0, dtype=np.float32)


@dataclass(frozen=True, slots=True)
class Page:
    """One Ogg page (RFC 3533). ``packets``: its whole or partial packets, each with whether it begins in this
    page and whether it ends in it."""

    content: bytes
    flags: int
    serial: int
    packets: tuple[tuple[bytes, bool, bool], ...]

    @property
    def begins_stream(self) -> bool:
        return bool(self.flags & FIRST_PAGE)

    @property
    def sec(self) -> float:
        """Duration of the sound in its packets."""
        return sum(packet_sec(packet) for packet, begins, _ in self.packets if begins)


def packet_sec(packet: bytes) -> float:
    """Duration of an Opus packet's sound; 0 for header packets and for those that cannot be decoded."""
    return 0.0 if packet.startswith((OPUS_HEAD, OPUS_TAGS)) else samples_of(packet) / RATE_HZ


class OggPages:
    """Cuts bytes into pages. Holds at most one unfinished page."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._says_too_little = False

    def receive(self, data: bytes) -> Iterator[Page | ProtocolError]:
        """The pages complete so far. Junk between pages yields one error, and reading resumes at the next
        page."""
        self._buffer += data
        while self._buffer:
            if junk := self._skip_to_page():
                yield ProtocolError(
                    f"The audio (01) holds {junk:,} bytes that are not an Ogg page; they were skipped."
                )
            page = self._take_page()
            if page is None:
                return
            yield page

    def _skip_to_page(self) -> int:
        """Drop bytes up to the next complete page; returns how many."""
        start = self._buffer.find(CAPTURE)
        # A page in which another one begins has lost its end. It would swallow up to 64 KB of what follows.
        rounds = 0
        while start >= 0 and (again := self._buffer.find(CAPTURE, start + 1, self._page_end(start))) > 0:
            rounds += 1
            # This many in a row are no accident: skip to the last one, losing what lies between.
            start = again if rounds < MOST_CUT_SHORT else self._buffer.rfind(CAPTURE)
        if start < 0:
            # A page may begin in the last bytes and continue in the next piece.
            tails = range(max(0, len(self._buffer) - len(CAPTURE) + 1), len(self._buffer))
            start = next((at for at in tails if CAPTURE.startswith(self._buffer[at:])), len(self._buffer))
        del self._buffer[:start]
        return start

    def _page_end(self, start: int) -> int:
        """Where the page at ``start`` ends, as far as is known: at least after its header."""
        body_start = start + HEADER_BYTES
        if len(self._buffer) >= body_start:
            body_start += self._buffer[body_start - 1]
        return body_start + sum(self._buffer[start + HEADER_BYTES : body_start])

    def _take_page(self) -> Page | None:
        end = self._page_end(0)
        if len(self._buffer) < end:
            return None
        mended = self._take_mended(end) if ogg_lacing.says_too_little(self._buffer, end) else None
        content = mended or bytes(self._buffer[:end])
        if not mended:
            del self._buffer[:end]
        lacing, body = _split(content)
        (serial,) = struct.unpack_from("<I", content, 14)
        return Page(content, content[5], serial, tuple(_packets(lacing, body, content[5])))

    def _take_mended(self, told_end: int) -> bytes | None:
        """The page as intended, if its segment table is too short."""
        next_page = self._buffer.find(CAPTURE, told_end)
        page = self._buffer[: next_page if next_page > 0 else len(self._buffer)]
        # A packet of exactly 255 bytes looks like one that continues; in other streams it does.
        if not (self._says_too_little if len(page) == told_end else ogg_lacing.is_whole(page)):
            return None
        self._says_too_little = True
        del self._buffer[: len(page)]
        return ogg_lacing.mend(page)


def _split(page: bytes) -> tuple[bytes, bytes]:
    """A page's segment lengths, and its segments."""
    body_start = HEADER_BYTES + page[HEADER_BYTES - 1]
    return page[HEADER_BYTES:body_start], page[body_start:]


def _packets(lacing: bytes, body: bytes, flags: int) -> Iterator[tuple[bytes, bool, bool]]:
    begins = not flags & CONTINUED
    start = end = 0
    for length in lacing:
        end += length
        if length < 255:
            yield body[start:end], begins, True
            start, begins = end, True
    if start < end:
        yield body[start:end], begins, False


class OpusInput:
    """Sound from one peer: Ogg/Opus in pieces of any size in, samples out. Junk does not end the stream,
    and a new one may begin at any time. Mono and stereo at any rate become mono at 24 kHz."""

    def __init__(self) -> None:
        self._pages = OggPages()
        self._reader: Any = sphn.OpusStreamReader(SAMPLE_RATE_HZ)
        self._head = b""
        self._unusable_serial: int | None = None
        self._open_packet_bytes = 0
        self._left_out = False

    def receive(
        self, data: bytes, may_hear: Callable[[float], bool] = lambda sec: True
    ) -> Iterator[Samples | ProtocolError]:
        """The sound of each page complete so far, shape ``[n]`` in [-1, 1], or what is wrong with it.

        ``may_hear``: asked before each page with its length in seconds; a refused page is not even decoded
        (800 bytes can hold half a minute).
        """
        for page in self._pages.receive(data):
            if isinstance(page, ProtocolError):
                yield page
                continue
            try:
                sound = self._decode(page, may_hear)
            except ProtocolError as error:
                yield error
                continue
            if len(sound):
                yield sound

    def _decode(self, page: Page, may_hear: Callable[[float], bool]) -> Samples:
        if page.begins_stream:
            self._begin_stream(page)
        if page.serial == self._unusable_serial or not self._has_sound(page):
            return NO_SOUND
        sec = page.sec
        if sec and not may_hear(sec):
            self._renew_reader()  # it must not join sound across the gap
            self._left_out = True
            return NO_SOUND
        self._left_out = False
        try:
            sound = self._reader.append_bytes(page.content)
        except ValueError as error:
            self._renew_reader()
            raise ProtocolError("The audio (01) holds an Opus packet that cannot be decoded.") from error
        return np.clip(np.nan_to_num(np.asarray(sound, dtype=np.float32)), -1.0, 1.0)

    def _begin_stream(self, page: Page) -> None:
        head = page.packets[0][0] if page.packets else b""
        self._unusable_serial = None
        # Bytes 9 and 18 are the channel count and mapping (RFC 7845, 5.1).
        if not head.startswith(OPUS_HEAD) or len(head) < 19 or head[9] not in (1, 2) or head[18] != 0:
            self._unusable_serial = page.serial
            raise ProtocolError("The audio (01) must be an Ogg stream of Opus with one or two channels.")
        self._head = page.content
        self._renew_reader()

    def _renew_reader(self) -> None:
        self._reader = sphn.OpusStreamReader(SAMPLE_RATE_HZ)
        self._open_packet_bytes = 0
        if self._head:
            self._reader.append_bytes(self._head)

    def _has_sound(self, page: Page) -> bool:
        """Whether to pass ``page`` to the reader. Raises ProtocolError for pages the reader cannot handle."""
        continued = bool(page.flags & CONTINUED)
        if continued != bool(self._open_packet_bytes):
            self._renew_reader()
            if continued and self._left_out:
                return False  # its beginning was in a refused page
            if continued:
                raise ProtocolError("The audio (01) continues an Opus packet whose beginning is missing.")
        for number, (packet, _, ends) in enumerate(page.packets):
            length = self._open_packet_bytes + len(packet)
            if length > MAX_PACKET_BYTES:
                self._renew_reader()
                raise ProtocolError("The audio (01) holds a packet that is too long for Opus.")
            if length == 0:
                self._renew_reader()
                if number + 1 == len(page.packets) == 1:
                    return False  # how some encoders end a stream
                raise ProtocolError("The audio (01) holds an empty Opus packet.")
            self._open_packet_bytes = 0 if ends else length
        return bool(page.packets)


class OpusOutput:
    """Sound to one peer: frames in, one Ogg/Opus stream out."""

    def __init__(self) -> None:
        self._writer: Any = sphn.OpusStreamWriter(SAMPLE_RATE_HZ)

    def append(self, frame: Frame) -> bytes:
        """Whole Ogg pages with the sound of ``frame`` ``[1920]``; the first time with the stream's header."""
        sane = np.clip(np.nan_to_num(frame, posinf=1.0, neginf=-1.0), -1.0, 1.0)
        return bytes(self._writer.append_pcm(np.ascontiguousarray(sane, dtype=np.float32)))
