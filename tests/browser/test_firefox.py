"""The whole call in Firefox, as Debian ships it: start, live, words, what M and End do, the record."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.app_process import AppProcess, wait_until
from tests.support.firefox import Firefox, firefox
from tests.support.password import PASSWORD

pytestmark = pytest.mark.timeout(240)

HEARS = """(async () => {
  const player = new Map((await test.peer.getStats()).entries());
  return [...player.values()].some((stat) => stat.type === "inbound-rtp" && stat.totalAudioEnergy > 0);
})()"""
KEEP_THE_PEER = """(() => {
  window.test = { errors: [] };
  addEventListener("error", (event) => test.errors.push(event.message));
  window.RTCPeerConnection = class extends RTCPeerConnection {
    constructor(...settings) { super(...settings); test.peer = this; }
  };
})()"""
WORDS = re.compile(r"Hello!|\d\.\d s.* dBFS\.")


@pytest.fixture
def page(echo_app: AppProcess, tmp_path: Path) -> Iterator[Firefox]:
    with firefox(tmp_path) as page:
        page.open(echo_app.url)
        page.evaluate(f"document.querySelector('[type=password]').value = {PASSWORD!r}")
        page.click("form button")
        page.wait_for("document.querySelector('#pill')?.innerText.includes('free')", "the page has begun")
        page.evaluate(KEEP_THE_PEER)
        yield page


def press(page: Firefox, key: str) -> None:
    page.evaluate(
        f"document.body.dispatchEvent(new KeyboardEvent('keydown', {{ key: {key!r}, bubbles: true }}))"
    )


def test_a_whole_call_in_firefox(page: Firefox) -> None:
    page.click("#start")
    wait_until(lambda: re.match(r"\d:\d\d of 10:00", page.text("#stage-live .pp-detail")), 60, "it is live")
    # The tone may have silenced the greeting; it is answered once it is over.
    wait_until(
        lambda: re.search(r"[1-9]\.\d s", page.text(".pp-bubble[data-side=caller]")), 60, "it is heard"
    )
    press(page, "m")
    page.wait_for("document.querySelector('.pp-mute').ariaPressed === 'true'", "M mutes")
    wait_until(lambda: WORDS.search(page.text(".pp-log")), 60, "words arrive")
    page.wait_for(HEARS, "the assistant is heard")
    assert page.evaluate("document.title").endswith("PersonaPlex")
    assert page.text("#trouble") == ""
    page.click("#call-bar .pp-end")
    page.wait_for("!document.querySelector('.pp-delete').hidden", "the record is there")
    page.wait_for("document.querySelector('#stage-after audio').duration > 1", "the recording can be played")
    assert WORDS.search(page.text(".pp-lines"))
    assert page.text("#trouble") == ""
    assert page.evaluate("test.errors") == []
