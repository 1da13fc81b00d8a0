"""Files of Gradio's clients: uploads that leave nothing behind if they fail, and downloads.

Depends on the folder of Gradio's uploads; decides which files browsers may show and which they only save.
"""

import mimetypes
from pathlib import Path

import anyio.to_thread
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from personaplex_ui.compat.gradio import HARMLESS_TYPES, temporary_files_removed
from personaplex_ui.web.byte_ranges import RangeResponse
from personaplex_ui.web.gradio.routes import FILE, UPLOAD

NO_SUCH_FILE = "This file no longer exists. Files are kept for a day."


class GradioFiles:
    """An ASGI middleware around Gradio's app. ``uploads``: the folder of the files that may be fetched."""

    def __init__(self, app: ASGIApp, uploads: Path) -> None:
        self._app = app
        self._uploads = uploads

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path: str = scope.get("path", "")
        if scope["type"] == "http" and path.startswith(FILE):
            await self._give(path.removeprefix(FILE), scope, receive, send)
        elif scope["type"] == "http" and path == UPLOAD:
            with temporary_files_removed():
                await self._app(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _give(self, name: str, scope: Scope, receive: Receive, send: Send) -> None:
        path = await anyio.to_thread.run_sync(self._find, name)
        if path is None:
            await JSONResponse({"detail": NO_SUCH_FILE}, 404)(scope, receive, send)
            return
        media_type = mimetypes.guess_type(path.name)[0] or ""
        is_harmless = media_type in HARMLESS_TYPES or media_type.startswith("audio/")
        if not is_harmless:
            media_type = "application/octet-stream"
        answer = RangeResponse(path, media_type, download_name=path.name, inline=is_harmless)
        await answer(scope, receive, send)

    def _find(self, name: str) -> Path | None:
        """Blocks. None if ``name`` is not a file in the folder after links are resolved."""
        try:
            path = Path(name)
            within = path.resolve(strict=True).is_relative_to(self._uploads.resolve())
            return path if within and path.is_file() else None
        except (OSError, ValueError, RuntimeError):
            return None
