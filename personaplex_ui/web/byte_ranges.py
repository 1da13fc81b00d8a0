"""Responses with byte ranges (RFC 9110, section 14), which players request and Safari requires.

Starlette's ``FileResponse`` supports only files, refuses suffixes longer than the file and omits the unit
with 416. Depends on bytes and headers only; the routes decide what is sent to whom.
"""

import hashlib
import io
import os
import re
import secrets
from collections.abc import AsyncIterator, Mapping
from email.utils import formatdate
from pathlib import Path
from urllib.parse import quote

import anyio
from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

CHUNK_BYTES = 64 * 1024
MOST_RANGES = 16
"""Limit per request; a request for more gets everything."""

RANGE = re.compile(r"([0-9]{0,18})[ \t]*-[ \t]*([0-9]{0,18})", re.ASCII)

Span = tuple[int, int]
"""The first byte and the one after the last."""


class NotSatisfiable(Exception):
    """None of the requested bytes exist."""


def parse_range(header: str, size: int) -> list[Span]:
    """The parts of ``size`` bytes that a ``Range`` header requests; empty if the header is to be ignored.

    Raises:
        NotSatisfiable: the header is valid, but all its parts lie outside.
    """
    unit, equals, rest = header.partition("=")
    texts = [text.strip(" \t") for text in rest.split(",")]
    texts = [text for text in texts if text]
    if not equals or unit.strip().lower() != "bytes" or not 0 < len(texts) <= MOST_RANGES:
        return []
    spans: list[Span] = []
    for text in texts:
        match = RANGE.fullmatch(text)
        if match is None or not (match[1] or match[2]):
            return []
        if not match[1]:
            spans.append((max(0, size - int(match[2])), size))
            continue
        first, last = int(match[1]), int(match[2]) if match[2] else size
        if match[2] and last < first:
            return []
        spans.append((first, min(last + 1, size)))
    spans = [(first, end) for first, end in spans if first < end]
    if not spans:
        raise NotSatisfiable
    # Nobody needs overlapping ranges that add up to more than the whole; they only cost bandwidth.
    return spans if sum(end - first for first, end in spans) <= size else []


class RangeResponse(Response):
    """``content``: the bytes, or a file. ``download_name``: the name to save it under. ``inline``: let the
    browser show it if it can."""

    def __init__(
        self,
        content: bytes | Path,
        media_type: str,
        headers: Mapping[str, str] | None = None,
        download_name: str = "",
        inline: bool = False,
    ) -> None:
        super().__init__(media_type=media_type, headers={"Accept-Ranges": "bytes", **(headers or {})})
        self._content = content
        if download_name:
            kind = "inline" if inline else "attachment"
            self.headers["content-disposition"] = f"{kind}; {_named(download_name)}"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        size = await self._name_version()
        asked = Headers(scope=scope)
        version = asked.get("if-range")
        is_other = version and version not in (self.headers["etag"], self.headers.get("last-modified"))
        try:
            spans = [] if is_other else parse_range(asked.get("range", ""), size)
        except NotSatisfiable:
            headers = {"Content-Range": f"bytes */{size}", "Accept-Ranges": "bytes"}
            await Response(status_code=416, headers=headers)(scope, receive, send)
            return
        parts: list[bytes | Span] = self._parts(spans, size) if spans else [(0, size)]
        length = sum(len(part) if isinstance(part, bytes) else part[1] - part[0] for part in parts)
        self.headers["content-length"] = str(length)
        status = 206 if spans else 200
        await send({"type": "http.response.start", "status": status, "headers": self.raw_headers})
        if scope["method"] != "HEAD":
            async for chunk in self._read(parts):
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    async def _name_version(self) -> int:
        """Set ETag and Last-Modified, so that parts of two versions are not combined. Returns the size."""
        if isinstance(self._content, bytes):
            version, size = self._content, len(self._content)
        else:
            about = await anyio.to_thread.run_sync(os.stat, self._content)
            version, size = f"{about.st_mtime_ns}-{about.st_size}".encode(), about.st_size
            self.headers["last-modified"] = formatdate(about.st_mtime, usegmt=True)
        self.headers["etag"] = f'"{hashlib.sha256(version).hexdigest()[:32]}"'
        return size

    def _parts(self, spans: list[Span], size: int) -> list[bytes | Span]:
        """The parts to send in order; sets the headers that describe them."""
        ranges = [f"bytes {first}-{end - 1}/{size}" for first, end in spans]
        if len(spans) == 1:
            self.headers["content-range"] = ranges[0]
            return [*spans]
        boundary, kind = secrets.token_hex(16), self.headers["content-type"]
        self.headers["content-type"] = f"multipart/byteranges; boundary={boundary}"
        parts: list[bytes | Span] = []
        for span, content_range in zip(spans, ranges, strict=True):
            head = f"\r\n--{boundary}\r\nContent-Type: {kind}\r\nContent-Range: {content_range}\r\n\r\n"
            parts += [head.encode("latin-1"), span]
        return [*parts, f"\r\n--{boundary}--\r\n".encode("latin-1")]

    async def _read(self, parts: list[bytes | Span]) -> AsyncIterator[bytes]:
        held = self._content
        file = (
            anyio.wrap_file(io.BytesIO(held))
            if isinstance(held, bytes)
            else await anyio.open_file(held, "rb")
        )
        async with file as content:
            for part in parts:
                if isinstance(part, bytes):
                    yield part
                    continue
                left = part[1] - await content.seek(part[0])
                while left and (chunk := await content.read(min(CHUNK_BYTES, left))):
                    left -= len(chunk)
                    yield chunk


def _named(name: str) -> str:
    quoted = quote(name)
    return f'filename="{name}"' if quoted == name else f"filename*=utf-8''{quoted}"
