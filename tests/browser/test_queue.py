"""Two browsers and one line: the second sees its place, and goes live when the first hangs up."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect

from tests.support.app_process import TINY, AppProcess, running_app
from tests.support.chromium import TalkPage, open_context


@pytest.fixture(scope="module")
def app_with_one_line(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[AppProcess]:
    """PersonaPlex: a queue is the same on the echo, only quicker. Asks for the browser first: without it
    nothing is started."""
    folder = tmp_path_factory.mktemp("app")
    with running_app(folder, MAX_CALLS="1", MAX_WAITING="1", **TINY) as app:
        yield app


@pytest.mark.timeout(120)
def test_the_second_browser_waits_and_gets_the_line(browser: Browser, app_with_one_line: AppProcess):
    with open_context(browser) as one, open_context(browser) as two, open_context(browser) as three:
        first = TalkPage(one, app_with_one_line.url)
        second = TalkPage(two, app_with_one_line.url)
        third = TalkPage(three, app_with_one_line.url)
        first.start()
        first.wait_live()

        second.start()
        expect(second.status).to_contain_text("Waiting: place 1 of 1")
        third.start()
        expect(third.status).to_contain_text("the queue is full")
        first.watch_the_transcript_grow()
        expect(second.status).to_contain_text("Waiting: place 1 of 1")
        expect(second.utterances).to_have_count(0)

        first.hang_up()
        second.watch_the_transcript_grow()

        third.start()
        expect(third.status).to_contain_text("Waiting: place 1 of 1")
        third.hang_up()
        expect(third.status).to_contain_text("You hung up.")
        second.wait_live()
        second.hang_up()
        app_with_one_line.wait_for_slots(1)
