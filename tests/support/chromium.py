"""A real Chromium with a spoken microphone, and the page in it as a person uses it.

Knows the page by what people see and screen readers say (roles, names), and by the ids of its parts.
"""

import contextlib
import re
import shutil
import subprocess
from collections.abc import Generator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest
import soundfile
import soxr
from playwright.sync_api import Browser, BrowserContext, Locator, Page, Playwright, expect

from personaplex_ui.audio.frames import Samples
from tests.support.app_process import wait_until
from tests.support.password import HEADERS

DONE_WITHIN_MS = 60_000
"""Ends a hang: on a busy machine Chromium may need long to draw a page."""

expect.set_options(timeout=DONE_WITHIN_MS)

MICROPHONE_HZ = 48_000
QUIET_BEFORE_SEC = 6.0
"""The greeting takes 5.8 s at the pitch 1, and less in the higher voices: it is not spoken over."""

QUIET_AFTER_SEC = 5.0
ROOM_DBFS = -66.0
"""A room is never as quiet as a microphone that is switched off, of which the page complains."""

SENTENCE = "The quick brown fox jumps over the lazy dog."

# Instead of the microphone: silence (zeros, as of one that is switched off) until `test.speak(true)`.
SPEAKS_WHEN_TOLD = """
{
  let voice = null;
  navigator.mediaDevices.getUserMedia = async () => {
    const context = new AudioContext();
    const destination = new MediaStreamAudioDestinationNode(context, { channelCount: 1 });
    const tone = new OscillatorNode(context, { type: "sawtooth", frequency: 150 });
    voice = new GainNode(context, { gain: 0 });
    tone.connect(voice).connect(destination);
    tone.start();
    return destination.stream;
  };
  window.test.speak = (on) => { voice.gain.value = on ? 0.3 : 0; };
}
"""

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
const clone = MediaStream.prototype.clone; // the page watches a copy, to notice who speaks while muted
MediaStream.prototype.clone = function () {
  const copy = clone.call(this);
  test.tracks.push(...copy.getTracks());
  return copy;
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
    """What the microphone hears: a quiet room, a sentence in it, the room again; 48 kHz mono."""
    spoken = folder / "spoken.wav"
    command = [require("espeak-ng"), "-v", "en-us", "-s", "165", "-w", str(spoken), SENTENCE]
    subprocess.run(command, check=True, capture_output=True)
    sound, rate_hz = soundfile.read(spoken, dtype="float32")
    speech: Samples = soxr.resample(np.asarray(sound, dtype=np.float32), rate_hz, MICROPHONE_HZ)  # pyright: ignore[reportUnknownVariableType]
    before, after = (int(sec * MICROPHONE_HZ) for sec in (QUIET_BEFORE_SEC, QUIET_AFTER_SEC))
    heard = np.pad(0.5 * speech / np.abs(speech).max(), (before, after))
    heard += 10 ** (ROOM_DBFS / 20) * np.random.default_rng(7).standard_normal(len(heard), np.float32)
    path = folder / "microphone.wav"
    soundfile.write(path, heard, MICROPHONE_HZ, subtype="PCM_16")
    return path


@contextlib.contextmanager
def chromium(
    playwright: Playwright, microphone: Path | None, program: Path | None = None, secure_url: str = ""
) -> Generator[Browser]:
    """``microphone``: the file it hears, again and again; None: a machine that has none. ``program``: starts
    it in its place. ``secure_url``: counts as secure, though it is not https."""
    flags = [*FLAGS]
    if secure_url:
        flags.append(f"--unsafely-treat-insecure-origin-as-secure={secure_url}")
    if microphone is not None:
        flags += ["--use-fake-device-for-media-stream", f"--use-file-for-fake-audio-capture={microphone}"]
    browser = playwright.chromium.launch(executable_path=program or require("chromium"), args=flags)
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
    context.set_default_timeout(DONE_WITHIN_MS)
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
        self.start_button = self.page.locator("#start")
        self.hang_up_button = self.page.locator("#call-bar .pp-end")
        self.word = self.page.locator("#live-word")
        self.detail = self.page.locator("#stage-live .pp-detail")
        self.trouble = self.page.locator("#trouble")
        self.bubbles = self.page.locator(".pp-bubble")
        self.result = self.page.locator("#stage-after")
        self.role = self.page.locator("#prompt textarea")
        # The server has told how it is, and the controls tell what is chosen in them.
        expect(self.page.locator("#pill")).to_be_visible()
        self.page.wait_for_function("window.personaplexBridge !== undefined")
        expect(self.role).to_be_visible()

    def start(self) -> None:
        self.start_button.click()

    def wait_live(self) -> None:
        """Until the call's clock runs."""
        expect(self.detail).to_contain_text(re.compile(r"^\d+:\d\d"))

    def wait_for_sound_of(self, side: str) -> None:
        """Until the page shows that the ``caller`` or the ``assistant`` is to be heard."""
        expect(self.page.locator(".pp-orb")).to_have_attribute("data-mood", re.compile(f"{side}|both"))

    def lines_of(self, side: str) -> Locator:
        return self.page.locator(f".pp-bubble[data-side={side}]")

    def said(self) -> str:
        """What the assistant has said, as far as the page shows it now."""
        words = self.page.locator(".pp-bubble[data-side=assistant] .pp-bubble-text")
        return plain(" ".join(words.all_inner_texts()))

    def watch_the_transcript_grow(self) -> None:
        """Words come one after the other while the call is live."""
        self.bubbles.first.wait_for()
        at_first = len(self.said())
        wait_until(lambda: len(self.said()) > at_first, 40, "more words stand in the transcript")
        self.wait_live()

    def hang_up(self) -> None:
        self.hang_up_button.click()
        expect(self.page.locator("#call-bar")).to_be_hidden()

    def wait_for_result(self) -> None:
        """Until the server's record of the call is shown, with the recording in the player."""
        expect(self.result.locator(".pp-delete")).to_be_visible()

    @property
    def call_id(self) -> str:
        """Of the call whose record is shown: it stands in the address."""
        return parse_qs(urlsplit(self.page.url).query)["call"][0]

    def inbound_energy(self) -> float:
        return float(self.page.evaluate("test.inboundEnergy()"))

    def live_microphones(self) -> int:
        return int(self.page.evaluate("test.tracks.filter((track) => track.readyState === 'live').length"))

    def microphones_opened(self) -> int:
        return int(self.page.evaluate("test.tracks.length"))
