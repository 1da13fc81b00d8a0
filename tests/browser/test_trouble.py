"""In a real browser: the model cannot be loaded, and what the page offers then; and one's own voice."""

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


@pytest.fixture
def page(browser: Browser, refused: AppProcess) -> Iterator[Page]:
    with open_context(browser) as context:
        page = context.new_page()
        page.goto(refused.url)
        yield page


def engine(page: Page) -> Locator:
    return page.locator("#engine")


def button(page: Page, name: str) -> Locator:
    return page.get_by_role("button", name=name, exact=True)


def expect_trouble(page: Page) -> None:
    expect(engine(page)).to_contain_text(f"Calls cannot be taken. {GATED}")
    expect(button(page, "Try again")).to_be_visible()
    expect(button(page, "Use the echo engine for now")).to_be_visible()
    text = page.content()
    assert TOKEN not in text
    assert "Traceback" not in text


def hold_a_call(page: Page) -> None:
    """From the button until sound has come, and its end."""
    button(page, "Talk: start the call").click()
    expect(page.locator("#status")).to_contain_text("Live")
    wait_until(lambda: inbound_energy(page) > 0, 20, "the browser hears something")
    button(page, "Hang up").click()
    expect(page.locator("#status")).to_contain_text("Ended")


def inbound_energy(page: Page) -> float:
    return float(page.evaluate("test.inboundEnergy()"))


def test_the_model_is_not_given_and_the_echo_takes_the_calls(page: Page, refused: AppProcess):
    expect_trouble(page)
    button(page, "Talk: start the call").click()
    expect(page.locator("#status")).to_contain_text(f"Ended: {GATED}")
    button(page, "Use the echo engine for now").click()
    expect(engine(page)).to_contain_text("This is the echo engine")
    expect(engine(page)).to_contain_text(f"PersonaPlex could not be loaded. {GATED}")
    expect(button(page, "Try again")).to_be_visible()  # the way back to PersonaPlex
    hold_a_call(page)
    assert state_of(refused) == "healthy"


def test_the_licence_is_accepted_and_the_model_loads(page: Page, refused: AppProcess, hub: HubStub):
    expect_trouble(page)
    asked = len(hub.requests)
    button(page, "Try again").click()
    wait_until(lambda: len(hub.requests) > asked and state_of(refused) == "failed", 20, "it fails again")
    expect_trouble(page)
    hub.refuse = lambda request: None
    button(page, "Try again").click()
    expect(engine(page)).to_contain_text("PersonaPlex is ready.")
    expect(engine(page)).to_contain_text("These weights are under the NVIDIA Open Model License.")
    expect(button(page, "Try again")).to_be_hidden()
    page.get_by_label("Voice", exact=True).click()
    expect(page.get_by_role("option")).to_have_text([re.compile("NATF0"), re.compile("NATM1")])
    page.keyboard.press("Escape")
    expect(page.locator("#prompt-counter")).to_contain_text("tokens")
    hold_a_call(page)


# One's own voice ------------------------------------------------------------------------------------


def test_ones_own_voice_is_given_spoken_with_and_forgotten(browser: Browser, tiny_app: AppProcess):
    inspection = Inspection()
    with open_context(browser) as context:
        talk = TalkPage(context, tiny_app.url)
        page = talk.page
        page.get_by_role("button", name="Use your own voice").click()
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

        button(page, "Listen").click()
        source = page.locator("#preview audio").get_attribute("src") or ""
        hold_a_call(page)
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
