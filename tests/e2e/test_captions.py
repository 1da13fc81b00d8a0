"""What callers said, word for word: recorded speech goes into calls over WebRTC and the Moshi websocket, and
its words come out of every format, with the right speaker and at the right times.

The echo engine hears no words, so Whisper does, on weights that are fetched once into the user's cache.
"""

import asyncio
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx
import numpy as np
import pytest
import soundfile
import soxr
from gradio_client import Client, handle_file

from personaplex_ui.audio.frames import FRAME_SAMPLES, SAMPLE_RATE_HZ, Samples, pad_to_frames
from tests.support.app_process import AppProcess, running_app, wait_until
from tests.support.clients.moshi import chat
from tests.support.clients.page import Page
from tests.support.recorded_speech import Recording, recordings, word_error_rate
from tests.support.weights import weights_folder

MOST_WRONG = 0.08
PAUSE_SEC = 1.6
GREETED_SEC, TAIL_SEC = 3.0, 2.0
NEAR_SEC = 0.4

pytestmark = [pytest.mark.timeout(240), pytest.mark.alone]


@dataclass
class Told:
    """What came of both calls: the page's record and files, the lines it was shown in the call, and what the
    Moshi client was told."""

    record: dict[str, Any] = field(default_factory=dict[str, Any])
    files: dict[str, str] = field(default_factory=dict[str, str])
    live: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    moshi: dict[int, dict[str, Any]] = field(default_factory=dict[int, dict[str, Any]])


@pytest.fixture(scope="module")
def spoken() -> list[Recording]:
    return recordings()


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AppProcess]:
    weights = weights_folder("whisper-tiny.en").parent
    variables = {"CAPTIONS": "auto", "SPEECH_WEIGHTS_DIR": str(weights)}
    with running_app(tmp_path_factory.mktemp("captions"), **variables) as app:
        wait_until(
            lambda: "found_by" in httpx.get(f"{app.url}/health").json().get("captions", {}),
            60,
            "Whisper is loaded",
        )
        yield app


@pytest.fixture(scope="module")
def told(app: AppProcess, spoken: list[Recording]) -> Told:
    """Both calls at once."""
    told = Told()

    async def call_both() -> None:
        await asyncio.gather(
            _call_as_page(app, script_of(spoken), told), _call_as_moshi(app, script_of(spoken), told)
        )

    asyncio.run(call_both())
    return told


def script_of(spoken: list[Recording]) -> Samples:
    """All of it, with pauses; 24 kHz, whole frames."""
    parts = [_silence(GREETED_SEC)]
    for each in spoken:
        parts += [each.samples, _silence(PAUSE_SEC)]
    return pad_to_frames(np.concatenate([*parts, _silence(TAIL_SEC)]))


def starts_of(spoken: list[Recording]) -> list[float]:
    """When each begins, counted from the first."""
    lengths = [len(each.samples) / SAMPLE_RATE_HZ + PAUSE_SEC for each in spoken]
    return [sum(lengths[:number]) for number in range(len(spoken))]


def _silence(sec: float) -> Samples:
    return np.zeros(round(sec * SAMPLE_RATE_HZ), dtype=np.float32)


async def _call_as_page(app: AppProcess, script: Samples, told: Told) -> None:
    from tests.support.clients.browser import PACKET_SAMPLES, RATE_HZ, BrowserCall

    async with httpx.AsyncClient(base_url=app.url, timeout=30) as http:
        page = Page(http, {"record": True})
        await page.open()
        finished = asyncio.Event()
        say = _microphone(
            _resampled(script, RATE_HZ), PACKET_SAMPLES, lambda: call.facts.get("phase") == "live", finished
        )
        call = BrowserCall(page, say, lambda arrived_at, sound: None)
        assert await call.begin() is None
        await finished.wait()
        told.live = [call.lines[n] for n in sorted(call.lines)]
        call.send(type="bye")
        await call.over.wait()
        call_id = (await page.facts(call.id))["call_id"]
        told.record = (await http.get(f"/calls/{call_id}")).raise_for_status().json()
        for kind in ("txt", "srt", "vtt", "json"):
            told.files[kind] = (await http.get(told.record["files"][kind])).raise_for_status().text
        await call.close()


def _resampled(script: Samples, rate_hz: int) -> Samples:
    return np.asarray(soxr.resample(script, SAMPLE_RATE_HZ, rate_hz), dtype=np.float32)


def _microphone(
    sound: Samples, packet_samples: int, is_live: Callable[[], bool], finished: asyncio.Event
) -> Callable[[], Samples]:
    """Says ``sound`` once the call is live, and is silent before and after."""
    position = 0

    def say() -> Samples:
        nonlocal position
        piece = sound[position : position + packet_samples]
        if not is_live():
            return np.zeros(packet_samples, dtype=np.float32)
        position += packet_samples
        if len(piece) < packet_samples:
            finished.set()
        return np.concatenate([piece, np.zeros(packet_samples - len(piece), dtype=np.float32)])

    return say


async def _call_as_moshi(app: AppProcess, script: Samples, told: Told) -> None:
    async with chat(app.url, {"captions": "1"}) as client:
        await client.until(lambda: client.ready)
        frames = len(script) // FRAME_SAMPLES
        client.say(script)
        await client.until(lambda: len(client.loudness) >= frames, within_sec=120)
        told.moshi = {state["caller"]["n"]: state["caller"] for state in client.states if "caller" in state}


def words_of(lines: list[dict[str, Any]], who: str = "who") -> str:
    return " ".join(line["text"] for line in lines if line[who] == "caller")


def wrong(spoken: list[Recording], heard: str) -> float:
    return word_error_rate([" ".join(each.words for each in spoken)], [heard])


def test_the_words_of_recorded_speech_come_through_webrtc(told: Told, spoken: list[Recording]):
    heard = words_of(told.record["lines"])
    print(f"Words wrong over WebRTC: {100 * wrong(spoken, heard):.1f} %. Heard: {heard}")
    assert wrong(spoken, heard) < MOST_WRONG


def test_they_were_shown_in_the_call_already(told: Told, spoken: list[Recording]):
    assert wrong(spoken, words_of(told.live)) < MOST_WRONG


def test_each_stands_where_it_was_said_between_what_the_assistant_says(told: Told, spoken: list[Recording]):
    lines = told.record["lines"]
    callers = [line for line in lines if line["who"] == "caller"]
    assert len(callers) == len(spoken)
    first = callers[0]["start_sec"]
    assert [line["start_sec"] - first for line in callers] == pytest.approx(starts_of(spoken), abs=NEAR_SEC)
    for line, each in zip(callers, spoken, strict=True):
        assert line["end_sec"] - line["start_sec"] == pytest.approx(
            len(each.samples) / SAMPLE_RATE_HZ, abs=2 * NEAR_SEC
        )
        assert word_error_rate([each.words], [line["text"]]) < 0.3
    assert lines == sorted(lines, key=lambda line: line["start_sec"])
    assert {line["who"] for line in lines} == {"assistant", "caller"}
    assert [line["who"] for line in lines][:2] == ["assistant", "caller"]


def test_every_file_has_both_speakers_and_the_same_times(told: Told):
    callers = [line for line in told.record["lines"] if line["who"] == "caller"]
    data = httpx.Response(200, text=told.files["json"]).json()
    assert [(d["start_sec"], d["text"]) for d in data if d["speaker"] == "caller"] == [
        (line["start_sec"], line["text"]) for line in callers
    ]
    assert {each["speaker"] for each in data} == {"assistant", "caller"}
    for kind, mark, comma in (("srt", "Caller: ", ","), ("vtt", "<v Caller>", ".")):
        cues = re.findall(rf"(\S+) --> \S+\n{re.escape(mark)}(.+)", told.files[kind])
        assert [words for _, words in cues] == [line["text"] for line in callers]
        assert [_sec(time.replace(comma, ".")) for time, _ in cues] == pytest.approx(
            [line["start_sec"] for line in callers], abs=0.01
        )
    said = re.findall(r"^\[(\S+)\] Caller: (.+)$", told.files["txt"], re.M)
    assert [words for _, words in said] == [line["text"] for line in callers]
    assert [_sec(f"00:{time}") for time, _ in said] == pytest.approx(
        [int(line["start_sec"]) for line in callers], abs=1
    )


def _sec(clock: str) -> float:
    hours, minutes, seconds = clock.split(":")
    return 3600 * int(hours) + 60 * int(minutes) + float(seconds)


def test_a_moshi_client_that_asks_is_told_the_words_and_their_times(told: Told, spoken: list[Recording]):
    lines = [told.moshi[n] for n in sorted(told.moshi)]
    heard = " ".join(line["text"] for line in lines)
    print(f"Words wrong over the websocket: {100 * wrong(spoken, heard):.1f} %")
    assert wrong(spoken, heard) < MOST_WRONG
    first = lines[0]["start_sec"]
    assert [line["start_sec"] - first for line in lines] == pytest.approx(starts_of(spoken), abs=NEAR_SEC)


def test_a_clip_brings_the_words_of_both(app: AppProcess, spoken: list[Recording], tmp_path: Any):
    clip = tmp_path / "clip.wav"
    soundfile.write(clip, script_of(spoken), SAMPLE_RATE_HZ)
    client = Client(app.url, verbose=False)
    _, lines = client.predict(audio=handle_file(str(clip)), api_name="/converse")
    assert wrong(spoken, words_of(lines, "speaker")) < MOST_WRONG
    starts = [line["start_sec"] for line in lines if line["speaker"] == "caller"]
    assert starts == pytest.approx([GREETED_SEC + sec for sec in starts_of(spoken)], abs=NEAR_SEC)
    assert lines == sorted(lines, key=lambda line: line["start_sec"])
    assert {line["speaker"] for line in lines} == {"assistant", "caller"}
