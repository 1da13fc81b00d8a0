"""axe-core on the page with its server: light and dark, wide and narrow, before, in and after a call, the
settings, and in light all unfolded and the operator's tabs. test_views_with_axe.py has a call's rarer states.

What it may find stands in ``KNOWN``, one by one: faults inside Gradio's own components that theme and
JavaScript do not reach. Whatever is listed must still be there, so that the list cannot rot, but for what
depends on where on the page a list opens.
"""

from dataclasses import dataclass, field
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, expect

from tests.support.app_process import TELEPHONE, AppProcess
from tests.support.chromium import TalkPage, open_context

WIDTHS = (1280, 390)
HEIGHT = 900

pytestmark = pytest.mark.timeout(180)


@dataclass(frozen=True, slots=True)
class KnownFault:
    """``part``: a piece of the HTML of the element that axe-core names. ``always``: in every layout."""

    rule: str
    part: str
    why: str
    always: bool = True


KNOWN = (
    KnownFault(
        "aria-input-field-name", '<ul class="options', "Gradio's Dropdown: its open list has no name."
    ),
    KnownFault(
        "aria-valid-attr-value",
        'aria-controls="dropdown-options"',
        "Gradio's Dropdown: its field points to an id that its list does not have.",
    ),
    KnownFault(
        "scrollable-region-focusable",
        '<ul class="options',
        "Gradio's Dropdown: its open list scrolls where there is little room; the arrow keys reach it.",
        always=False,
    ),
)


@dataclass(frozen=True, slots=True)
class Fault:
    view: str
    rule: str
    impact: str
    html: str

    @property
    def known(self) -> KnownFault | None:
        return next((k for k in KNOWN if k.rule == self.rule and k.part in self.html), None)


@dataclass(slots=True)
class Inspection:
    faults: list[Fault] = field(default_factory=list[Fault])
    overhang_px: dict[str, int] = field(default_factory=dict[str, int])
    """By view: how much wider than the window the page is."""

    def look_at(self, talk: TalkPage, view: str) -> None:
        page = talk.page
        for width in WIDTHS:
            page.set_viewport_size({"width": width, "height": HEIGHT})
            page.wait_for_function(STILL)
            name = f"{view}, {width} px"
            found: Any = Axe().run(page).response  # pyright: ignore[reportUnknownVariableType]
            for violation in found["violations"]:
                self.faults += [
                    Fault(name, violation["id"], violation["impact"], node["html"])
                    for node in violation["nodes"]
                    if violation["impact"] in ("serious", "critical")
                ]
            self.overhang_px[name] = int(page.evaluate("document.documentElement.scrollWidth - innerWidth"))
        page.set_viewport_size({"width": WIDTHS[0], "height": HEIGHT})


STILL = """document.getAnimations().every((animation) =>
  animation.playState !== "running" || animation.effect.getComputedTiming().iterations === Infinity)"""


NAMELESS = """() => [...document.querySelectorAll("button, a[href], input, select, textarea, [role=tab]")]
  .filter((each) => each.checkVisibility({ visibilityProperty: true }) && !each.closest("footer"))
  .filter((each) => !(each.getAttribute("aria-label") || each.innerText?.trim() || each.labels?.length))
  .map((each) => each.outerHTML)"""
"""Controls that are seen and have neither words, nor a label."""


@pytest.fixture(scope="module")
def inspection(browser: Browser, echo_app: AppProcess) -> Inspection:
    inspection = Inspection()
    for mode in ("light", "dark"):
        with open_context(browser, dark=mode == "dark") as context:
            talk = TalkPage(context, echo_app.url)
            expect(talk.page.locator("body.dark")).to_have_count(1 if mode == "dark" else 0)
            inspection.look_at(talk, f"{mode}, as it opens")
            inspect_call(talk, inspection, mode)
            inspect_settings(talk, inspection, mode)
            if mode == "light":
                inspect_before(talk, inspection)
    with open_context(browser) as context:
        open_as_operator(context, echo_app)
        for tab, sign in OPERATORS_TABS.items():
            talk = TalkPage(context, echo_app.url)
            talk.page.get_by_role("tab", name=tab).click()
            talk.page.get_by_text(sign).first.wait_for()
            inspection.look_at(talk, f"light, the tab {tab}")
            talk.page.close()
    return inspection


OPERATORS_TABS = {"Phone": "/twilio/inbound", "Server": "Running for"}


def open_as_operator(context: BrowserContext, app: AppProcess) -> None:
    """In light alone: these tabs have no colours of their own."""
    page = context.new_page()
    page.goto(f"{app.url}/operator")
    page.get_by_label("Key of this server (API_KEY)").fill(TELEPHONE["API_KEY"])
    page.get_by_role("button", name="Go on").click()
    page.locator("#start").wait_for()
    page.close()


def inspect_before(talk: TalkPage, inspection: Inspection) -> None:
    page = talk.page
    page.get_by_role("tab", name="Talk").click()
    page.get_by_role("button", name="Change who answers").click()
    page.locator("#all-roles").click()
    talk.role.fill("You are\x07 kind.")
    expect(page.locator("#prompt-message")).to_contain_text("control characters")
    inspection.look_at(talk, "light, before, with a message")
    talk.role.fill("You are kind.")
    page.get_by_label("Voice", exact=True).click()
    page.get_by_role("option").first.wait_for()
    inspection.look_at(talk, "light, before, with the voices open")
    page.keyboard.press("Escape")


def inspect_settings(talk: TalkPage, inspection: Inspection, mode: str) -> None:
    page = talk.page
    page.get_by_role("tab", name="Settings").click()
    page.get_by_role("button", name="Advanced").click()
    page.get_by_label("Seed").fill("forty-two")
    expect(page.locator("#sampling-message")).to_contain_text("whole number")
    inspection.look_at(talk, f"{mode}, the settings")
    page.get_by_label("Seed").fill("42")
    expect(page.locator("#sampling-message")).not_to_contain_text("whole number")


def inspect_call(talk: TalkPage, inspection: Inspection, mode: str) -> None:
    page = talk.page
    talk.start()
    talk.wait_live()
    page.get_by_role("button", name="Devices").click()
    page.get_by_role("button", name="Make it say…").click()
    page.get_by_role("button", name="Choose for the next call").click()
    talk.bubbles.first.wait_for()
    inspection.look_at(talk, f"{mode}, in the call")
    nameless = page.evaluate(NAMELESS)
    assert nameless == []
    page.keyboard.press("Escape")
    talk.word.focus()
    page.keyboard.press("Escape")
    page.get_by_role("dialog", name="End the call?").wait_for()
    inspection.look_at(talk, f"{mode}, asked whether to end")
    page.keyboard.press("Escape")
    talk.hang_up()
    talk.wait_for_result()
    page.get_by_text("Your earlier calls").click()
    page.locator("#earlier li button").first.wait_for()
    talk.result.get_by_role("button", name="Download", exact=True).click()
    inspection.look_at(talk, f"{mode}, after")


def test_nothing_serious_is_found_but_what_is_known(inspection: Inspection):
    assert [fault for fault in inspection.faults if fault.known is None] == []


def test_what_is_known_is_still_there(inspection: Inspection):
    found = {fault.known for fault in inspection.faults}
    assert [known for known in KNOWN if known.always and known not in found] == []


def test_the_page_is_never_wider_than_the_window(inspection: Inspection):
    assert {view: overhang for view, overhang in inspection.overhang_px.items() if overhang > 0} == {}


TABS = {"visitor": ["Talk", "Settings"], "operator": ["Talk", "Phone", "Server", "Settings"]}
ONE_AFTER_THE_OTHER = (390, 1280, 390, 1280, 900, 640, 320, 195)
"""Widths in px, the first of a fresh page; 640 and 195 are also 1280 and 390 at a zoom of 200 %."""

OVERLAPPING = """() => {
  const parts = [...document.querySelectorAll(".pp-masthead > *, #tabs > .tab-wrapper [role=tab]")]
    .filter((part) => part.checkVisibility())
    .map((part) => [part.innerText || part.className, part.getBoundingClientRect()]);
  const meet = (a, b) => a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom;
  const touching = 0.5;
  return parts.flatMap(([name, box], index) => {
    const inner = new DOMRect(box.x + touching, box.y, Math.max(box.width - 2 * touching, 0), box.height);
    const others = parts.slice(index + 1).filter(([, other]) => meet(inner, other));
    return others.map(([other]) => `${name}, ${other}`);
  });
}"""
"""Pairs of the header's parts that lie on each other."""


@pytest.mark.parametrize("who", TABS)
def test_every_tab_opens_at_every_width(browser: Browser, echo_app: AppProcess, who: str):
    with open_context(browser, width=ONE_AFTER_THE_OTHER[0], height=HEIGHT) as context:
        if who == "operator":
            open_as_operator(context, echo_app)
        page = TalkPage(context, echo_app.url).page
        for width in ONE_AFTER_THE_OTHER:
            page.set_viewport_size({"width": width, "height": HEIGHT})
            tabs = page.get_by_role("tab")
            expect(tabs).to_have_text(TABS[who])
            for tab in tabs.all():
                tab.click()
                expect(tab).to_have_attribute("aria-selected", "true")
                assert page.evaluate(OVERLAPPING) == [], width
                assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), width
