"""A call as a person makes it: Chromium with a spoken microphone, the page, the recording afterwards.

One call an engine is held for most tests here (``held``): it takes as long as it takes to be greeted, to
speak and to be answered.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from html import unescape
from typing import Any
from urllib.parse import urljoin, urlsplit

import pytest
from playwright.sync_api import APIResponse, Browser, BrowserContext, Playwright, Request, Route, expect

from personaplex_ui.audio.frames import SAMPLE_RATE_HZ, Samples
from personaplex_ui.audio.levels import rms_dbfs
from personaplex_ui.models.echo.sentences import GREETING
from personaplex_ui.models.echo.voice import pitch_ratio
from tests.support.app_process import AppProcess, wait_until
from tests.support.chromium import TalkPage, chromium, open_context, plain
from tests.support.stereo import likeness, read_stereo, spoken

VOICE = "NATF2"
HEARD_LINE = re.compile(r"(\d+\.\d) s.* (-\d+) dBFS\.$")
SPOKEN_FOR = re.compile(r"\d\.\d s")

pytestmark = pytest.mark.timeout(120)
echo_only = pytest.mark.parametrize("app", ["echo"], indirect=True)


@dataclass
class HeldCall:
    """What was seen while it was live, and what is left of it."""

    talk: TalkPage
    foreign: list[str]
    """Requests to other hosts; all were aborted."""

    energies: list[float] = field(default_factory=list[float])
    """Of what the browser received: at first, after the first words, in the end."""

    lines_shown: list[str] = field(default_factory=list[str])
    said: str = ""
    """What the transcript showed in the end, before the call was over."""

    call_id: str = ""
    wav: bytes = b""
    kept: dict[str, Any] = field(default_factory=dict[str, Any])

    @property
    def channels(self) -> tuple[Samples, Samples]:
        return read_stereo(self.wav)

    def wait_for_energy(self) -> None:
        """Until more was received than at the last time."""
        wait_until(lambda: self.talk.inbound_energy() > self.energies[-1], 20, "the assistant is heard")
        self.energies.append(self.talk.inbound_energy())

    def address(self, file: str) -> str:
        return urljoin(self.talk.page.url, f"calls/{self.call_id}/{file}")


@pytest.fixture(scope="module")
def visitor(browser: Browser, app: AppProcess) -> Iterator[tuple[BrowserContext, list[str]]]:
    """A browser that reaches this machine alone, and a list of what it wanted from elsewhere."""
    context = open_context(browser)
    foreign: list[str] = []

    def note(request: Request) -> None:
        if is_foreign(request.url):
            foreign.append(request.url)

    def stay_here(route: Route) -> None:
        if is_foreign(route.request.url):
            route.abort()
        else:
            route.continue_()

    context.on("request", note)
    context.route("**/*", stay_here)
    yield context, foreign
    context.close()


def is_foreign(url: str) -> bool:
    parts = urlsplit(url)
    return parts.scheme not in ("data", "blob") and parts.hostname not in ("127.0.0.1", "localhost")


@pytest.fixture(scope="module")
def held(visitor: tuple[BrowserContext, list[str]], app: AppProcess) -> HeldCall:
    context, foreign = visitor
    talk = TalkPage(context, app.url)
    call = HeldCall(talk, foreign)
    talk.start()
    talk.wait_live()
    call.energies.append(talk.inbound_energy())
    talk.wait_for_sound_of("assistant")
    if app.engine == "echo":
        expect(talk.bubbles.first).to_contain_text(GREETING)
    call.wait_for_energy()
    talk.wait_for_sound_of("caller")
    expect(talk.lines_of("caller").first).to_contain_text(SPOKEN_FOR)
    if app.engine == "echo":
        expect(talk.lines_of("assistant").nth(1)).to_contain_text(HEARD_LINE)
        talk.wait_live()
    else:
        talk.watch_the_transcript_grow()
    call.lines_shown = [plain(text) for text in talk.bubbles.all_inner_texts()]
    call.said = talk.said()
    call.wait_for_energy()
    talk.hang_up()
    talk.wait_for_result()
    call.call_id = talk.call_id
    call.wav = found(context.request.get(call.address("recording.wav")))
    call.kept = app.kept_call(call.call_id)
    return call


def found(answer: APIResponse) -> bytes:
    assert answer.status == 200, answer.text()
    return answer.body()


def test_the_browser_plays_what_the_server_says(held: HeldCall):
    at_first, after_words, in_the_end = held.energies
    assert at_first < after_words < in_the_end


def test_the_transcript_shows_what_the_model_says_while_the_call_is_live(held: HeldCall, app: AppProcess):
    assert held.said
    if app.engine == "echo":
        greeting, caller, heard = held.lines_shown
        assert GREETING in greeting
        assert SPOKEN_FOR.search(caller)
        assert HEARD_LINE.search(heard)


def test_the_page_shows_player_figures_and_downloads(held: HeldCall, app: AppProcess):
    result = held.talk.result
    audio = result.locator("audio")
    wait_until(lambda: audio.evaluate("audio => audio.readyState") >= 1, 20, "the player knows its recording")
    assert audio.evaluate("audio => audio.duration") == pytest.approx(held.kept["duration_sec"], abs=0.2)
    result.get_by_role("button", name="Download", exact=True).click()
    links = result.locator(".pp-download-list a").all()
    addresses = [link.get_attribute("href") or "" for link in links]
    assert [address.rsplit(".", 1)[-1] for address in addresses] == [
        "wav",
        "mp4",
        "txt",
        "srt",
        "vtt",
        "json",
        "json",
    ]
    for address in addresses:
        found(held.talk.context.request.get(urljoin(held.talk.page.url, address)))
    call = urljoin(held.talk.page.url, addresses[0].rsplit("/", 1)[0])
    turns = json.loads(found(held.talk.context.request.get(call)))["turns"]
    assert turns["caller"]
    for side in ("caller", "assistant"):  # what the tiny model says may be no speech
        expect(result.locator(f".pp-track-{side} .pp-stretch")).to_have_count(len(turns[side]))
    if app.engine == "echo":
        assert turns["assistant"]
        expect(result.locator(".pp-figure-answer")).to_contain_text(SPOKEN_FOR)


@echo_only
def test_clicking_a_line_seeks(held: HeldCall):
    row = held.talk.result.locator(".pp-line-row").last
    row.click()
    place = "document.querySelector('#stage-after audio').currentTime"
    start_sec = held.kept["duration_sec"] / 3
    held.talk.page.wait_for_function(f"{place} > {start_sec}")
    expect(row).to_have_attribute("aria-current", "true")
    held.talk.result.get_by_role("button", name="Pause").click()


def test_each_side_is_on_its_channel(held: HeldCall):
    left, right = held.channels
    assert len(left) / SAMPLE_RATE_HZ == pytest.approx(held.kept["duration_sec"], abs=0.2)
    assert rms_dbfs(left) > -45
    assert rms_dbfs(right) > -45
    assert rms_dbfs(left[: 3 * SAMPLE_RATE_HZ]) < -60  # the caller is silent at first, the assistant is not
    assert rms_dbfs(right[: 3 * SAMPLE_RATE_HZ]) > -45


@echo_only
def test_each_speaks_when_it_should(held: HeldCall):
    left, right = held.channels
    start, end = spoken(left)
    heard_sec = float(HEARD_LINE.search(held.lines_shown[-1])[1])  # type: ignore[index]
    assert (end - start) / SAMPLE_RATE_HZ == pytest.approx(heard_sec, abs=1.0)
    greeting_start, greeting_end = spoken(right[:start])
    assert greeting_start < SAMPLE_RATE_HZ
    assert greeting_end > SAMPLE_RATE_HZ
    assert rms_dbfs(left[:greeting_end]) < -60
    # On a slow machine the sentence may begin in the greeting, which then falls silent.
    assert rms_dbfs(right[start + SAMPLE_RATE_HZ // 2 : end]) < -60


@echo_only
def test_the_assistant_says_it_back_in_the_voices_pitch(held: HeldCall):
    left, right = held.channels
    start, end = spoken(left)
    said, answer = left[start:end], right[end:]
    right_pitch = likeness(said, answer, pitch_ratio(VOICE))
    wrong_pitches = [likeness(said, answer, pitch_ratio(voice)) for voice in ("NATF1", "NATF3", "NATM0")]
    assert right_pitch > 0.5
    assert max(wrong_pitches) < 0.7 * right_pitch


def test_the_transcript_downloads_in_four_formats(held: HeldCall):
    def text(extension: str) -> str:
        address = held.address(f"transcript.{extension}")
        return found(held.talk.context.request.get(address)).decode()

    lines = json.loads(text("json"))
    said = [plain(line["text"]) for line in lines]
    assert " ".join(said).startswith(held.said)
    for extension in ("txt", "srt", "vtt"):
        written = plain(text(extension))
        if extension == "vtt":
            written = unescape(written)  # WebVTT has markup
        places = [written.find(words) for words in said]
        assert min(places) >= 0, extension
        assert places == sorted(places), extension


@pytest.mark.parametrize("file", ["recording.wav", "transcript.json", "transcript.txt", "transcript.vtt"])
def test_another_browser_cannot_fetch_it(held: HeldCall, browser: Browser, app: AppProcess, file: str):
    with open_context(browser) as stranger:
        assert stranger.request.get(held.address(file)).status == 404
        assert stranger.request.get(app.url).status == 200  # now it has a cookie, of its own
        assert stranger.request.get(held.address(file)).status == 404


def test_no_microphone_stays_on(held: HeldCall):
    assert held.talk.microphones_opened() > 0
    assert held.talk.live_microphones() == 0


def test_the_page_takes_a_second_call(held: HeldCall):
    held.talk.result.get_by_role("button", name="Talk again").click()
    held.talk.wait_live()
    assert held.talk.live_microphones() == 2  # the other is not sent: it notices who speaks while muted
    held.talk.hang_up()
    held.talk.page.get_by_text("Your earlier calls").click()
    expect(held.talk.page.locator("#earlier li")).to_have_count(2)
    assert held.talk.live_microphones() == 0


def test_the_page_asks_no_other_host(held: HeldCall):
    assert held.foreign == []


# Before a call --------------------------------------------------------------------------------------


@pytest.fixture
def talk(browser: Browser, app: AppProcess) -> Iterator[TalkPage]:
    with open_context(browser) as context:
        yield TalkPage(context, app.url)


def test_a_voice_can_be_heard_before(talk: TalkPage):
    listen = talk.page.locator("#voice-chips .pp-chip-play").first
    with talk.page.expect_request("**/preview.wav") as asked:
        listen.click()
    assert len(found(talk.context.request.get(asked.value.url))) > 3 * SAMPLE_RATE_HZ
    expect(listen).to_have_attribute("data-sound", "playing")
    listen.click()
    expect(listen).not_to_have_attribute("data-sound", "playing")


@echo_only
def test_what_is_no_role_and_no_seed_is_refused_in_words(talk: TalkPage, app: AppProcess):
    page = talk.page
    talk.role.fill("You are\x07 kind.")
    expect(page.locator("#prompt-message")).to_contain_text("control characters")
    talk.start()
    expect(talk.trouble).to_contain_text("control characters")
    assert talk.live_microphones() == 0
    talk.role.fill("You are kind.")

    page.get_by_role("tab", name="Settings").click()
    page.get_by_role("button", name="Advanced").click()
    seed = page.get_by_label("Seed")
    seed.fill("forty-two")
    expect(page.locator("#sampling-message")).to_contain_text("whole number")
    page.get_by_role("tab", name="Talk").click()
    talk.start()
    expect(talk.trouble).to_contain_text("The seed must be a whole number")
    expect(talk.start_button).to_be_visible()
    app.wait_for_slots(4)
    page.get_by_role("tab", name="Settings").click()
    seed.fill("42")
    expect(page.locator("#sampling-message")).not_to_contain_text("whole number")
    page.get_by_role("tab", name="Talk").click()
    talk.start()
    talk.wait_live()
    expect(talk.trouble).to_be_hidden()


# Without a microphone -------------------------------------------------------------------------------


@echo_only
def test_a_missing_microphone_is_told_in_words(playwright: Playwright, app: AppProcess):
    with chromium(playwright, microphone=None) as browser:
        talk = TalkPage(open_context(browser), app.url)
        for _ in range(2):
            talk.start()
            expect(talk.trouble).to_contain_text("No microphone was found")
            expect(talk.start_button).to_be_visible()


@echo_only
def test_a_blocked_microphone_is_told_in_one_place_and_the_call_begins_once_it_is_allowed(
    browser: Browser, app: AppProcess
):
    with open_context(browser, allowed=False) as context:
        talk = TalkPage(context, app.url)
        talk.start()
        expect(talk.trouble).to_contain_text("The microphone is blocked")
        expect(talk.page.locator("[role=alert]:visible")).to_have_count(1)
        expect(talk.word).to_be_hidden()
        expect(talk.page.locator("#call-bar")).to_be_hidden()
        context.grant_permissions(["microphone"])
        talk.trouble.get_by_role("button", name="Try again").click()
        talk.wait_live()
        expect(talk.trouble).to_be_hidden()
