"""In a real browser: a page that is open while the model gets into trouble says so, and when it is over."""

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect, sync_playwright

from tests.support.chromium import chromium, make_microphone, open_context
from tests.support.clients.moshi import chat
from tests.support.troubled import TroubledApp, troubled_app

SEEN_WITHIN_MS = 60_000

pytestmark = pytest.mark.timeout(240)


@pytest.fixture
def app(tmp_path: Path) -> Iterator[TroubledApp]:
    with troubled_app(tmp_path) as app:
        yield app


@pytest.fixture
def page(app: TroubledApp, tmp_path: Path) -> Iterator[Page]:
    with (
        sync_playwright() as playwright,
        chromium(playwright, make_microphone(tmp_path)) as browser,
        open_context(browser) as context,
    ):
        page = context.new_page()
        page.goto(app.url)
        yield page


async def call(url: str) -> None:
    async with chat(url) as client:
        await client.until(lambda: client.closed, 60.0)


def test_an_open_page_tells_of_trouble_and_of_its_end(app: TroubledApp, page: Page) -> None:
    expect(page.get_by_role("button", name="Start talking")).to_be_enabled(timeout=SEEN_WITHIN_MS)
    trouble = page.locator("#start-reason")
    with page.expect_response("**/health", timeout=SEEN_WITHIN_MS) as asked:
        pass
    assert asked.value.status == 200
    expect(trouble).to_be_hidden()

    app.be_in_trouble("hang step")
    caller = threading.Thread(target=lambda: asyncio.run(call(app.url)))
    caller.start()
    expect(trouble).to_be_visible(timeout=SEEN_WITHIN_MS)
    expect(trouble).to_contain_text(".")
    app.be_in_trouble("")
    expect(trouble).to_be_hidden(timeout=SEEN_WITHIN_MS)
    caller.join()
