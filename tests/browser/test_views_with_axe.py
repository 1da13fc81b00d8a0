"""axe-core on the live view, the call bar and the view after a call, light and dark: no fault at all."""

from collections.abc import Callable

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser

from tests.support.chromium import open_context
from tests.support.stage_page import LIVE, StagePage, line, record, report

LINES = [
    line(1, "assistant", "Hello", cut=True),
    line(2, "caller", interrupts=True),
    line(3, "typed", "Good evening"),
    line(4, "caller", "Good evening"),
]


def _preparing(stage: StagePage) -> None:
    stage.dispatch(LIVE[0], {"type": "facts", "facts": {"phase": "preparing", "progress": 0.4}})


def _muted(stage: StagePage) -> None:
    stage.go_live(*LINES)
    stage.dispatch({"type": "mute", "muted": True}, {"type": "sound", "off": True})


def _devices(stage: StagePage) -> None:
    stage.go_live(*LINES)
    stage.dispatch({"type": "hold_to_talk", "on": True}, {"type": "devices", "devices": {"open": True}})
    stage.page.get_by_role("button", name="Make it say…").click()


def _asking(stage: StagePage) -> None:
    stage.go_live(*LINES)
    stage.page.keyboard.press("Escape")


def _after(stage: StagePage) -> None:
    stage.dispatch({"type": "result", "record": record(LINES, measured=report())})
    stage.page.get_by_text("How you took turns").click()
    stage.page.get_by_role("button", name="Download", exact=True).click()
    stage.page.locator(".pp-line-row").first.click()


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("show", [_preparing, _muted, _devices, _asking, _after])
def test_axe_finds_nothing(browser: Browser, show: Callable[[StagePage], None], dark: bool) -> None:
    with open_context(browser) as context:
        stage = StagePage(context, dark)
        show(stage)
        found = Axe().run(stage.page, context="#stage, #call-bar-holder")
        assert found.violations_count == 0, found.generate_report()
