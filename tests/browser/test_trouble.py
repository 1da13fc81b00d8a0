"""In a real browser: the model cannot be loaded, and what the page offers then; and one's own voice."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.browser.test_accessibility import Inspection
from tests.support.app_process import AppProcess, wait_until
from tests.support.chromium import TalkPage, open_context
from tests.support.hub_stub import HubStub, Refusal, Request, serving
from tests.support.voice_recordings import RECORDING

TINY = Path(__file__).parents[1] / "data/tiny"
REPO = "nvidia/personaplex-7b-v1"
TOKEN = "hf_averysecrettoken"
GATED = f"{REPO} is given only to those who have accepted its licence."

pytestmark = pytest.mark.timeout(120)


def gated(request: Request) -> Refusal | None:
    return (403, {"X-Error-Code": "GatedRepo"}) if "resolve" in request.path else None


@pytest.fixture
def hub() -> Iterator[HubStub]:
    files = {path.name: path.read_bytes() for path in TINY.iterdir()}
    with serving(HubStub(REPO, files, refuse=gated)) as hub:
        yield hub


@pytest.fixture
def refused(hub: HubStub, tmp_path: Path) -> Iterator[AppProcess]:
    """An app whose model the hub does not give."""
    app = AppProcess(
        tmp_path,
        ENGINE="personaplex",
        DEVICE="cpu",
        HF_ENDPOINT=hub.url,
        HF_HOME=str(tmp_path / "hf"),
        HF_TOKEN=TOKEN,
        NO_TORCH_COMPILE="1",
        OMP_NUM_THREADS="1",
    )
    try:
        wait_until(lambda: state_of(app) == "failed", 50, "the model could not be loaded")
        yield app
    finally:
        app.close()
    assert app.exceptions() == []
    assert TOKEN not in app.log
    assert "secret-signature" not in app.log


def state_of(app: AppProcess) -> str:
    assert app.process.poll() is None, app.log
    try:
        return str(httpx.get(f"{app.url}/health").json()["status"])
    except httpx.TransportError:
        return ""


def become_operator(page: Page, app: AppProcess) -> None:
    page.goto(app.operator_link())
    page.get_by_role("tab", name="Server").click()


def button(page: Page, name: str) -> Locator:
    return page.get_by_role("button", name=name, exact=True)


def expect_trouble(talk: TalkPage) -> None:
    """One sentence under the button, which does nothing."""
    expect(talk.page.locator("#start-reason")).to_contain_text(GATED)
    expect(talk.start_button).to_have_attribute("aria-disabled", "true")
    expect(talk.trouble).to_be_hidden()
    text = talk.page.content()
    assert TOKEN not in text
    assert "Traceback" not in text


def hold_a_call(talk: TalkPage) -> None:
    """From the button until sound has come, and its record."""
    expect(talk.start_button).not_to_have_attribute("aria-disabled", "true")
    talk.start()
    talk.wait_live()
    wait_until(lambda: talk.inbound_energy() > 0, 20, "the browser hears something")
    talk.hang_up()
    talk.wait_for_result()


def test_the_operator_loads_again_or_lets_the_echo_take_the_calls(
    browser: Browser, refused: AppProcess, hub: HubStub
):
    with open_context(browser) as visitors, open_context(browser) as operators:
        talk = TalkPage(visitors, refused.url)
        expect_trouble(talk)
        operator = operators.new_page()
        become_operator(operator, refused)
        button(operator, "Use the echo engine for now").click()
        expect(talk.page.locator("#pill")).to_contain_text("lines free")
        hold_a_call(talk)
        assert state_of(refused) == "healthy"

        hub.refuse = lambda request: None
        button(operator, "Load PersonaPlex again").click()
        expect(talk.page.locator("#pill")).to_contain_text(re.compile("PersonaPlex, . of . lines free"))
        talk.page.get_by_role("button", name="Change who answers").click()
        talk.page.get_by_label("Voice", exact=True).click()
        expect(talk.page.get_by_role("option")).to_have_text([re.compile("NATF0"), re.compile("NATM1")])
        talk.page.keyboard.press("Escape")
        expect(talk.page.locator("#prompt-counter")).to_contain_text("tokens")
        hold_a_call(talk)
        talk.page.get_by_role("tab", name="Settings").click()
        expect(talk.page.locator("#licence")).to_contain_text("NVIDIA Open Model License")


# One's own voice ------------------------------------------------------------------------------------


def test_ones_own_voice_is_given_spoken_with_and_forgotten(browser: Browser, tiny_app: AppProcess):
    inspection = Inspection()
    with open_context(browser) as context:
        talk = TalkPage(context, tiny_app.url)
        page = talk.page
        page.locator("#own-voice > button").click()
        page.locator("#own-recording").get_by_role("button", name="Upload file").click()
        inspection.look_at(talk, "one's own voice, unfolded")
        page.locator("#own-recording input[type=file]").set_input_files(RECORDING)
        expect(page.locator("#own-recording").get_by_role("button", name="Play", exact=True)).to_be_visible()
        inspection.look_at(talk, "one's own voice, with a recording")
        message = page.locator("#own-message")
        button(page, "Use this voice").click()
        expect(message).to_contain_text("Please tick the box first")
        page.get_by_label("It is my voice, or the speaker agreed that I may use it here.").check()
        button(page, "Use this voice").click()
        expect(message).to_contain_text("Your voice is ready and selected above.")
        expect(page.get_by_label("Voice", exact=True)).to_have_value("Your own voice")
        inspection.look_at(talk, "one's own voice, chosen")

        expect(page.locator(".pp-before-voice")).to_have_text("with your own voice")
        expect(page.locator("#voice-chips [aria-pressed=true]")).to_have_text("Your own voice")
        with page.expect_request("**/webrtc/offer") as offered:
            hold_a_call(talk)
        voice = json.loads(offered.value.post_data or "")["settings"]["voice"]
        source = f"voices/{voice}/preview.wav"
        assert context.request.get(f"{tiny_app.url}/{source}").status == 200
        assert sounds_in(tiny_app.folder / "gradio") == []
    answer = wait_until(lambda: forgotten(f"{tiny_app.url}/{source}"), 20, "the voice is forgotten")
    assert answer == {"detail": "Your own voice is no longer stored. Please give it again."}
    assert [fault for fault in inspection.faults if fault.known is None] == []
    assert {view: px for view, px in inspection.overhang_px.items() if px > 0} == {}


def forgotten(address: str) -> object:
    answer = httpx.get(address)
    return answer.json() if answer.status_code == 404 else None


def sounds_in(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*.wav") if path.is_file()]
