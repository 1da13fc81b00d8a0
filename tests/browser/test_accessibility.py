"""axe-core on the page: light and dark, wide and narrow, before, in and after a call, each tab, and in light
all unfolded. The page differs little with PersonaPlex, so there it is looked at in light alone.

What it may find stands in ``KNOWN``, one by one: faults inside Gradio's own components that theme and
JavaScript do not reach. Whatever is listed must still be there, so that the list cannot rot.
"""

from dataclasses import dataclass, field
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, expect

from tests.support.app_process import AppProcess
from tests.support.chromium import TalkPage, open_context

WIDTHS = (1280, 390)
HEIGHT = 900

pytestmark = pytest.mark.timeout(180)


@dataclass(frozen=True, slots=True)
class KnownFault:
    """``part``: a piece of the HTML of the element that axe-core names."""

    rule: str
    part: str
    why: str


KNOWN = (
    KnownFault(
        "aria-input-field-name", '<ul class="options', "Gradio's Dropdown: its open list has no name."
    ),
    KnownFault(
        "scrollable-region-focusable",
        '<ul class="options',
        "Gradio's Dropdown: its open list scrolls; the arrow keys reach it from the field.",
    ),
    KnownFault(
        "aria-valid-attr-value",
        'aria-controls="dropdown-options"',
        "Gradio's Dropdown: its field points to an id that its list does not have.",
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


STILL = """document.getAnimations().every((animation) =>
  animation.playState !== "running" || animation.effect.getComputedTiming().iterations === Infinity)"""


@pytest.fixture(scope="module")
def inspection(browser: Browser, app: AppProcess) -> Inspection:
    inspection = Inspection()
    for mode in ("light", "dark") if app.engine == "echo" else ("light",):
        with open_context(browser, dark=mode == "dark") as context:
            talk = TalkPage(context, app.url)
            expect(talk.page.locator("body.dark")).to_have_count(1 if mode == "dark" else 0)
            inspection.look_at(talk, f"{mode}, as it opens")
            if mode == "light":
                inspect_before(talk, inspection)
            if app.engine == "echo":
                inspect_other_tabs(talk, inspection, mode)
            inspect_call(talk, inspection, mode)
    if app.engine != "echo":
        return inspection
    with open_context(browser) as context:
        talk = TalkPage(context, f"{app.url}/?__theme=dark")
        expect(talk.page.locator("body.dark")).to_have_count(1)
        inspection.look_at(talk, "dark by its address, before")
    return inspection


def inspect_before(talk: TalkPage, inspection: Inspection) -> None:
    page = talk.page
    page.get_by_role("button", name="Advanced").click()
    for summary in page.locator("#engine summary").all():
        summary.click()
    page.get_by_role("button", name="Listen").click()
    page.locator("#preview audio").wait_for()
    talk.role.fill("You are\x07 kind.")
    expect(page.locator("#prompt-message")).to_contain_text("control characters")
    page.get_by_label("Seed").fill("forty-two")
    expect(page.locator("#sampling-message")).to_contain_text("whole number")
    inspection.look_at(talk, "light, before, with messages")
    talk.role.fill("You are kind.")
    page.get_by_label("Seed").fill("42")
    expect(page.locator("#sampling-message")).to_be_empty()
    page.get_by_label("Voice", exact=True).click()
    page.get_by_role("option").first.wait_for()
    inspection.look_at(talk, "light, before, with the voices open")
    page.keyboard.press("Escape")


def inspect_other_tabs(talk: TalkPage, inspection: Inspection, mode: str) -> None:
    page = talk.page
    page.get_by_role("tab", name="Phone").click()
    page.locator("#phone-setup").get_by_text("/twilio/inbound").wait_for()
    inspection.look_at(talk, f"{mode}, the phone tab")
    page.get_by_role("tab", name="Status").click()
    page.locator("#server-status").get_by_text("Running for").wait_for()
    inspection.look_at(talk, f"{mode}, the status tab")
    page.get_by_role("tab", name="Talk").click()


def inspect_call(talk: TalkPage, inspection: Inspection, mode: str) -> None:
    page = talk.page
    talk.start()
    talk.utterances.first.wait_for()
    inspection.look_at(talk, f"{mode}, in the call")
    talk.wait_live()
    talk.hang_up()
    talk.wait_for_result()
    page.get_by_role("button", name="Your earlier calls").click()
    page.locator("#history").get_by_role("row").last.wait_for()
    inspection.look_at(talk, f"{mode}, after")
    page.get_by_role("button", name="Choose the microphone").click()
    page.get_by_role("combobox", name="Microphone").wait_for()
    inspection.look_at(talk, f"{mode}, after, with the microphones open")


def test_nothing_serious_is_found_but_what_is_known(inspection: Inspection):
    assert [fault for fault in inspection.faults if fault.known is None] == []


@pytest.mark.parametrize("app", ["echo"], indirect=True)  # it is the same on both
def test_words_stay_readable_while_they_are_being_changed(browser: Browser, app: AppProcess):
    with open_context(browser) as context:
        talk = TalkPage(context, app.url)
        counter = talk.page.locator("#prompt-counter .html-container")
        counter.evaluate("element => element.classList.add('pending')")
        expect(counter).to_have_css("opacity", "1")


@pytest.mark.parametrize("app", ["echo"], indirect=True)
def test_on_a_telephones_screen_a_link_leads_to_the_talk_button(browser: Browser, app: AppProcess):
    with open_context(browser, width=390, height=844) as context:
        talk = TalkPage(context, app.url)
        link = talk.page.get_by_role("link", name="To the call")
        expect(talk.start_button).not_to_be_in_viewport()
        link.click()
        expect(talk.start_button).to_be_in_viewport()
        expect(link).to_be_hidden()
        talk.page.mouse.wheel(0, -2_000)
        expect(link).to_be_visible()
        talk.page.get_by_role("tab", name="Status").click()
        expect(link).to_be_hidden()
        talk.page.get_by_role("tab", name="Talk").click()
        talk.page.set_viewport_size({"width": 1280, "height": 844})
        expect(link).to_be_hidden()


@pytest.mark.parametrize("app", ["echo"], indirect=True)  # PersonaPlex's tiny list of voices does not scroll
def test_what_is_known_is_still_there(inspection: Inspection):
    found = {fault.known for fault in inspection.faults}
    assert [known for known in KNOWN if known not in found] == []


def test_the_page_is_never_wider_than_the_window(inspection: Inspection):
    assert {view: overhang for view, overhang in inspection.overhang_px.items() if overhang > 0} == {}
