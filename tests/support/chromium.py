"""A real Chromium with a spoken microphone, and the page in it as a person uses it.

Knows the page by what people see and screen readers say (roles, names), and by the ids of its parts.
"""

import contextlib
import re
import shutil
import subprocess
from collections.abc import Generator
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr
from playwright.sync_api import Browser, BrowserContext, Page, Playwright, expect

from personaplex_ui.audio.frames import Samples
from tests.support.app_process import wait_until
from tests.support.password import HEADERS

expect.set_options(timeout=20_000)

MICROPHONE_HZ = 48_000
QUIET_BEFORE_SEC = 6.0
"""The greeting takes 5.8 s at the pitch 1, and less in the higher voices: it is not spoken over."""

QUIET_AFTER_SEC = 5.0
HEARD_LEVEL = 35
"""Per cent of a meter, -39 dBFS."""

SENTENCE = "The quick brown fox jumps over the lazy dog."

FLAGS = [
    "--no-sandbox",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-quic",
    "--autoplay-policy=no-user-gesture-required",
]

# Before any script of the page: every connection and every track that the browser hands out.
WATCH = """
window.test = { peers: [], tracks: [] };
window.RTCPeerConnection = class extends RTCPeerConnection {
  constructor(...settings) { super(...settings); test.peers.push(this); }
};
const devices = navigator.mediaDevices;
const getUserMedia = devices.getUserMedia.bind(devices);
devices.getUserMedia = async (constraints) => {
  const stream = await getUserMedia(constraints);
  test.tracks.push(...stream.getTracks());
  return stream;
};
test.inboundEnergy = async () => {
  let energy = 0;
  for (const peer of test.peers) {
    for (const stat of (await peer.getStats()).values()) {
      if (stat.type === "inbound-rtp" && stat.kind === "audio") energy += stat.totalAudioEnergy ?? 0;
    }
  }
  return energy;
};
"""


def require(tool: str) -> str:
    """The path of an installed program; without it the test is skipped."""
    path = shutil.which(tool)
    if path is None:
        pytest.skip(f"{tool} is not installed (scripts/install-test-tools.sh).")
    return path


def make_microphone(folder: Path) -> Path:
    """What the microphone hears: silence, a sentence, silence; 48 kHz mono."""
    spoken = folder / "spoken.wav"
    command = [require("espeak-ng"), "-v", "en-us", "-s", "165", "-w", str(spoken), SENTENCE]
    subprocess.run(command, check=True, capture_output=True)
    sound, rate_hz = soundfile.read(spoken, dtype="float32")
    speech: Samples = soxr.resample(np.asarray(sound, dtype=np.float32), rate_hz, MICROPHONE_HZ)  # pyright: ignore[reportUnknownVariableType]
    parts = [_silence(QUIET_BEFORE_SEC), 0.5 * speech / np.abs(speech).max(), _silence(QUIET_AFTER_SEC)]
    path = folder / "microphone.wav"
    soundfile.write(path, np.concatenate(parts), MICROPHONE_HZ, subtype="PCM_16")
    return path


def _silence(sec: float) -> Samples:
    return np.zeros(int(sec * MICROPHONE_HZ), dtype=np.float32)


@contextlib.contextmanager
def chromium(playwright: Playwright, microphone: Path | None) -> Generator[Browser]:
    """``microphone``: the file it hears, again and again; None: a machine that has none."""
    flags = [*FLAGS]
    if microphone is not None:
        flags += ["--use-fake-device-for-media-stream", f"--use-file-for-fake-audio-capture={microphone}"]
    browser = playwright.chromium.launch(executable_path=require("chromium"), args=flags)
    with browser:
        yield browser


def open_context(
    browser: Browser,
    width: int = 1280,
    height: int = 1000,
    dark: bool = False,
    allowed: bool = True,
    knows_password: bool = True,
) -> BrowserContext:
    """A visitor of their own: another cookie, another session. ``allowed``: to use the microphone."""
    context = browser.new_context(
        viewport={"width": width, "height": height},
        color_scheme="dark" if dark else "light",
        reduced_motion="reduce",
        permissions=["microphone"] if allowed else [],
        extra_http_headers=HEADERS if knows_password else {},
    )
    context.add_init_script(WATCH)
    return context


def plain(text: str) -> str:
    """``text`` as a browser shows it, every stretch of white space one space."""
    return " ".join(text.split())


class TalkPage:
    """The page, opened and ready for a call."""

    def __init__(self, context: BrowserContext, url: str) -> None:
        self.context = context
        self.page: Page = context.new_page()
        self.page.goto(url)
        self.start_button = self.page.get_by_role("button", name="Talk: start the call")
        self.hang_up_button = self.page.get_by_role("button", name="Hang up")
        self.status = self.page.locator("#status")
        self.utterances = self.page.locator("#transcript .pp-line")
        self.result = self.page.locator("#result")
        self.microphone_message = self.page.locator("#mic-message")
        self.role = self.page.locator("#prompt textarea")
        self.start_button.wait_for()
        # What Gradio asks the server for when the page opens has come: the page is the visitor's.
        engine = self.page.locator("#engine")
        expect(engine).to_contain_text(re.compile("echo engine|is ready"))
        if "is ready" in engine.inner_text():
            # The voices are those of the model, and it counts the role in its tokens.
            expect(self.page.locator("#prompt-counter")).to_contain_text("tokens")

    def start(self) -> None:
        self.start_button.click()

    def wait_live(self) -> None:
        expect(self.status).to_contain_text("Live")

    def level(self, side: str) -> int:
        """Per cent of the live meter of the ``caller`` or the ``assistant``."""
        bar = self.status.locator(f".pp-meter-{side} .pp-bar span")
        return int(bar.evaluate("bar => parseInt(bar.style.getPropertyValue('--pp-level'))"))

    def wait_for_sound_of(self, side: str) -> None:
        """Until the page shows that this side is to be heard."""
        wait_until(lambda: self.level(side) > HEARD_LEVEL, 30, f"the {side} is heard")

    def said(self) -> str:
        """What the transcript shows now, without its times."""
        return plain(" ".join(re.sub(r"^[\d:]+\s", "", line) for line in self.utterances.all_inner_texts()))

    def watch_the_transcript_grow(self) -> None:
        """Words come one after the other while the call is live."""

        def shown() -> int:
            return len("".join(self.utterances.all_inner_texts()))

        self.utterances.first.wait_for()
        at_first = shown()
        wait_until(lambda: shown() > at_first, 20, "more words stand in the transcript")
        self.wait_live()

    def hang_up(self) -> None:
        self.hang_up_button.click()
        expect(self.status).to_contain_text("Ended")

    def wait_for_result(self) -> None:
        self.result.locator("audio").wait_for()

    def inbound_energy(self) -> float:
        return float(self.page.evaluate("test.inboundEnergy()"))

    def live_microphones(self) -> int:
        return int(self.page.evaluate("test.tracks.filter((track) => track.readyState === 'live').length"))

    def microphones_opened(self) -> int:
        return int(self.page.evaluate("test.tracks.length"))
