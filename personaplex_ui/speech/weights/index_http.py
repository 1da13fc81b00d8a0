"""Fetches one file of a package index over HTTP, where the index's own client is missing."""

import json
import re
import ssl
from collections.abc import Callable, Generator
from contextlib import contextmanager
from html.parser import HTMLParser
from pathlib import Path
from typing import cast
from urllib.parse import quote, urljoin, urlsplit

import certifi
import httpx

from personaplex_ui.speech.weights.errors import SourceFailed
from personaplex_ui.speech.weights.manifest import Package

TIMEOUT = httpx.Timeout(30.0, connect=10.0)
MAX_LIST_BYTES = 20_000_000
MAX_REDIRECTS = 5
ACCEPT = "application/vnd.pypi.simple.v1+json, text/html;q=0.1"


def make_client() -> httpx.Client:
    """Trusts what the system trusts, and what httpx brings along."""
    trusted = ssl.create_default_context()
    trusted.load_verify_locations(certifi.where())
    return httpx.Client(timeout=TIMEOUT, follow_redirects=True, max_redirects=MAX_REDIRECTS, verify=trusted)


def npm_address(registry: str, package: Package) -> str:
    """Where npm keeps a tarball."""
    return f"{registry.rstrip('/')}/{package.name}/-/{package.file}"


def pypi_address(client: httpx.Client, index: str, package: Package) -> str:
    """Where the index says that ``package.file`` is (PEP 503, PEP 691).

    Raises:
        SourceFailed: it does not say.
    """
    project = re.sub(r"[-_.]+", "-", package.name).lower()
    page = f"{index.rstrip('/')}/{project}/"
    with _in_words("the package index"), client.stream("GET", page, headers={"Accept": ACCEPT}) as answer:
        answer.raise_for_status()
        text = b"".join(_at_most(answer, MAX_LIST_BYTES, "the package index")).decode(errors="replace")
        is_json = "json" in answer.headers.get("content-type", "")
        base = str(answer.url)
    links = _links_of_json(text) if is_json else _links_of_html(text)
    for link in links:
        if urlsplit(link).path.rpartition("/")[2] == quote(package.file):
            address = urljoin(base, link)
            if urlsplit(address).scheme in ("http", "https"):
                return address
    raise SourceFailed("the package index does not have it")


def _links_of_json(text: str) -> list[str]:
    try:
        listed = cast(object, json.loads(text))
    except (ValueError, RecursionError) as error:
        raise SourceFailed("the package index sends nonsense") from error
    files = cast(dict[str, object], listed).get("files") if isinstance(listed, dict) else None
    entries = cast(list[object], files) if isinstance(files, list) else []
    urls = [cast(dict[str, object], entry).get("url") for entry in entries if isinstance(entry, dict)]
    return [url for url in urls if isinstance(url, str)]


def _links_of_html(text: str) -> list[str]:
    links: list[str] = []

    class Links(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            links.extend(value for name, value in attrs if tag == "a" and name == "href" and value)

    Links().feed(text)
    return links


def check_address(client: httpx.Client, address: str, index: str) -> None:
    """Raises SourceFailed: there is nothing at ``address``, which is ``index``'s."""
    with _in_words(index):
        client.head(address).raise_for_status()


def download(
    client: httpx.Client, address: str, target: Path, package: Package, tell: Callable[[int], None]
) -> None:
    """Write what is at ``address`` to ``target``, at most as much as ``package`` has.

    Raises:
        SourceFailed: it cannot be had.
        OSError: the disk failed.
    """
    arrived = 0
    with (
        _in_words("the package index"),
        client.stream("GET", address) as answer,
        target.open("wb") as written,
    ):
        answer.raise_for_status()
        for piece in _at_most(answer, package.bytes, "the package index"):
            written.write(piece)
            arrived += len(piece)
            tell(arrived)


def _at_most(answer: httpx.Response, limit: int, index: str) -> Generator[bytes]:
    left = limit
    for piece in answer.iter_bytes():
        left -= len(piece)
        if left < 0:
            raise SourceFailed(f"{index} sends more than it should")
        yield piece


@contextmanager
def _in_words(index: str) -> Generator[None]:
    try:
        yield
    except httpx.HTTPStatusError as error:
        missing = error.response.status_code in (404, 410)
        raise SourceFailed(f"{index} {'does not have it' if missing else 'refused it'}") from error
    except (httpx.HTTPError, httpx.InvalidURL, ssl.SSLError) as error:
        raise SourceFailed(f"{index} cannot be reached") from error
