"""The live view and the call bar, fed with events: what is shown, said and reached by keyboard."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect

from tests.support.chromium import open_context
from tests.support.stage_page import LIVE, StagePage, line

WIDE, NARROW = (1280, 900), (390, 844)
both_widths = pytest.mark.parametrize("stage", [WIDE, NARROW], ids=["wide", "narrow"], indirect=True)

CONVERSATION = (
    line(1, "assistant", "Hello, this is Nora."),
    line(2, "caller"),
    line(3, "assistant", "My grandmother would never", cut=True),
    line(4, "caller", interrupts=True),
    line(5, "typed", "Say that the kitchen closes at ten"),
)
LONG = [
    line(n, "assistant" if n % 2 else "caller", f"Line {n} of a long conversation.") for n in range(1, 201)
]


@pytest.fixture(params=[WIDE])
def stage(request: pytest.FixtureRequest, browser: Browser) -> Iterator[StagePage]:
    width, height = request.param
    with open_context(browser, width, height) as context:
        stage = StagePage(context)
        yield stage
        assert stage.errors == []


def test_both_sides_appear_and_an_interruption_is_marked(stage: StagePage) -> None:
    stage.go_live(*CONVERSATION)
    bubbles = stage.page.locator(".pp-bubble")
    expect(bubbles).to_have_count(5)
    expect(bubbles.nth(0)).to_have_text("Nora, 0:03Hello, this is Nora.")
    expect(bubbles.nth(1)).to_contain_text("2.0 s")
    expect(bubbles.nth(1).locator("svg path")).to_have_attribute("d", "M2 6.7V13.3M6 2V18M10 5.1V14.9")
    expect(bubbles.nth(2)).to_contain_text("My grandmother would never —")
    expect(bubbles.nth(3)).to_contain_text("You interrupted, 0:12")
    expect(bubbles.nth(4)).to_contain_text("You had Nora say, 0:15")


def test_text_is_text(stage: StagePage) -> None:
    stage.go_live(line(1, "assistant", "<img src=x onerror='window.hacked=1'> & more"))
    expect(stage.page.locator(".pp-bubble-text")).to_have_text("<img src=x onerror='window.hacked=1'> & more")
    assert stage.page.locator(".pp-bubble img").count() == 0


def test_a_line_that_grows_stays_the_same_bubble(stage: StagePage) -> None:
    stage.go_live(line(1, "assistant", "Oh", open=True))
    stage.page.locator(".pp-bubble").evaluate("bubble => { bubble.marked = true; }")
    stage.facts(3, line(1, "assistant", "Oh, shakshuka!"))
    expect(stage.page.locator(".pp-bubble-text")).to_have_text("Oh, shakshuka!")
    assert stage.page.locator(".pp-bubble").evaluate("bubble => bubble.marked")


@both_widths
def test_the_end_is_followed_unless_the_reader_has_scrolled_up(stage: StagePage) -> None:
    log, newest = stage.page.locator(".pp-log"), stage.page.get_by_role("button", name="To the newest")
    to_end = "log => log.scrollHeight - log.scrollTop - log.clientHeight"
    stage.go_live(*LONG[:190])
    assert log.evaluate(to_end) < 2
    log.evaluate("log => { log.scrollTop = 1000; }")
    stage.page.wait_for_function("document.querySelector('.pp-log').scrollTop === 1000")
    stage.page.evaluate(
        "() => new Promise((seen) => requestAnimationFrame(() => requestAnimationFrame(seen)))"
    )
    stage.facts(3, *LONG[190:])
    expect(newest).to_be_visible()
    assert log.evaluate("log => log.scrollTop") == 1000
    newest.click()
    expect(newest).to_be_hidden()
    assert log.evaluate(to_end) < 2


def test_a_call_leaves_nothing_in_the_next(stage: StagePage) -> None:
    stage.go_live(*CONVERSATION)
    stage.dispatch({"type": "ended", "reason": "You hung up."}, *LIVE)
    expect(stage.page.locator(".pp-bubble")).to_have_count(0)


def test_waiting_and_preparing_stand_in_the_same_place(stage: StagePage) -> None:
    waiting = {"phase": "waiting", "place": 2, "waiting": 3, "wait_sec": 95}
    stage.dispatch(LIVE[0], {"type": "facts", "facts": waiting})
    heading = stage.page.get_by_role("heading", name="You are 2nd in line")
    expect(heading).to_be_visible()
    expect(stage.page.locator(".pp-detail")).to_contain_text("2 of 3 waiting")
    expect(stage.page.get_by_role("button", name="Leave the line")).to_be_visible()
    stage.dispatch({"type": "facts", "facts": {"phase": "preparing", "progress": 0.4}})
    expect(stage.page.get_by_role("progressbar", name="Preparing")).to_have_attribute("aria-valuenow", "40")


def test_who_speaks_is_shown_and_not_announced(stage: StagePage) -> None:
    stage.go_live(*CONVERSATION)
    announced = stage.page.locator(".pp-announce")
    expect(announced).to_have_text("The call is live")
    stage.dispatch({"type": "speaking", "speaking": "assistant"})
    expect(stage.page.get_by_role("heading", name="Nora is speaking")).to_be_visible()
    expect(announced).to_have_text("The call is live")
    expect(stage.page.get_by_role("log", name="What was said")).to_have_attribute("aria-live", "off")


@both_widths
def test_mute_and_end_are_seen_on_every_tab_and_scroll_position(stage: StagePage) -> None:
    mute, end = (stage.page.get_by_role("button", name=name) for name in ("Mute me", "End call"))
    stage.go_live(*CONVERSATION)
    for button in (mute, end):
        expect(button).to_be_in_viewport(ratio=1)
    stage.open_another_tab()
    stage.page.evaluate("scrollTo(0, 1500)")
    for button in (mute, end):
        expect(button).to_be_in_viewport(ratio=1)
    mute.focus()
    stage.page.evaluate("scrollTo(0, 0)")
    stage.open_the_talk_tab()
    expect(mute).to_be_in_viewport(ratio=1)
    expect(mute).to_be_focused()


def test_keys_mute_and_ask_to_end(stage: StagePage) -> None:
    stage.go_live()
    mute = stage.page.get_by_role("button", name="Mute me")
    stage.page.keyboard.press("m")
    expect(mute).to_have_attribute("aria-pressed", "true")
    expect(stage.page.get_by_role("heading", name="Muted")).to_be_visible()
    stage.page.keyboard.press("Escape")
    question = stage.page.get_by_role("dialog", name="End the call?")
    expect(question.get_by_role("button", name="Keep talking")).to_be_focused()
    stage.page.keyboard.press("Escape")
    expect(question).to_be_hidden()
    assert stage.told("end") == []
    stage.page.keyboard.press("Escape")
    question.get_by_role("button", name="End call").click()
    assert stage.told("end") == [None]


def test_the_microphone_is_held_open_by_space_and_by_pointer(stage: StagePage) -> None:
    stage.go_live()
    stage.dispatch({"type": "hold_to_talk", "on": True})
    hold = stage.page.get_by_role("button", name="Hold to talk")
    hold.focus()
    stage.page.keyboard.down("Space")
    expect(hold).to_have_attribute("aria-pressed", "true")
    stage.page.keyboard.up("Space")
    expect(hold).to_have_attribute("aria-pressed", "false")
    hold.hover()
    stage.page.mouse.down()
    expect(hold).to_have_attribute("aria-pressed", "true")
    stage.page.mouse.move(5, 5)
    stage.page.mouse.up()
    expect(hold).to_have_attribute("aria-pressed", "false")


@both_widths
def test_a_silent_microphone_opens_the_devices(stage: StagePage) -> None:
    stage.go_live()
    inputs = [{"id": "a", "label": "Built-in"}, {"id": "b", "label": "Headset"}]
    stage.dispatch(
        {"type": "devices", "devices": {"inputs": inputs, "inputId": "a"}},
        {"type": "hearing", "hearing": "silent"},
    )
    microphones = stage.page.get_by_role("combobox", name="Microphone")
    expect(microphones).to_be_visible()
    expect(stage.page.get_by_role("heading", name="We hear nothing")).to_be_visible()
    microphones.select_option("b")
    assert stage.told("chooseInput") == ["b"]
    stage.page.keyboard.press("Escape")
    expect(microphones).to_be_hidden()
    expect(stage.page.get_by_role("button", name="Devices")).to_be_focused()
    expect(stage.page.get_by_role("dialog")).to_be_hidden()


def test_what_is_typed_is_said_within_its_limit(stage: StagePage) -> None:
    stage.go_live()
    stage.page.get_by_role("button", name="Make it say…").click()
    box = stage.page.get_by_role("textbox", name="Make the assistant say")
    expect(box).to_be_focused()
    box.fill("x" * 1990)
    expect(stage.page.locator(".pp-say-left")).to_have_text("10 characters left")
    box.press_sequentially("y" * 12)
    expect(stage.page.locator(".pp-say-left")).to_have_text("2 characters too many")
    expect(stage.page.get_by_role("button", name="Say it")).to_be_disabled()
    box.press("Enter")
    assert stage.told("say") == []
    box.fill("  Hello <there>  ")
    box.press("Enter")
    assert stage.told("say") == ["Hello <there>"]
    expect(box).to_have_value("")
    box.press("m")
    expect(stage.page.get_by_role("button", name="Mute me")).to_have_attribute("aria-pressed", "false")


@both_widths
def test_long_words_and_other_scripts_stay_within_the_page(stage: StagePage) -> None:
    stage.go_live(
        line(1, "assistant", "Donaudampfschifffahrtsgesellschaft" * 8),
        line(2, "caller", "مرحبا، هذه جملة بالعربية 😀"),
        line(3, "caller", levels=[9] * 40),
    )
    assert stage.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert stage.page.locator(".pp-log").evaluate("log => log.scrollWidth <= log.clientWidth")
    direction = "text => getComputedStyle(text).direction"
    assert stage.page.locator(".pp-bubble-text").nth(1).evaluate(direction) == "rtl"


def test_the_orb_rests_for_who_asked_for_less_motion(browser: Browser) -> None:
    moved = "document.querySelector('.pp-orb-outer').style.transform"
    speaks = {"type": "speaking", "speaking": "assistant"}
    for motion in ("reduce", "no-preference"):
        with open_context(browser) as context:
            stage = StagePage(context)
            stage.page.emulate_media(reduced_motion="reduce" if motion == "reduce" else "no-preference")
            stage.go_live()
            stage.dispatch(speaks)
            stage.page.evaluate("() => { stage.level.assistant = 1; }")
            if motion == "no-preference":
                stage.page.wait_for_function(moved)
            else:
                stage.page.evaluate("() => new Promise((done) => setTimeout(done, 200))")
                assert stage.page.evaluate(moved) == ""
