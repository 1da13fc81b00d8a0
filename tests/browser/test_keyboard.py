"""The whole flow by keyboard alone: role, voice, start, mute, devices, end, play, seek, talk again."""

import re

import pytest
from playwright.sync_api import Browser, Locator, expect

from tests.support.app_process import AppProcess
from tests.support.chromium import TalkPage, open_context

MOST_STEPS = 60


def tab_to(talk: TalkPage, wanted: Locator) -> None:
    """Press Tab until it has the focus, which is then seen on the screen."""
    for _ in range(MOST_STEPS):
        if wanted.evaluate("element => element === document.activeElement"):
            break
        talk.page.keyboard.press("Tab")
    expect(wanted).to_be_focused()
    expect(wanted).to_be_in_viewport()


@pytest.mark.timeout(180)
def test_a_call_by_keyboard_alone(browser: Browser, echo_app: AppProcess) -> None:
    with open_context(browser) as context:
        talk = TalkPage(context, echo_app.url)
        page = talk.page
        press = page.keyboard.press

        def button(name: str) -> Locator:
            return page.get_by_role("button", name=name, exact=True)

        teacher = page.locator("[data-role=teacher]")
        tab_to(talk, teacher)
        press("Enter")
        expect(teacher).to_have_attribute("aria-pressed", "true")
        lena = button("Lena")
        tab_to(talk, lena)
        press("Space")
        expect(lena).to_have_attribute("aria-pressed", "true")
        press("Home")
        page.locator("body").evaluate("() => document.activeElement.blur()")
        tab_to(talk, talk.start_button)
        press("Enter")
        talk.wait_live()
        expect(talk.word).to_be_focused()

        tab_to(talk, button("Mute me"))
        press("Space")
        expect(button("Mute me")).to_have_attribute("aria-pressed", "true")
        press("Space")
        tab_to(talk, button("Devices"))
        press("Enter")
        expect(page.get_by_role("combobox", name="Microphone")).to_be_visible()
        press("Escape")
        expect(button("Devices")).to_be_focused()
        expect(talk.detail).to_contain_text(re.compile("^0:(0[3-9]|[1-5])"))  # there is something to seek in
        tab_to(talk, button("End call"))
        press("Enter")
        expect(talk.result.get_by_role("heading").first).to_be_focused()
        talk.wait_for_result()

        place = "document.querySelector('#stage-after audio').currentTime"
        slider = page.get_by_role("slider", name="Place in the recording")
        tab_to(talk, slider)
        press("End")
        page.wait_for_function(f"{place} > 1")
        press("Home")
        page.wait_for_function(f"{place} === 0")
        tab_to(talk, button("Play"))
        press("Enter")
        page.wait_for_function(f"{place} > 0")
        press("Enter")
        tab_to(talk, button("Talk again"))
        press("Enter")
        talk.wait_live()
        press("Escape")
        tab_to(talk, page.get_by_role("dialog").get_by_role("button", name="End call"))
        press("Enter")
        talk.wait_for_result()
