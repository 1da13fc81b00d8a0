"""A server that no UDP reaches and that says so (BROWSER_CALLS): the page does not even try WebRTC."""

from pathlib import Path

from playwright.sync_api import Playwright, expect

from tests.support.app_process import running_app
from tests.support.chromium import chromium, open_context

COUNT_PEERS = """
window.peers = 0;
window.RTCPeerConnection = class extends RTCPeerConnection {
  constructor(...rest) { super(...rest); window.peers += 1; }
};
"""


def test_the_page_calls_over_the_websocket_at_once(
    playwright: Playwright, microphone: Path, tmp_path: Path
) -> None:
    with (
        running_app(tmp_path, BROWSER_CALLS="websocket") as app,
        chromium(playwright, microphone) as browser,
    ):
        context = open_context(browser)
        context.add_init_script(COUNT_PEERS)
        page = context.new_page()
        page.goto(app.url)
        page.get_by_role("button", name="Start talking").click()
        live = page.locator("#stage-live")
        expect(live).to_contain_text("of 10:00", timeout=20_000)
        expect(live).to_contain_text("over the web connection")
        assert page.evaluate("window.peers") == 0
        assert page.evaluate("(new RTCPeerConnection().close(), window.peers)") == 1, (
            "else this proves nothing"
        )
        page.get_by_role("button", name="End call").click()
        expect(page.locator("#stage-after")).to_be_visible()
