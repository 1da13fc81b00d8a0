"""A network that drops UDP: the page soon says so, and a whole call goes over the websocket instead.

The model says back at once what it hears, so that the sound's way through all of it can be measured.
"""

import base64
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import soundfile
from playwright.sync_api import BrowserContext, Page, Playwright, expect

from personaplex_ui.audio.frames import SAMPLE_RATE_HZ, Samples
from personaplex_ui.audio.levels import rms_dbfs
from tests.support.app_process import ROOT, AppProcess, running_app
from tests.support.chromium import chromium, open_context, require
from tests.support.udp_blocker import BlockedNetwork, network_of_a_browser

LEVELS_PER_SEC = 100
LOUD = 0.02
"""As RMS, -34 dBFS: speech, not what is between the words."""

LISTENED_SEC = 18.0
"""The microphone's sentence comes every 14 s."""

LONGEST_HOLE_SEC = 0.2
BETWEEN_SENTENCES_SEC = 5.0
LONGEST_LAG_SEC = 3.0
"""What is looked at to find the delay."""

# What the microphone and the assistant sound like in this browser, on one clock.
LISTEN = r"""
const play = HTMLMediaElement.prototype.play;
HTMLMediaElement.prototype.play = function () {
  if (this.srcObject) test.heard = this.srcObject;
  return play.call(this);
};
const recorder = `registerProcessor("recorder", class extends AudioWorkletProcessor {
  process([microphone, assistant]) {
    this.port.postMessage([microphone, assistant].map((side) => side[0]?.slice() ?? new Float32Array(128)));
    return true;
  }
});`;
test.listen = async () => {
  const context = new AudioContext({ sampleRate: 24000 });
  const module = URL.createObjectURL(new Blob([recorder], { type: "text/javascript" }));
  await context.audioWorklet.addModule(module);
  const node = new AudioWorkletNode(context, "recorder", { numberOfInputs: 2 });
  const microphone = new MediaStream([test.tracks.findLast((track) => track.readyState === "live")]);
  [microphone, test.heard].forEach((stream, input) => {
    context.createMediaStreamSource(stream).connect(node, 0, input);
  });
  node.connect(context.destination);
  test.sound = [];
  node.port.onmessage = ({ data }) => test.sound.push(data);
  test.stop = () => context.close();
};
test.listened = async () => {
  await test.stop();
  return Promise.all([0, 1].map((side) => new Promise((resolve) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result.split(",")[1]);
    reader.readAsDataURL(new Blob(test.sound.map((sides) => sides[side])));
  })));
};
"""


pytestmark = [pytest.mark.timeout(240), pytest.mark.alone]  # holes in the sound are looked for


@pytest.fixture(scope="module")
def app(microphone: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[AppProcess]:
    folder = tmp_path_factory.mktemp("app")
    script = ROOT / "tests" / "support" / "repeating_app.py"
    with running_app(folder, script, HOST="0.0.0.0") as app:
        yield app


@pytest.fixture
def network() -> Iterator[BlockedNetwork]:
    with network_of_a_browser() as network:
        yield network


@pytest.fixture
def context(
    playwright: Playwright, microphone: Path, network: BlockedNetwork, app: AppProcess, tmp_path: Path
) -> Iterator[BrowserContext]:
    """Of a browser in the network."""
    program = network.wrapped(require("chromium"), tmp_path)
    with chromium(playwright, microphone, program, url_of(app, network)) as browser:
        context = open_context(browser)
        context.add_init_script(LISTEN)
        yield context


def url_of(app: AppProcess, network: BlockedNetwork) -> str:
    return f"http://{network.server}:{app.port}"


class Caller:
    """Somebody in that network, who opens the page and starts to talk."""

    def __init__(self, context: BrowserContext, app: AppProcess, network: BlockedNetwork) -> None:
        self.app = app
        self.page: Page = context.new_page()
        self.page.goto(url_of(app, network))
        self.trouble = self.page.locator("#trouble")
        self.fallback = self.trouble.get_by_role("button", name="Call over the web connection")
        self.live = self.page.locator("#stage-live")

    def start(self) -> None:
        self.page.get_by_role("button", name="Start talking").click()

    def wait_live(self, way: str = "") -> None:
        expect(self.live).to_contain_text("of 10:00")
        expect(self.live).to_contain_text(way)

    def listen(self, sec: float) -> tuple[Samples, Samples]:
        """What its microphone and what the assistant sounds like meanwhile, 24 kHz."""
        self.page.evaluate("test.listen()")
        self.page.wait_for_timeout(1_000 * sec)
        sides: list[str] = self.page.evaluate("test.listened()")
        microphone, assistant = (np.frombuffer(base64.b64decode(side), dtype="<f4") for side in sides)
        return microphone, assistant

    def hang_up(self) -> None:
        self.page.get_by_role("button", name="End call").click()
        expect(self.page.locator("#stage-after")).to_be_visible()


def levels(sound: Samples) -> npt.NDArray[np.float64]:
    """The RMS of each 10 ms."""
    size = SAMPLE_RATE_HZ // LEVELS_PER_SEC
    frames = sound[: len(sound) // size * size].astype(np.float64).reshape(-1, size)
    return np.sqrt(np.mean(frames**2, axis=1))


def delay_sec(of: Samples, behind: Samples) -> float:
    """By how much one sound is later than the other, whose envelope it has."""
    late, early = (np.log10(levels(sound) + 1e-4) for sound in (of, behind))
    late, early = late - late.mean(), early - early.mean()
    most = round(LONGEST_LAG_SEC * LEVELS_PER_SEC)
    matches = [float(late[lag:] @ early[: len(early) - lag]) for lag in range(most)]
    return int(np.argmax(matches)) / LEVELS_PER_SEC


def longest_pause_sec(sound: Samples) -> float:
    """Between two loud moments of a sentence; the pause between two sentences does not count."""
    spoken = np.flatnonzero(levels(sound) > LOUD)
    pauses = np.diff(spoken) / LEVELS_PER_SEC
    return float(max(pauses[pauses < BETWEEN_SENTENCES_SEC], default=0.0))


def recorded(app: AppProcess) -> tuple[Samples, Samples]:
    """The caller and the assistant in the last recording."""
    path = max(app.recordings.glob("*.wav"), key=lambda path: path.stat().st_mtime)
    sound, rate_hz = soundfile.read(path, dtype="float32")  # pyright: ignore[reportUnknownMemberType]
    assert rate_hz == SAMPLE_RATE_HZ
    left, right = np.asarray(sound, dtype=np.float32).T
    return left, right


def told_delay_sec(of: Samples, behind: Samples) -> float:
    delay = delay_sec(of, behind)
    print(f"The sound comes back after {delay:.2f} s.")
    return delay


def holds_a_whole_call(caller: Caller) -> None:
    """Sound both ways, as it should be, and what is kept of it."""
    caller.wait_live("over the web connection")
    microphone, assistant = caller.listen(LISTENED_SEC)
    assert 0.05 < told_delay_sec(assistant, microphone) < 2.0  # as long as lag does not grow
    assert longest_pause_sec(assistant) <= longest_pause_sec(microphone) + LONGEST_HOLE_SEC
    assert rms_dbfs(loud(assistant)) == pytest.approx(rms_dbfs(loud(microphone)), abs=3.0)
    caller.hang_up()
    expect(caller.page.locator("#stage-after")).to_contain_text("word")
    caller.page.locator("#stage-after audio").wait_for(state="attached")
    left, right = recorded(caller.app)
    assert rms_dbfs(loud(left)) == pytest.approx(rms_dbfs(loud(microphone)), abs=3.0)
    assert rms_dbfs(loud(right)) == pytest.approx(rms_dbfs(loud(microphone)), abs=3.0)
    for side in (left, right):
        assert longest_pause_sec(side) <= longest_pause_sec(microphone) + LONGEST_HOLE_SEC


def loud(sound: Samples) -> Samples:
    """Only where somebody speaks."""
    size = SAMPLE_RATE_HZ // LEVELS_PER_SEC
    is_loud = levels(sound) > LOUD
    return sound[: len(is_loud) * size].reshape(-1, size)[is_loud].reshape(-1)


def test_in_this_network_calls_go_over_udp_as_long_as_it_passes(
    context: BrowserContext, app: AppProcess, network: BlockedNetwork
):
    caller = Caller(context, app, network)
    caller.start()
    caller.wait_live()
    expect(caller.live).not_to_contain_text("over the web connection")
    microphone, assistant = caller.listen(LISTENED_SEC)
    assert 0.05 < told_delay_sec(assistant, microphone) < 2.0
    caller.hang_up()


def test_without_udp_the_page_says_so_and_a_whole_call_goes_over_the_websocket(
    context: BrowserContext, app: AppProcess, network: BlockedNetwork
):
    network.block_udp()
    caller = Caller(context, app, network)
    caller.start()
    expect(caller.trouble).to_contain_text("This network blocks calls over UDP.", timeout=15_000)
    caller.fallback.click()
    holds_a_whole_call(caller)

    # What was chosen once is not asked again.
    caller.page.get_by_role("button", name="Talk again").click()
    caller.wait_live("over the web connection")
    caller.page.get_by_role("button", name="End call").click()


def test_a_browser_without_opus_calls_in_pcm(
    context: BrowserContext, app: AppProcess, network: BlockedNetwork
):
    network.block_udp()
    context.add_init_script("delete window.AudioEncoder;")
    caller = Caller(context, app, network)
    sockets: list[str] = []
    caller.page.on("websocket", lambda socket: sockets.append(socket.url))
    caller.start()
    expect(caller.fallback).to_be_visible(timeout=15_000)
    caller.fallback.click()
    holds_a_whole_call(caller)
    assert "audio=pcm16" in sockets[-1]
