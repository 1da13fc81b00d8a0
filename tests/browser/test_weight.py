"""The page's first visit in Chromium: bytes, requests, hosts, and when the button is there on a slow line.

The time is the browser's own, of a page that loads over an emulated line (1.6 Mbit/s, 150 ms). It is the only
bound on a time in the tests, since it is part of what the page promises. What a loaded test machine adds is
left out: the same page is loaded without that line just before and just after, and what these take beyond
``OWN_WORK_SEC`` is subtracted; and the best of three tries counts. So bytes, and requests that wait for each
other, show; a busy processor does not.
"""

import gzip
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urljoin, urlsplit

import httpx
import pytest
from playwright.sync_api import Browser, CDPSession, Page

from personaplex_ui.ui.theme import FAVICON
from tests.support.app_process import AppProcess, running_app
from tests.support.chromium import open_context

pytestmark = pytest.mark.alone  # of what other tests take, the page's own work cannot be told apart

MOST_BYTES = 700_000
MOST_REQUESTS = 60
VISIBLE_WITHIN_SEC = 6.0
OWN_WORK_SEC = 1.5
"""Of a browser that builds the page on an ordinary laptop, without waiting for the line."""

BYTES_PER_SEC = 1_600_000 / 8
LATENCY_MS = 150
LOADS_WITHIN_MS = 60_000
NOTHING_MORE_AFTER_MS = 2_000
MOST_TRIES = 3

# Says when the button has first been painted with its styles, and ready to be pressed.
WATCH_START = """
const look = () => {
  const start = document.getElementById("start");
  const styled = start && getComputedStyle(start).borderRadius !== "0px";
  if (styled && start.checkVisibility() && start.getBoundingClientRect().height > 0) {
    requestAnimationFrame(() => { window.startVisibleMs ??= performance.now(); });
  } else {
    requestAnimationFrame(look);
  }
};
look();
"""


@dataclass
class Visit:
    """``requests``: by the id that the browser gives them, the address; ``sizes``: bytes on the wire."""

    requests: dict[str, str] = field(default_factory=dict[str, str])
    sizes: dict[str, float] = field(default_factory=dict[str, float])
    visible_sec: float = 0.0


@pytest.fixture(scope="module")
def open_app_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AppProcess]:
    """As a stranger finds it: no password, no cookie."""
    with running_app(tmp_path_factory.mktemp("app")) as app:
        yield app


def visit(browser: Browser, url: str, slow: bool) -> Visit:
    """A first visit: nothing is in the browser's cache."""
    with open_context(browser, knows_password=False) as context:
        page = context.new_page()
        page.add_init_script(WATCH_START)
        session = context.new_cdp_session(page)
        found = Visit()
        _count(session, found)
        if slow:
            line = {"offline": False, "latency": LATENCY_MS}
            rates = {"downloadThroughput": BYTES_PER_SEC, "uploadThroughput": BYTES_PER_SEC}
            session.send("Network.emulateNetworkConditions", line | rates)
        page.goto(url, wait_until="commit", timeout=LOADS_WITHIN_MS)
        page.wait_for_function("() => window.startVisibleMs", timeout=LOADS_WITHIN_MS)
        found.visible_sec = page.evaluate("() => window.startVisibleMs") / 1000
        if not slow:
            _wait_until_nothing_more_comes(page, found)
        return found


def _wait_until_nothing_more_comes(page: Page, found: Visit) -> None:
    """Not the browser's own "idle", since Gradio keeps one request open for as long as the page is."""
    known = -1
    while known != len(found.requests):
        known = len(found.requests)
        page.wait_for_timeout(NOTHING_MORE_AFTER_MS)


def _count(session: CDPSession, found: Visit) -> None:
    def sent(event: dict[str, Any]) -> None:
        address = event["request"]["url"]
        again = address.endswith("/health") and address in found.requests.values()  # it looks every 5 s
        if not again and not address.startswith(("data:", "blob:")):
            found.requests[event["requestId"]] = address

    def loaded(event: dict[str, Any]) -> None:
        found.sizes[event["requestId"]] = event["encodedDataLength"]

    session.on("Network.requestWillBeSent", sent)
    session.on("Network.loadingFinished", loaded)
    session.send("Network.enable")


def test_the_first_visit_is_light_and_asks_nobody_else(browser: Browser, open_app_process: AppProcess):
    found = visit(browser, open_app_process.url, slow=False)
    hosts = {urlsplit(address).netloc for address in found.requests.values()}
    assert hosts == {urlsplit(open_app_process.url).netloc}
    weight = sum(found.sizes.values())
    print(f"{weight / 1000:.0f} kB in {len(found.requests)} requests")
    assert 50_000 < weight <= MOST_BYTES
    assert 5 < len(found.requests) <= MOST_REQUESTS


def test_the_button_is_there_soon_on_a_slow_line(browser: Browser, open_app_process: AppProcess):
    url = open_app_process.url
    fast_sec = visit(browser, url, slow=False).visible_sec
    tries: list[float] = []
    while len(tries) < MOST_TRIES and min(tries, default=VISIBLE_WITHIN_SEC + 1) > VISIBLE_WITHIN_SEC:
        slow_sec = visit(browser, url, slow=True).visible_sec
        assert slow_sec > LATENCY_MS / 1000  # the line was slow
        before_sec, fast_sec = fast_sec, visit(browser, url, slow=False).visible_sec
        busy_sec = max(0.0, before_sec - OWN_WORK_SEC, fast_sec - OWN_WORK_SEC)
        tries.append(slow_sec - busy_sec)
        print(f"visible after {slow_sec:.1f} s; {before_sec:.1f} and {fast_sec:.1f} s without the slow line")
    assert min(tries) <= VISIBLE_WITHIN_SEC


def test_the_html_is_compressed_and_has_our_own_icon_and_preview(open_app_process: AppProcess):
    url = f"{open_app_process.url}/"
    with httpx.Client(headers={"Accept": "text/html", "Accept-Encoding": "gzip"}) as client:
        with client.stream("GET", url) as answer:
            raw = b"".join(answer.iter_raw())
        assert answer.headers["content-encoding"] == "gzip"
        html = gzip.decompress(raw).decode()
        assert len(raw) < len(html.encode()) / 3
        icon = re.search(r'<link rel="icon"[^>]* href="([^"]+)"', html)
        assert icon
        assert client.get(urljoin(url, icon[1])).content == FAVICON.read_bytes()
        preview = dict(re.findall(r'<meta property="(og:[a-z_]+)" content="([^"]*)"', html))
        assert preview["og:title"]
        assert preview["og:description"]
        assert "Gradio" not in preview["og:title"] + preview["og:description"]
