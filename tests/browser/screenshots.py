"""Takes the pictures in docs/: python -m tests.browser.screenshots docs/screenshots [SCENE ...]

Wide and narrow, light and dark. The scenes, all of them unless some are named: `echo`, a call and the
operator's tabs; `own-voice` for PersonaPlex; `cascade`, before, in and after a conversation, as visitors
have it.
"""

import io
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from PIL import Image
from playwright.sync_api import Browser, Playwright, sync_playwright

from personaplex_ui.audio.frames import SAMPLE_RATE_HZ
from personaplex_ui.speech.synthesis.kokoro import KokoroSynthesiser
from tests.support.app_process import ROOT, TELEPHONE, TINY, AppProcess, running_app
from tests.support.chromium import ROOM_DBFS, TalkPage, chromium, make_microphone, open_context
from tests.support.weights import weights_folder

SIZES = {1280: 900, 390: 844}
TABS = {"Settings": "This browser remembers", "Phone": "/twilio/inbound", "Server": "Running for"}
MODES = ("light", "dark")
COLOURS = 256
SETTLES_MS = 700
"""After a change of width, Gradio's own scripts lay out anew."""

SET_DARK = "dark => document.body.classList.toggle('dark', dark)"
UNFIXED = "#call-bar { position: static !important; }"
"""What stays at the bottom of a window would stand in the middle of a picture of the whole page."""

WITHOUT_KEY = {name: value for name, value in TELEPHONE.items() if name != "API_KEY"}
"""The operator's pages open with the link in the log, as for somebody who tries the app."""

RECORDING = ROOT / "tests/data/cases/custom_voice_no_prompt/voice.wav"
MAX_BYTES = 150_000

ROLE_ID = "restaurant"
QUESTIONS = ("How much is the classic shakshuka?", "And which sides do you have?", "Do you deliver?")
ASKED_BY = "VARM2"
GREETED_SEC, ANSWERED_SEC = 6.0, 8


def take_all(folder: Path, names: Sequence[str] = ()) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names or SCENES:
        with tempfile.TemporaryDirectory() as scratch, sync_playwright() as playwright:
            SCENES[name](playwright, Path(scratch), folder)


def take_echo(playwright: Playwright, scratch: Path, folder: Path) -> None:
    with (
        running_app(scratch, **WITHOUT_KEY) as app,
        chromium(playwright, make_microphone(scratch)) as browser,
    ):
        cookies = operators_cookies(browser, app)
        for mode in MODES:
            take_a_call(browser, app, cookies, folder, mode)


def take_personaplex(playwright: Playwright, scratch: Path, folder: Path) -> None:
    with running_app(scratch, **TINY) as app, chromium(playwright, make_microphone(scratch)) as browser:
        for mode in MODES:
            take_own_voice(browser, app, folder, mode)


def take_cascade(playwright: Playwright, scratch: Path, folder: Path) -> None:
    weights = str(weights_folder("whisper-tiny.en").parent)
    with (
        running_app(scratch, ENGINE="cascade", SPEECH_WEIGHTS_DIR=weights, CAPTIONS="auto") as app,
        chromium(playwright, make_questions(scratch)) as browser,
    ):
        for mode in MODES:
            take_before(browser, app, folder, mode)
        take_a_conversation(browser, app, folder)


SCENES = {"echo": take_echo, "own-voice": take_personaplex, "cascade": take_cascade}


def take_a_call(browser: Browser, app: AppProcess, cookies: Any, folder: Path, mode: str) -> None:
    with open_context(browser, dark=mode == "dark") as context:
        context.add_cookies(cookies)
        talk = TalkPage(context, app.url)
        talk.start()
        talk.lines_of("assistant").nth(1).wait_for()  # it is answering
        take(talk, folder, mode, "live")
        talk.hang_up()
        talk.wait_for_result()
        for tab, sign in TABS.items():
            talk = TalkPage(context, app.url)  # one that was narrow keeps its tabs in a menu
            talk.page.get_by_role("tab", name=tab).click()
            talk.page.get_by_text(sign).first.wait_for()
            take(talk, folder, mode, tab.lower())
            talk.page.close()


def make_questions(folder: Path) -> Path:
    """What the microphone hears: ``QUESTIONS``, one by one, with time for the answers."""
    voice = KokoroSynthesiser.in_folder(weights_folder("kokoro"))
    sounds = [np.zeros(round(GREETED_SEC * SAMPLE_RATE_HZ), dtype=np.float32)]
    for question in QUESTIONS:
        sounds += [voice.synthesise(question, ASKED_BY), np.zeros(ANSWERED_SEC * SAMPLE_RATE_HZ, np.float32)]
    heard = np.concatenate(sounds)
    heard += 10 ** (ROOM_DBFS / 20) * np.random.default_rng(7).standard_normal(len(heard), np.float32)
    path = folder / "questions.wav"
    soundfile.write(path, heard, SAMPLE_RATE_HZ)
    return path


def take_before(browser: Browser, app: AppProcess, folder: Path, mode: str) -> None:
    with open_context(browser, dark=mode == "dark") as context:
        talk = TalkPage(context, app.url)
        take(talk, folder, mode, "before", SETTLES_MS)
        talk.start()
        talk.lines_of("assistant").first.wait_for()  # the first answer of a process takes longer
        talk.hang_up()


def take_a_conversation(browser: Browser, app: AppProcess, folder: Path) -> None:
    """One call for both colours."""
    with open_context(browser) as context:
        talk = TalkPage(context, f"{app.url}/#role={ROLE_ID}")
        talk.start()
        talk.lines_of("assistant").nth(len(QUESTIONS)).wait_for()
        talk.page.wait_for_timeout(1_000 * ANSWERED_SEC // 2)  # the last answer is complete
        for mode in MODES:
            talk.page.evaluate(SET_DARK, mode == "dark")
            take(talk, folder, mode, "conversation")
        talk.hang_up()
        talk.wait_for_result()
        talk.page.get_by_text("How you took turns").click()
        talk.page.locator(".pp-report-value").first.wait_for()  # it is measured
        talk.page.locator(".pp-after-title").hover()
        for mode in MODES:
            talk.page.evaluate(SET_DARK, mode == "dark")
            take(talk, folder, mode, "after", SETTLES_MS)


def operators_cookies(browser: Browser, app: AppProcess) -> Any:
    """The link opens once; it names the public address, which is not this machine's."""
    with open_context(browser) as context:
        page = context.new_page()
        page.goto(app.operator_link().replace(TELEPHONE["SERVER_URL"], app.url))
        page.locator("#start").wait_for()
        return context.cookies()


def take_own_voice(browser: Browser, app: AppProcess, folder: Path, mode: str) -> None:
    with open_context(browser, dark=mode == "dark") as context:
        talk = TalkPage(context, app.url)
        talk.page.locator("#own-voice > button").click()
        recorder = talk.page.locator("#own-recording")
        recorder.get_by_role("button", name="Upload file").click()
        talk.page.get_by_text("Drop Audio Here").wait_for()
        recorder.locator("input[type=file]").set_input_files(RECORDING)
        recorder.get_by_role("button", name="Play", exact=True).wait_for()
        talk.page.locator("#own-consent input").check()
        take(talk, folder, mode, "own-voice")


def take(talk: TalkPage, folder: Path, mode: str, moment: str, settles_ms: int = 0) -> None:
    for width, height in SIZES.items():
        talk.page.set_viewport_size({"width": width, "height": height})
        talk.page.wait_for_timeout(settles_ms)
        taken = talk.page.screenshot(full_page=True, style=UNFIXED)
        picture = Image.open(io.BytesIO(taken)).convert("RGB")
        path = folder / f"{moment}-{mode}-{width}.png"
        picture.quantize(COLOURS, dither=Image.Dither.NONE).save(path, optimize=True)
        size = path.stat().st_size
        assert size <= MAX_BYTES, f"{path} has {size} bytes"
        print(f"{path} {picture.width} x {picture.height}, {size // 1000} kB")


if __name__ == "__main__":
    take_all(Path(sys.argv[1]), sys.argv[2:])
