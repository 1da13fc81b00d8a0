"""In a real browser: the server of a call stops at once or is renewed, and another one is there."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, expect

from personaplex_ui.calls.quiet_end import TAKES_NO_CALLS, TIME_IS_UP
from tests.support.app_process import AppProcess
from tests.support.chromium import TalkPage, open_context
from tests.support.tcp_relay import TcpRelay, relaying

KEY = "the key of this test's owner"
BEARER = {"Authorization": f"Bearer {KEY}"}

pytestmark = pytest.mark.timeout(120)


@pytest.fixture
def apps(tmp_path: Path) -> Iterator[list[AppProcess]]:
    """Two, with one folder of recordings."""
    shared = {"API_KEY": KEY, "RECORDINGS_DIR": str(tmp_path / "shared")}
    started: list[AppProcess] = []
    try:
        for name in ("first", "second"):
            (tmp_path / name).mkdir()
            started.append(AppProcess(tmp_path / name, **shared))
        for app in started:
            app.wait_until_ready()
        yield started
    finally:
        for app in started:
            app.close()
    assert [app.exceptions() for app in started] == [[], []]


@pytest.fixture
def relay(apps: list[AppProcess]) -> Iterator[TcpRelay]:
    with relaying(apps[0].port) as relay:
        yield relay


def drain(app: AppProcess, seconds: int) -> None:
    httpx.post(f"{app.url}/drain?seconds={seconds}", headers=BEARER).raise_for_status()


def test_the_page_says_so_and_calls_again(browser: Browser, apps: list[AppProcess], relay: TcpRelay) -> None:
    first, second = apps
    with open_context(browser) as context:
        talk = TalkPage(context, relay.url)
        talk.start()
        talk.wait_live()
        first.kill()
        relay.port = second.port
        expect(talk.trouble).to_contain_text("The server of this call has stopped, so the call ended.")
        expect(talk.result).to_be_visible()  # with what was said until then
        talk.trouble.get_by_role("button", name="Call again").click()
        talk.wait_live()
        assert second.free_slots() == 3

        drain(second, 300)
        expect(talk.page.locator("#stage-live")).to_contain_text(
            "The server is being renewed. This call can go on for 5 minutes."
        )
        drain(second, 0)
        expect(talk.result).to_contain_text(TIME_IS_UP)
        expect(talk.result).to_contain_text(TAKES_NO_CALLS)  # why the button there cannot be pressed
