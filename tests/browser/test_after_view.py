"""The view after a call, fed with a record: the timeline as the player, the transcript, what can be done."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect

from tests.support.chromium import open_context
from tests.support.stage_page import StagePage, line, record, report

WIDE, NARROW = (1280, 900), (390, 844)
both_widths = pytest.mark.parametrize("stage", [WIDE, NARROW], ids=["wide", "narrow"], indirect=True)

LINES = [
    line(1, "assistant", "Hello, this is Nora."),
    line(4, "caller"),
    line(8, "assistant", "My grandmother would never", cut=True),
    line(10, "caller", "Sorry", interrupts=True),
]
PLACE = "document.querySelector('audio').currentTime"


@pytest.fixture(params=[WIDE])
def stage(request: pytest.FixtureRequest, browser: Browser) -> Iterator[StagePage]:
    width, height = request.param
    with open_context(browser, width, height) as context:
        context.grant_permissions(["clipboard-read", "clipboard-write"])
        stage = StagePage(context)
        stage.dispatch({"type": "result", "record": record(LINES)})
        yield stage
        assert stage.errors == []


@both_widths
def test_how_the_call_was(stage: StagePage) -> None:
    expect(stage.page.get_by_role("heading", name="1 min with Nora")).to_be_focused()
    expect(stage.page.locator(".pp-after-about")).to_contain_text("You hung up.")
    expect(stage.page.locator(".pp-figures dd")).to_have_text(["0.7 s", "46 %", "5"])
    expect(stage.page.locator(".pp-figures dt").first).to_have_text("until Nora answered, typically")
    expect(stage.page.locator(".pp-figures dt").last).to_have_text("interruptions")
    expect(stage.page.locator(".pp-track-caller .pp-stretch")).to_have_count(2)
    once = record(LINES) | {"figures": {"answer_sec": None, "caller_share": None, "interruptions": 1}}
    stage.dispatch({"type": "result", "record": once})
    expect(stage.page.locator(".pp-figures dd")).to_have_text(["\u2013", "\u2013", "1"])
    expect(stage.page.locator(".pp-figures dt").last).to_have_text("interruption")
    assert stage.page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_clicking_a_line_seeks_and_lights_it_up(stage: StagePage) -> None:
    row = stage.page.get_by_role("button", name="0:24 Nora My grandmother would never —")
    row.click()
    stage.page.wait_for_function(f"{PLACE} > 24 && {PLACE} < 26")
    expect(row).to_have_attribute("aria-current", "true")
    expect(stage.page.locator(".pp-lines [aria-current]")).to_have_count(1)
    pause = stage.page.get_by_role("button", name="Pause")
    pause.click()
    expect(stage.page.get_by_role("button", name="Play")).to_be_visible()


@both_widths
def test_the_fade_at_the_edge_of_a_long_transcript_covers_no_line_that_is_read(stage: StagePage) -> None:
    lines = [line(n, "assistant", f"Line {n} of a long conversation.") for n in range(19)]
    stage.dispatch({"type": "result", "record": record(lines) | {"call_id": "c3"}})
    shown = stage.page.locator(".pp-lines")
    to_edge = """(list, n) => {
        const [box, row] = [list, list.children[n]].map((each) => each.getBoundingClientRect());
        return box.bottom - row.bottom;
    }"""
    assert shown.evaluate("list => list.scrollHeight > list.clientHeight")
    stage.page.mouse.move(0, 0)
    stage.page.get_by_role("slider", name="Place in the recording").press("End")
    expect(shown.locator("[aria-current]")).to_contain_text("Line 18")
    assert shown.evaluate("list => list.scrollTop") > 0
    assert shown.evaluate(to_edge, 18) > 15
    shown.evaluate("list => { list.scrollTop = list.scrollHeight; }")
    assert shown.evaluate(to_edge, 18) > 15


def test_the_timeline_is_a_slider(stage: StagePage) -> None:
    slider = stage.page.get_by_role("slider", name="Place in the recording")
    expect(slider).to_have_attribute("aria-valuemax", "60")
    stage.page.wait_for_function("document.querySelector('audio').readyState > 0")
    slider.focus()
    for key, place, words in (
        ("ArrowRight", 5, "0:05 of 1:00, nobody speaks"),
        ("PageUp", 35, "0:35 of 1:00, nobody speaks"),
        ("Home", 0, "0:00 of 1:00, nobody speaks"),
    ):
        slider.press(key)
        stage.page.wait_for_function(f"Math.abs({PLACE} - {place}) < 0.5")
        expect(slider).to_have_attribute("aria-valuetext", words)
    box = slider.bounding_box()
    assert box
    slider.click(position={"x": box["width"] * 0.22, "y": box["height"] / 2})
    stage.page.wait_for_function(f"Math.abs({PLACE} - 13.2) < 0.5")
    expect(slider).to_have_attribute("aria-valuetext", "0:13 of 1:00, you speak")


@both_widths
def test_everything_of_it_can_be_taken_along(stage: StagePage) -> None:
    download = stage.page.get_by_role("button", name="Download", exact=True)
    download.click()
    links = stage.page.locator(".pp-download-list a")
    assert [each.get_attribute("href") for each in links.all()] == [
        "calls/c1/recording.wav",
        "calls/c1/face.mp4",
        *(f"calls/c1/transcript.{kind}" for kind in ("txt", "srt", "vtt", "json")),
        "calls/c1/report.json",
    ]
    stage.page.keyboard.press("Escape")
    expect(links.first).to_be_hidden()
    expect(download).to_be_focused()
    stage.page.get_by_role("button", name="Copy the text").click()
    expect(stage.page.locator(".pp-told")).to_have_text("The text is copied.")
    assert stage.page.evaluate("navigator.clipboard.readText()") == (
        "0:03 Nora: Hello, this is Nora.\n0:12 You: (2.0 s of speech)\n"
        "0:24 Nora: My grandmother would never —\n0:30 You interrupted: Sorry"
    )
    stage.page.get_by_role("button", name="Copy link").click()
    expect(stage.page.locator(".pp-told")).to_contain_text("The link to this role and voice is copied.")
    assert stage.page.evaluate("navigator.clipboard.readText()").endswith("#role=talk&voice=NATF2")


def test_deleting_asks_first(stage: StagePage) -> None:
    delete = stage.page.locator(".pp-after-buttons").get_by_role("button", name="Delete")
    question = stage.page.get_by_role("dialog", name="Delete this call?")
    delete.click()
    question.get_by_role("button", name="Keep it").click()
    assert stage.told("deleteCall") == []
    delete.click()
    question.get_by_role("button", name="Delete").click()
    assert stage.told("deleteCall") == ["c1"]
    expect(stage.page.locator("#stage-after")).to_be_hidden()


def test_what_next(stage: StagePage) -> None:
    stage.page.get_by_role("button", name="Talk again").click()
    assert stage.told("start") == [None]
    stage.page.get_by_role("button", name="Change who answers").click()
    assert stage.page.evaluate("stage.getState().view") == "before"


def test_a_call_that_cannot_be_made_says_why(stage: StagePage) -> None:
    stage.dispatch({"type": "server", "server": {"ready": False, "sentence": "The model is loading."}})
    expect(stage.page.get_by_role("button", name="Talk again")).to_be_disabled()
    expect(stage.page.locator(".pp-why-not")).to_have_text("The model is loading.")


def test_without_a_recording_the_text_is_there(stage: StagePage) -> None:
    stage.dispatch({"type": "result", "record": record(LINES, recorded=False)})
    expect(stage.page.locator(".pp-no-sound")).to_have_text("There is no recording of this call.")
    expect(stage.page.get_by_role("slider")).to_have_count(0)
    expect(stage.page.get_by_role("button", name="Play")).to_be_hidden()
    expect(stage.page.locator(".pp-lines li")).to_have_count(4)
    expect(stage.page.locator(".pp-lines button")).to_have_count(0)


def test_a_recording_that_is_gone_says_so(stage: StagePage) -> None:
    gone = record(LINES) | {"call_id": "c2", "files": {"recording": "calls/c2/gone"}}
    stage.dispatch({"type": "result", "record": gone})
    expect(stage.page.locator(".pp-no-sound")).to_contain_text("could not be loaded")
    expect(stage.page.get_by_role("button", name="Play")).to_be_hidden()


@both_widths
def test_the_report_is_folded_and_says_what_it_means(stage: StagePage) -> None:
    stage.dispatch({"type": "result", "record": record(LINES, measured=report())})
    fold = stage.page.locator(".pp-report")
    expect(fold.locator("dl")).to_be_hidden()
    stage.page.get_by_text("How you took turns").click()
    expect(fold.locator("dt")).to_have_text(
        [
            "Response gap",
            "Stop latency",
            "Overlap",
            "Dead air",
            "Pauses taken over",
            "Talked over",
            "Backchannels",
            "Talk share",
            "Echo",
        ]
    )
    expect(fold.locator(".pp-report-value")).to_have_text(
        ["0.66 s", "1.00 s", "once", "2 times", "never", "never", "once", "18 % you", "\u221220 dB"]
    )
    expect(fold.locator(".pp-report-meaning")).to_have_count(9)
    expect(fold.locator(".pp-report-meaning").first).to_have_text(
        "From the end of what you said until Nora began to answer."
    )
    assert stage.page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_a_report_that_comes_late_changes_nothing_else(stage: StagePage) -> None:
    fold = stage.page.locator(".pp-report")
    stage.page.get_by_text("How you took turns").click()
    expect(fold).to_contain_text("The recording is being measured.")
    stage.page.wait_for_function("stage.told.some(([name]) => name === 'refreshCall')")
    assert stage.told("refreshCall") == ["c1"]
    stage.page.get_by_role("button", name="0:24 Nora My grandmother would never —").click()
    stage.page.wait_for_function(f"{PLACE} > 24")
    late = record(LINES, measured=report()) | {"turns": {"caller": [[1, 2]], "assistant": [], "overlaps": []}}
    stage.dispatch({"type": "result", "record": late})
    expect(fold.locator(".pp-report-value").first).to_have_text("0.66 s")
    expect(fold.locator(".pp-report-waiting")).to_be_hidden()
    expect(stage.page.locator(".pp-track-caller .pp-stretch")).to_have_count(1)
    assert stage.page.evaluate(PLACE) > 24, "it plays on"


def test_without_a_recording_there_is_no_report(stage: StagePage) -> None:
    stage.dispatch({"type": "result", "record": record(LINES, recorded=False)})
    expect(stage.page.locator(".pp-report")).to_be_hidden()
