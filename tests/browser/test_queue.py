"""Two browsers and one line: the second sees its place and a guess, and gets the line."""

import re
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


@pytest.mark.timeout(240)
def test_the_second_browser_waits_and_gets_the_line(browser: Browser, app_with_one_line: AppProcess):
    with open_context(browser) as one, open_context(browser) as two, open_context(browser) as three:
        first = TalkPage(one, app_with_one_line.url)
        second = TalkPage(two, app_with_one_line.url)
        third = TalkPage(three, app_with_one_line.url)
        first.start()
        first.wait_live()

        expect(second.start_button).to_have_text("Join the line")
        expect(second.page.locator("#start-reason")).to_contain_text("All lines are busy")
        second.start()
        expect(second.word).to_have_text("You are next")
        expect(second.detail).to_contain_text("a tone tells when it is your turn")
        expect(second.page).to_have_title("You are next · PersonaPlex")
        third.start()
        expect(third.trouble).to_contain_text("the queue is full")
        first.watch_the_transcript_grow()
        expect(second.word).to_have_text("You are next")
        expect(second.bubbles).to_have_count(0)

        first.hang_up()
        second.watch_the_transcript_grow()

        expect(second.page).to_have_title(re.compile(r"^● \d:\d\d PersonaPlex$"))

        third.start()
        expect(third.word).to_have_text("You are next")
        expect(third.detail).to_contain_text("less than a minute to wait")  # as the first call took
        expect(third.hang_up_button).to_have_text("Leave the line")
        third.hang_up()
        expect(third.start_button).to_be_visible()
        second.wait_live()
        second.hang_up()
        app_with_one_line.wait_for_slots(1)
