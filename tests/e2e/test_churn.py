"""Fifty calls, connected and dropped in all ways, leave nothing behind: no slot, task, thread or memory.

The callers are processes and a Chromium; what the server holds is told by ``probed_app``.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, Error, sync_playwright

from tests.support.app_process import AppProcess, running_app, wait_until
from tests.support.chromium import TalkPage, chromium, make_microphone, open_context
from tests.support.clients import offers
from tests.support.clients.browser_process import GOODBYE, LIVE, WAITING, CallerProcess

SLOTS = 16
MEMORY_MB = 20.0
BACK_WITHIN_SEC = 90.0

POOLS = {"asyncio": 36, "AnyIO worker thread": 40}
"""Pools of threads that come and go as they like, up to so many."""

pytestmark = pytest.mark.timeout(300)


@dataclass(frozen=True, slots=True)
class Probe:
    held: dict[str, int]
    tasks: dict[str, int]
    threads: dict[str, int]
    rss_mb: float

    @property
    def state(self) -> dict[str, dict[str, int]]:
        # Gradio's heartbeat of a page leaves a sleep of up to 15 s behind.
        tasks = {name: count for name, count in self.tasks.items() if name != "sleep"}
        threads = {name: count for name, count in self.threads.items() if name not in POOLS}
        return {"held": self.held, "tasks": tasks, "threads": threads}


@pytest.fixture(scope="module")
def microphone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_microphone(tmp_path_factory.mktemp("microphone"))


@pytest.fixture(scope="module")
def browser(microphone: Path) -> Iterator[Browser]:
    with sync_playwright() as playwright, chromium(playwright, microphone) as browser:
        yield browser


@pytest.fixture(scope="module")
def app(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[AppProcess]:
    script = Path(__file__).parents[1] / "support" / "probed_app.py"
    with running_app(tmp_path_factory.mktemp("app"), script, MAX_CALLS=str(SLOTS)) as app:
        yield app


@pytest.fixture
def callers(app: AppProcess) -> Iterator[Callable[..., CallerProcess]]:
    """Starts a process of callers; none of them outlives the test."""
    started: list[CallerProcess] = []

    def start(count: int) -> CallerProcess:
        started.append(CallerProcess(app.url, count))
        return started[-1]

    yield start
    for process in started:
        process.close()


def probe(app: AppProcess) -> Probe:
    return Probe(**httpx.get(f"{app.url}/probe", timeout=30).json())


def settled(app: AppProcess) -> Probe:
    """What the server holds when nobody calls and nothing changes any more."""
    seen: list[Any] = []

    def quiet() -> Probe | None:
        now = probe(app)
        seen.append(now.state)
        return now if not any(now.held.values()) and seen[-3:] == [seen[-1]] * 3 else None

    return wait_until(quiet, BACK_WITHIN_SEC, "nothing of a call is left", every_sec=0.5)  # type: ignore[return-value]


def call_and_hang_up(callers: Callable[..., CallerProcess], count: int) -> None:
    polite = callers(count)
    polite.start()
    polite.wait_for(LIVE, WAITING)
    polite.hang_up()


def test_fifty_calls_leave_nothing_behind(
    app: AppProcess, browser: Browser, callers: Callable[..., CallerProcess]
):
    call_and_hang_up(callers, 20)  # nearly as many at once as below: what is made once is made
    call_in_chromium(browser, app, [hang_up])
    before = settled(app)

    stays, killed, left, frozen, polite = callers(4), callers(8), callers(5), callers(5), callers(8)
    stays.start()
    stays.wait_for(LIVE, WAITING)
    stays.say_goodbye()
    for _ in range(4):
        assert "sdp" in offers.send(app.url, offers.body(offers.SOUND_OFFER)).json()
    junk = list(offers.junk_bodies().values())[:12]
    for data in junk:
        offers.send(app.url, data)
    for process, drop in ((killed, killed.kill), (left, left.leave), (frozen, frozen.freeze)):
        process.start()
        process.wait_for(LIVE, WAITING)
        drop()
    polite.start()
    polite.wait_for(LIVE, WAITING)
    polite.hang_up()
    drops = [hang_up, navigate_away, close_the_tab, crash_the_tab]
    call_in_chromium(browser, app, drops)
    assert all(report.text == "You hung up." for report in stays.wait_for(GOODBYE))
    assert 4 + 4 + len(junk) + 8 + 5 + 5 + 8 + len(drops) == 50

    # The frozen are still there, and so are those who only said goodbye: the server let go of them.
    wait_until(lambda: probe(app).held == before.held, BACK_WITHIN_SEC, "nothing of a call is held")
    frozen.close()
    stays.close()
    after = back_to(app, before)
    print(f"Memory: {before.rss_mb:.1f} MB before, {after.rss_mb:.1f} MB after 50 calls.")
    assert after.rss_mb - before.rss_mb < MEMORY_MB
    assert app.free_slots() == SLOTS


def back_to(app: AppProcess, before: Probe) -> Probe:
    """Wait until nothing is held that was not held before."""
    deadline = time.monotonic() + BACK_WITHIN_SEC
    while (now := probe(app)).state != before.state and time.monotonic() < deadline:
        time.sleep(0.5)
    assert now.state == before.state
    for name, most in POOLS.items():
        assert now.threads.get(name, 0) <= most
    return now


# Chromium -------------------------------------------------------------------------------------------


def call_in_chromium(browser: Browser, app: AppProcess, drops: list[Callable[[TalkPage], None]]) -> None:
    for drop in drops:
        with open_context(browser) as context:
            talk = TalkPage(context, app.url)
            talk.start()
            talk.wait_live()
            drop(talk)


def hang_up(talk: TalkPage) -> None:
    talk.hang_up()
    talk.wait_for_result()


def navigate_away(talk: TalkPage) -> None:
    talk.page.goto("about:blank")


def close_the_tab(talk: TalkPage) -> None:
    talk.page.close()


def crash_the_tab(talk: TalkPage) -> None:
    with pytest.raises(Error, match="crash"):
        talk.page.goto("chrome://crash")
