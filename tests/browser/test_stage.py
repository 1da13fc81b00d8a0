"""What was wrong with the former page, and is to stay right, seen in one browser on the echo engine.

The microphone speaks when the test says so, and is otherwise as silent as one that is switched off.
"""

import re
from collections.abc import Iterator
from typing import Any, cast

import pytest
from playwright.sync_api import Browser, CDPSession, Dialog, Page, expect

from tests.support.app_process import AppProcess
from tests.support.chromium import SPEAKS_WHEN_TOLD, TalkPage, open_context
from tests.support.stage_page import StagePage

TOLD_WITHIN_SEC = 6
BUSY = 2
"""A machine that does other things meanwhile may take this much longer."""

OWN = "You are a lighthouse keeper, and you like storms."
TROUBLE_AFTER_SEC = """async () => {
  const live = () => document.querySelector("#stage-live .pp-detail").innerText.match(/^\\d+:\\d\\d/);
  const told = () => document.querySelector("#trouble").checkVisibility();
  const frame = () => new Promise((next) => requestAnimationFrame(next));
  while (!live()) await frame();
  const began = performance.now();
  while (!told()) await frame();
  return (performance.now() - began) / 1000;
}"""

pytestmark = [pytest.mark.timeout(180)]


@pytest.fixture
def talk(browser: Browser, echo_app: AppProcess) -> Iterator[TalkPage]:
    with open_context(browser) as context:
        context.add_init_script(SPEAKS_WHEN_TOLD)
        yield TalkPage(context, echo_app.url)


def speak(page: Page, on: bool) -> None:
    page.evaluate("on => test.speak(on)", on)


@pytest.mark.alone
def test_a_call_with_a_silent_microphone_and_an_interruption(talk: TalkPage) -> None:
    page = talk.page
    talk.start()
    after_sec = page.evaluate(TROUBLE_AFTER_SEC)
    assert after_sec < BUSY * TOLD_WITHIN_SEC
    expect(talk.trouble).to_contain_text("We hear nothing from your microphone")
    expect(page.get_by_role("combobox", name="Microphone")).to_be_visible()
    expect(talk.word).to_have_text("We hear nothing")
    expect(page).to_have_title("⚠ We hear nothing · PersonaPlex")
    expect(page.locator("[role=alert]:visible")).to_have_count(1)
    page.keyboard.press("Escape")  # the devices close
    expect(page.get_by_role("combobox", name="Microphone")).to_be_hidden()

    speak(page, True)
    expect(talk.trouble).to_be_hidden()
    expect(talk.lines_of("caller").first).to_contain_text(re.compile(r"[4-9]\.\d s"))  # as long is the answer
    expect(page).to_have_title(re.compile(r"^● \d:\d\d PersonaPlex$"))
    speak(page, False)
    expect(talk.lines_of("assistant").last).to_contain_text(re.compile("I heard|That was|You spoke"))
    speak(page, True)  # in the middle of it
    expect(page.locator(".pp-bubble-head", has_text="You interrupted")).to_be_visible()
    expect(page.locator(".pp-bubble[data-side=assistant]").filter(has_text=re.compile("—$"))).to_be_visible()

    mute_shows_who_speaks_to_nobody(talk)
    choice_is_for_the_next_call(talk)
    mute_and_end_are_always_there(talk)

    page.keyboard.press("Escape")
    question = page.get_by_role("dialog", name="End the call?")
    question.get_by_role("button", name="End call").click()
    talk.wait_for_result()
    expect(talk.result.locator(".pp-figure-interruptions")).not_to_have_text("0")
    expect(talk.result.locator(".pp-lines")).to_contain_text("You interrupted")


def mute_shows_who_speaks_to_nobody(talk: TalkPage) -> None:
    mute = talk.page.get_by_role("button", name="Mute me")
    expect(mute.locator("kbd")).to_have_text("M")
    talk.page.keyboard.press("m")
    expect(mute).to_have_attribute("aria-pressed", "true")
    speak(talk.page, True)
    expect(talk.trouble).to_contain_text("You are muted, so nobody hears you")
    talk.trouble.get_by_role("button", name="Unmute").click()
    expect(mute).to_have_attribute("aria-pressed", "false")
    expect(talk.trouble).to_be_hidden()
    speak(talk.page, False)


def choice_is_for_the_next_call(talk: TalkPage) -> None:
    page = talk.page
    page.get_by_role("button", name="Choose for the next call").click()
    page.locator("#voice-chips").get_by_role("button", name="Tom", exact=True).click()
    note = page.get_by_text("What you chose now applies to the next call.")
    expect(note).to_be_visible()
    page.locator("#voice-chips").get_by_role("button", name="Nora", exact=True).click()
    expect(note).to_be_hidden()


def mute_and_end_are_always_there(talk: TalkPage) -> None:
    page = talk.page
    page.set_viewport_size({"width": 390, "height": 844})
    for tab in ("Settings", "Talk"):
        page.get_by_role("tab", name=tab).click()
        for place in (0, 10_000):
            page.evaluate("place => scrollTo(0, place)", place)
            for name in ("Mute me", "End call"):
                expect(page.get_by_role("button", name=name)).to_be_in_viewport(ratio=1)
    page.set_viewport_size({"width": 1280, "height": 1000})


def test_role_and_voice_are_kept_and_a_call_is_not_left_unasked(talk: TalkPage) -> None:
    page = talk.page
    cards = page.locator("#role-cards")
    cards.get_by_role("button", name="Write your own").click()
    talk.role.fill(OWN)
    cards.get_by_role("button", name="Wise teacher").click()
    expect(talk.role).not_to_have_value(OWN)
    expect(talk.role).to_have_value(re.compile("teacher"))
    cards.get_by_role("button", name="Write your own").click()
    expect(talk.role).to_have_value(OWN)
    cards.get_by_role("button", name="Astronaut").click()
    page.locator("#voice-chips").get_by_role("button", name="Tom", exact=True).click()
    expect(page.get_by_label("Voice", exact=True)).to_have_value(re.compile("Tom"))

    talk.start()
    talk.wait_live()
    questions: list[str] = []

    def stay(dialog: Dialog) -> None:
        questions.append(dialog.type)
        dialog.accept()

    page.once("dialog", stay)
    page.reload()
    assert questions == ["beforeunload"]
    expect(cards.get_by_role("button", name="Astronaut")).to_have_attribute("aria-pressed", "true")
    expect(talk.role).to_have_value(re.compile("astronaut|Alex"))
    expect(page.get_by_label("Voice", exact=True)).to_have_value(re.compile("Tom"))
    expect(page.locator(".pp-before-voice")).to_contain_text("with Tom")
    cards.get_by_role("button", name="Write your own").click()
    expect(talk.role).to_have_value(OWN)


def test_what_a_visitor_sees_before_a_call(browser: Browser, echo_app: AppProcess) -> None:
    with open_context(browser, width=390, height=844) as context:
        talk = TalkPage(context, echo_app.url)
        expect(talk.start_button).to_be_in_viewport(ratio=1)
        facts = talk.page.locator(".pp-facts")
        for told in ("Headphones", "10 minutes", "deleted after 24 hours", "speaks English"):
            expect(facts).to_contain_text(told)
        for tab in ("Phone", "Server"):
            expect(talk.page.get_by_role("tab", name=tab)).to_have_count(0)
        seen = talk.page.locator("body").inner_text()
        for words in ("Real-time factor", "TWILIO", "HF_TOKEN", "ENGINE="):
            assert words not in seen


@pytest.mark.parametrize(
    ("browser_has", "told"),
    [
        ("getUserMedia: () => new Promise(() => {})", "Please allow the microphone"),
        ("getUserMedia: undefined", "Open this page over https"),
    ],
    ids=["pending", "insecure"],
)
def test_without_an_answer_or_without_https(
    browser: Browser, echo_app: AppProcess, browser_has: str, told: str
) -> None:
    with open_context(browser) as context:
        context.add_init_script(f"Object.assign(navigator.mediaDevices, {{ {browser_has} }});")
        talk = TalkPage(context, echo_app.url)
        talk.start()
        expect(talk.trouble).to_contain_text(told)
        expect(talk.page.locator("[role=alert]:visible")).to_have_count(1)


COUNT_FRAMES = """
window.drawn = 0;
window.read = [];
let drawing = false;
const ask = window.requestAnimationFrame.bind(window);
window.requestAnimationFrame = (draw) => ask((now) => {
  drawing = draw.name === "draw";
  draw(now);
  window.drawn += drawing;
  drawing = false;
});
const watched = [
  [Element, ["clientWidth", "clientHeight", "scrollTop"]],
  [HTMLElement, ["offsetWidth", "offsetHeight", "offsetTop", "innerText"]],
];
for (const [owner, names] of watched) for (const name of names) {
  const found = Object.getOwnPropertyDescriptor(owner.prototype, name);
  Object.defineProperty(owner.prototype, name, { ...found, get() {
    if (drawing) window.read.push(name);
    return found.get.call(this);
  } });
}
for (const [owner, name] of [[Element.prototype, "getBoundingClientRect"], [window, "getComputedStyle"]]) {
  const found = owner[name];
  owner[name] = function (...given) {
    if (drawing) window.read.push(name);
    return found.apply(this, given);
  };
}
"""
COUNT_WRITES = """() => {
  window.writes = 0;
  new MutationObserver((changes) => { window.writes += changes.length; })
    .observe(document.body, { subtree: true, attributes: true, childList: true, characterData: true });
  window.drawn = 0;
}"""
MOST_WRITES = 8
"""Attributes a frame: five layers of the orb and one more opacity, or the face's mouth."""


@pytest.mark.parametrize("face", [False, True], ids=["orb", "face"])
def test_a_frame_of_the_orb_writes_a_few_attributes_and_lays_nothing_out(
    browser: Browser, face: bool
) -> None:
    """What it takes is a matter of the machine: docs/PERFORMANCE.md has the milliseconds."""
    with open_context(browser) as context:
        context.add_init_script(COUNT_FRAMES)
        stage = StagePage(context)
        stage.page.emulate_media(reduced_motion="no-preference")
        stage.go_live()
        stage.dispatch({"type": "face", "on": face}, {"type": "speaking", "speaking": "assistant"})
        stage.page.evaluate("() => { stage.level.assistant = 0.6; }")
        stage.page.wait_for_function("drawn >= 30")  # what the new state changes is laid out
        devtools = context.new_cdp_session(stage.page)
        devtools.send("Performance.enable")
        stage.page.evaluate(COUNT_WRITES)
        before = layouts_of(devtools)
        stage.page.wait_for_function("drawn >= 200")
        layouts = layouts_of(devtools) - before
        drawn, writes, read = stage.page.evaluate("[drawn, writes, read]")
        assert drawn < writes <= MOST_WRITES * drawn
        assert read == []
        # The mouth is a path, so its own few numbers are laid out; the rest of the page never is.
        assert layouts < (1.1 * drawn if face else drawn / 20)


def layouts_of(devtools: CDPSession) -> float:
    """How often the page has been laid out so far."""
    told = cast("dict[str, list[dict[str, Any]]]", devtools.send("Performance.getMetrics"))
    return next(each["value"] for each in told["metrics"] if each["name"] == "LayoutCount")
