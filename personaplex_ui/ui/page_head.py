"""The head of the page's HTML, ours: title, preview for links, styles, configuration, modules."""

from collections.abc import Callable
from importlib.resources import files
from typing import Any

from starlette.requests import HTTPConnection

from personaplex_ui.compat.gradio import with_own_head
from personaplex_ui.ui.module_bundle import bundle
from personaplex_ui.ui.rendering import render
from personaplex_ui.ui.theme import page_css
from personaplex_ui.web.page_files import PageFiles
from personaplex_ui.web.security import proxy_headers

STYLES, ENTRY, SHARE_PICTURE = "page.css", "main.mjs", "share.png"
BUNDLE = "page.mjs"
"""``ENTRY`` with all that it imports. What is imported only when it is needed is a file of its own."""


def load_page_files() -> PageFiles:
    """The modules and pictures in static/page/, and the bundle and the styles made of them."""
    folder = files("personaplex_ui.ui.static") / "page"
    contents = {file.name: file.read_bytes() for file in folder.iterdir() if file.is_file()}
    modules = {name: content.decode() for name, content in contents.items() if name.endswith(".mjs")}
    joined = {BUNDLE: bundle(modules, ENTRY), STYLES: page_css()}
    return PageFiles(contents | {name: text.encode() for name, text in joined.items()})


class PageHead:
    """Puts our head into Gradio's HTML. ``config``: called for each visitor, gives what ``page_config``
    returns."""

    def __init__(self, page_files: PageFiles, config: Callable[[], dict[str, Any]]) -> None:
        self._files = page_files
        self._config = config

    def rewrite(self, html: bytes, connection: HTTPConnection) -> bytes:
        """The page's HTML for this client."""
        return with_own_head(html, self.html(proxy_headers.public_url(connection)).encode())

    def html(self, public_url: str | None) -> str:
        """``public_url``: of this server; without it a link has no picture, because that needs a full URL."""
        return render(
            "head",
            styles=self._files.path_of(STYLES),
            entry=self._files.path_of(BUNDLE),
            picture=f"{public_url}/{self._files.path_of(SHARE_PICTURE)}" if public_url else "",
            url=f"{public_url}/" if public_url else "",
            config=self._config(),
        )
