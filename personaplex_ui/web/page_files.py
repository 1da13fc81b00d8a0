"""The page's own files: its modules, styles and pictures, as they were when the server started.

A path contains a version, the hash of all of them, so a browser may keep each file for ever, and after an
update it never mixes old files with new ones. Knows nothing of what is in them.
"""

import gzip
import hashlib
import mimetypes
from collections.abc import Mapping
from dataclasses import dataclass

from fastapi import APIRouter, HTTPException, Request, Response

FOREVER = "public, max-age=31536000, immutable"
FOR_ONESELF = "private, max-age=31536000, immutable"
VERSION_LETTERS = 10
MIN_GZIP_BYTES = 500
"""Below this, compressing saves less than the header that tells of it."""

COMPRESSED = ("text/", "application/json", "image/svg+xml")
GONE = "The page's files have changed since it was opened. Please reload the page."

TYPES = {".mjs": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8", ".svg": "image/svg+xml"}


@dataclass(frozen=True, slots=True)
class PageFile:
    """``gzipped``: empty if compressing does not pay."""

    content: bytes
    gzipped: bytes
    media_type: str


class PageFiles:
    """``contents``: by file name, without folders."""

    def __init__(self, contents: Mapping[str, bytes]) -> None:
        digest = hashlib.sha256()
        for name, content in sorted(contents.items()):
            digest.update(f"{name} {len(content)} ".encode() + content)
        self.version = digest.hexdigest()[:VERSION_LETTERS]
        self._files = {name: _page_file(name, content) for name, content in contents.items()}

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(sorted(self._files))

    def get(self, name: str) -> PageFile | None:
        return self._files.get(name)

    def path_of(self, name: str) -> str:
        """The path relative to the page, such as ``page/0123456789/main.mjs``.

        Raises:
            KeyError: there is no such file.
        """
        if name not in self._files:
            raise KeyError(name)
        return f"page/{self.version}/{name}"


def build_page_files_router(files: PageFiles, needs_password: bool) -> APIRouter:
    """``needs_password``: no cache that several people share may keep the files."""
    router = APIRouter()
    caching = FOR_ONESELF if needs_password else FOREVER

    @router.get("/page/{version}/{name}", include_in_schema=False)
    async def page_file(version: str, name: str, request: Request) -> Response:
        file = files.get(name) if version == files.version else None
        if file is None:
            raise HTTPException(404, GONE)
        headers = {"Cache-Control": caching, "ETag": f'"{version}"', "Vary": "Accept-Encoding"}
        if headers["ETag"] in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=headers)
        if file.gzipped and accepts_gzip(request):
            zipped = {**headers, "Content-Encoding": "gzip"}
            return Response(file.gzipped, headers=zipped, media_type=file.media_type)
        return Response(file.content, headers=headers, media_type=file.media_type)

    return router


def accepts_gzip(request: Request) -> bool:
    """Whether ``Accept-Encoding`` names gzip, and does not refuse it with ``q=0``."""
    for part in request.headers.get("accept-encoding", "").lower().split(","):
        name, _, quality = part.partition(";")
        if name.strip() == "gzip":
            return quality.replace(" ", "").rstrip("0") not in ("q=", "q=0.")
    return False


def _page_file(name: str, content: bytes) -> PageFile:
    suffix = name[name.rfind(".") :]
    media_type = TYPES.get(suffix) or mimetypes.guess_type(name)[0] or "application/octet-stream"
    pays = media_type.startswith(COMPRESSED) and len(content) >= MIN_GZIP_BYTES
    return PageFile(content, gzip.compress(content, 9, mtime=0) if pays else b"", media_type)
