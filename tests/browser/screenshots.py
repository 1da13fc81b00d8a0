"""Takes the pictures in docs/: python -m tests.browser.screenshots docs/screenshots

Wide and narrow, light and dark: before, in and after a call on the echo engine, the phone and the status tab,
and with a voice of one's own for PersonaPlex.
"""

import io
import sys
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, sync_playwright

from tests.support.app_process import ROOT, TELEPHONE, TINY, AppProcess, running_app
from tests.support.chromium import TalkPage, chromium, make_microphone, open_context

SIZES = {1280: 900, 390: 844}
COLOURS = 128
UNFIXED = "#to-call { display: none !important; }"
"""What stays at the bottom of a window would stand in the middle of a picture of the whole page."""

RECORDING = ROOT / "tests/data/cases/custom_voice_no_prompt/voice.wav"
MAX_BYTES = 150_000


def take_all(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        microphone = make_microphone(Path(scratch))
        with (
            running_app(Path(scratch), **TELEPHONE) as app,
            sync_playwright() as playwright,
            chromium(playwright, microphone) as browser,
        ):
            for mode in ("light", "dark"):
                take_a_call(browser, app, folder, mode)
            with running_app(Path(scratch), **TINY) as personaplex:
                for mode in ("light", "dark"):
                    take_own_voice(browser, personaplex, folder, mode)


def take_a_call(browser: Browser, app: AppProcess, folder: Path, mode: str) -> None:
    with open_context(browser, dark=mode == "dark") as context:
        talk = TalkPage(context, app.url)
        take(talk, folder, mode, "before")
        talk.start()
        talk.utterances.nth(1).wait_for()  # it is answering
        take(talk, folder, mode, "in")
        talk.hang_up()
        talk.wait_for_result()
        take(talk, folder, mode, "after")
        for tab, sign in (("Phone", "/twilio/inbound"), ("Status", "Running for")):
            talk.page.get_by_role("tab", name=tab).click()
            talk.page.get_by_text(sign).first.wait_for()
            take(talk, folder, mode, tab.lower())


def take_own_voice(browser: Browser, app: AppProcess, folder: Path, mode: str) -> None:
    with open_context(browser, dark=mode == "dark") as context:
        talk = TalkPage(context, app.url)
        talk.page.get_by_text("Use your own voice").click()
        recorder = talk.page.locator("#own-recording")
        recorder.get_by_role("button", name="Upload file").click()
        talk.page.get_by_text("Drop Audio Here").wait_for()
        recorder.locator("input[type=file]").set_input_files(RECORDING)
        recorder.get_by_role("button", name="Play", exact=True).wait_for()
        talk.page.locator("#own-consent input").check()
        take(talk, folder, mode, "own-voice")


def take(talk: TalkPage, folder: Path, mode: str, moment: str) -> None:
    for width, height in SIZES.items():
        talk.page.set_viewport_size({"width": width, "height": height})
        taken = talk.page.screenshot(full_page=True, style=UNFIXED)
        picture = Image.open(io.BytesIO(taken)).convert("RGB")
        path = folder / f"{moment}-{mode}-{width}.png"
        picture.quantize(COLOURS, dither=Image.Dither.NONE).save(path, optimize=True)
        size = path.stat().st_size
        assert size <= MAX_BYTES, f"{path} has {size} bytes"
        print(f"{path} {picture.width} x {picture.height}, {size // 1000} kB")


if __name__ == "__main__":
    take_all(Path(sys.argv[1]))
