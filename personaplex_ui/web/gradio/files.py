"""Files of Gradio's clients, in and out: uploads that leave nothing behind when they fail, and the answers.

Knows the folder of Gradio's uploads, and that its parser of forms makes temporary files which only a form
without a fault clears away.
"""

# Gradio is typed in part only:
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

import contextlib
import logging
import mimetypes
import os
import tempfile
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import anyio.to_thread
from gradio import route_utils
from gradio.routes import XSS_SAFE_MIMETYPES
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse, PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from personaplex_ui.web.byte_ranges import RangeResponse

log = logging.getLogger(__name__)

UPLOAD = "/gradio_api/upload"
FILE = "/gradio_api/file="
NO_FORM = (
    "This is no upload that can be read. Send the file in the field “files” of a form (multipart/form-data)."
)
NO_SUCH_FILE = "There is no such file any more. Files are kept for a day."

_written: ContextVar[list[str] | None] = ContextVar("_written", default=None)
"""The temporary files of the upload that is being read."""


class GradioFiles:
    """An ASGI middleware around Gradio's app. ``uploads``: the folder with all files that may be fetched."""

    def __init__(self, app: ASGIApp, uploads: Path) -> None:
        self._app = app
        self._uploads = uploads
        route_utils.NamedTemporaryFile = _named_temporary_file  # type: ignore[assignment]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path: str = scope.get("path", "")
        if scope["type"] != "http":
            await self._app(scope, receive, send)
        elif path == UPLOAD and scope["method"] == "POST":
            await self._take(scope, receive, send)
        elif path.startswith(FILE) and scope["method"] in ("GET", "HEAD"):
            await self._give(path.removeprefix(FILE), scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _take(self, scope: Scope, receive: Receive, send: Send) -> None:
        has_begun = False

        async def noted(message: Message) -> None:
            nonlocal has_begun
            has_begun = True
            await send(message)

        written: list[str] = []
        token = _written.set(written)
        try:
            await self._app(scope, receive, noted)
        except ClientDisconnect:
            raise
        except Exception as error:  # whatever Gradio's parser makes of what a stranger sent
            if has_begun:
                raise
            log.info("An upload could not be read: %s", type(error).__name__)
            await PlainTextResponse(NO_FORM, 400)(scope, receive, send)
        finally:
            _written.reset(token)
            for name in written:
                with contextlib.suppress(OSError):  # it became an upload, as all files of a whole form
                    os.unlink(name)

    async def _give(self, name: str, scope: Scope, receive: Receive, send: Send) -> None:
        path = await anyio.to_thread.run_sync(self._find, name)
        if path is None:
            await JSONResponse({"detail": NO_SUCH_FILE}, 404)(scope, receive, send)
            return
        kind = mimetypes.guess_type(path.name)[0] or ""
        is_harmless = kind in XSS_SAFE_MIMETYPES or kind.startswith("audio/")
        answer = RangeResponse(
            path,
            kind if is_harmless else "application/octet-stream",
            download_name=path.name,
            inline=is_harmless,
        )
        await answer(scope, receive, send)

    def _find(self, name: str) -> Path | None:
        """Blocks. None for what is no file in the folder, also by way of a link."""
        try:
            path = Path(name)
            within = path.resolve(strict=True).is_relative_to(self._uploads.resolve())
            return path if within and path.is_file() else None
        except (OSError, ValueError, RuntimeError):
            return None


def _named_temporary_file(*arguments: Any, **options: Any) -> Any:
    file = tempfile.NamedTemporaryFile(*arguments, **options)  # noqa: SIM115  Gradio closes it
    written = _written.get()
    if written is not None:
        written.append(file.name)
    return file
