"""The official Moshi and PersonaPlex web client at ``/moshi/``, if installed: a Vite build, in a folder or in
the ``dist.tgz`` that is released with the model.

Depends on its files and what it expects of the path it is served from, not on its websocket messages. The
path of a request is only looked up among the files found when the client was opened.
"""

import logging
import re
import tempfile
from pathlib import Path

import anyio.to_thread
from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, PlainTextResponse, RedirectResponse
from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Receive, Scope, Send

from personaplex_ui.tar import ArchiveUnusable, Limits, extract_tar

log = logging.getLogger(__name__)

ARCHIVE, INDEX, ASSETS = "dist.tgz", "index.html", "assets/"
MOST_FILES = 2_000
MAX_FILE_BYTES = 32_000_000
MAX_TOTAL_BYTES = 128_000_000
"""Generous: the released client has about 20 files, 2 MB in total."""

HOW_TO_GET_IT = (
    f"The official web client is not installed here. Download {ARCHIVE} from the model's repository on "
    "Hugging Face, set STATIC_PATH to it (or to the folder of a client you built) and start the app again."
)

CORRECT_IT = f"Point STATIC_PATH to {ARCHIVE} or to the folder of a client, and restart."

SHIM = """<script>
// The client's router knows one place, "/", and reads the address when it starts. It is shown that place
// until it has started, and whenever it looks again; a reload comes back to the true one.
(() => {
  const replace = History.prototype.replaceState;
  const show = (address) => replace.call(history, history.state, "", address);
  const showRoot = () => show("/" + location.search + location.hash);
  const here = location.href;
  let started = false;
  const restore = () => {
    if (started) return;
    started = true;
    rendered.disconnect();
    delete history.replaceState;
    show(here);
  };
  // React Router marks its first entry without a change of address, right before it reads the address.
  history.replaceState = function (state, title, ...address) {
    replace.call(history, state, title, ...address);
    if (address.length === 0) setTimeout(restore);
  };
  // Others are known by what they render: by the first change that the parser did not make.
  const rendered = new MutationObserver(() => setTimeout(restore));
  document.addEventListener("readystatechange", () => {
    const root = document.getElementById("root") ?? document.body;
    if (!started) rendered.observe(root, { childList: true, subtree: true });
  }, { once: true });
  addEventListener("popstate", () => {
    if (!started) return;
    const now = location.href;
    showRoot();
    setTimeout(() => show(now));
  });
  showRoot();
})();
</script>"""


class ClientUnusable(Exception):
    """What was found is not a web client; the sentence says why."""


class MoshiClient:
    """``open`` it before serving and ``close`` it at the end; an archive is unpacked in between.

    ``static_path``: a folder or an archive set by the operator. ``model_folder``: where the model's files
    are, if they are local; its ``dist.tgz`` is used if ``static_path`` is None.
    """

    def __init__(self, static_path: Path | None = None, model_folder: Path | None = None) -> None:
        self._source = static_path or (model_folder / ARCHIVE if model_folder else None)
        self._asked_for = static_path is not None
        self._unpacked: tempfile.TemporaryDirectory[str] | None = None
        self._folder: Path | None = None
        self._files: StaticFiles | None = None
        self._names: frozenset[str] = frozenset()
        self.trouble = HOW_TO_GET_IT
        """Why there is no client, and what to do."""
        self.warning = ""
        """For the operator: why the client that was asked for cannot be used."""

    @property
    def present(self) -> bool:
        return self._files is not None

    def open(self) -> None:
        """Find the client's files. If there are none, or they cannot be used, ``trouble`` says why."""
        if self._source is None or not (self._asked_for or self._source.is_file()):
            return
        try:
            folder = self._source if self._source.is_dir() else self._unpack(self._source)
            self._names = _names_of(folder)
            self._folder, self._files = folder, StaticFiles(directory=folder)
        except (ClientUnusable, OSError) as error:
            why = str(error) if isinstance(error, ClientUnusable) else "it cannot be read"
            # The first is public; paths of this machine belong in the log only.
            self.trouble = f"The web client of this server cannot be used: {why}. {CORRECT_IT}"
            self.warning = f"The web client in {self._source} cannot be used: {why}. {CORRECT_IT}"
            log.warning("%s", self.warning)
            self.close()

    def close(self) -> None:
        """Remove unpacked files."""
        self._folder = self._files = None
        self._names = frozenset()
        if self._unpacked is not None:
            self._unpacked.cleanup()
            self._unpacked = None

    def has(self, name: str) -> bool:
        """Whether there is a file ``name``, a path from the client's folder with slashes."""
        return name in self._names

    async def respond(self, name: str, scope: Scope) -> Response:
        """The file ``name``, or 404 with a sentence."""
        if self._files is None or self._folder is None:
            return PlainTextResponse(self.trouble, status_code=404)
        if name in ("", INDEX):
            page = await anyio.to_thread.run_sync((self._folder / INDEX).read_text, "utf-8", "replace")
            return HTMLResponse(_with_shim(page), headers={"Cache-Control": "no-cache"})
        if not self.has(name):
            return PlainTextResponse("The web client has no such file.", status_code=404)
        return await self._files.get_response(name, scope)

    def _unpack(self, archive: Path) -> Path:
        if not archive.is_file():
            raise ClientUnusable("there is no such file or folder")
        self._unpacked = tempfile.TemporaryDirectory(prefix="personaplex-client-")
        folder = Path(self._unpacked.name)
        try:
            extract_tar(archive, folder, Limits(MOST_FILES, MAX_FILE_BYTES, MAX_TOTAL_BYTES), str)
        except ArchiveUnusable as error:
            raise ClientUnusable(f"it {error}") from error
        indexes = sorted(folder.rglob(INDEX), key=lambda path: len(path.parts))
        return indexes[0].parent if indexes else folder


class MoshiClientAssets:
    """ASGI middleware: the client requests its scripts, workers and images under ``/assets/``, as the page
    does. The client's are served here, all others by the page."""

    def __init__(self, app: ASGIApp, client: MoshiClient) -> None:
        self._app = app
        self._client = client

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] in ("GET", "HEAD"):
            name = str(scope["path"]).removeprefix("/")
            if name.startswith(ASSETS) and self._client.has(name):
                response = await self._client.respond(name, scope)
                await response(scope, receive, send)
                return
        await self._app(scope, receive, send)


def build_client_router(client: MoshiClient) -> APIRouter:
    router = APIRouter(include_in_schema=False)

    @router.api_route("/moshi", methods=["GET", "HEAD"])
    async def add_slash(request: Request) -> RedirectResponse:
        # Relative, so that it also works behind a proxy that serves the app under a path.
        query = f"?{request.url.query}" if request.url.query else ""
        return RedirectResponse(f"moshi/{query}", status_code=307)

    @router.api_route("/moshi/{name:path}", methods=["GET", "HEAD"])
    async def file(name: str, request: Request) -> Response:
        return await client.respond(name, request.scope)

    return router


def _names_of(folder: Path) -> frozenset[str]:
    """The files that may be served: hidden ones are not."""
    names: set[str] = set()
    for path in folder.rglob("*"):
        name = path.relative_to(folder)
        if path.is_file() and not any(part.startswith(".") for part in name.parts):
            names.add(name.as_posix())
        if len(names) > MOST_FILES:
            raise ClientUnusable(f"it holds more than {MOST_FILES:,} files")
    if INDEX not in names:
        raise ClientUnusable(f"it holds no {INDEX}")
    return frozenset(names)


def _with_shim(page: str) -> str:
    head = re.search(r"<head\b[^>]*>", page, re.IGNORECASE)
    at = head.end() if head else 0
    return page[:at] + SHIM + page[at:]
