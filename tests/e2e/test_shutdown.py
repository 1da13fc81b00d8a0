"""How the app ends in the middle of a call: by SIGTERM with words, by kill -9 with a recording to repair."""

import io
import signal
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import soundfile

from tests.support.app_process import AppProcess, wait_until
from tests.support.clients.browser_process import GOODBYE, LIVE, CallerProcess

RECORDED_BEFORE_SEC = 2.0

pytestmark = pytest.mark.timeout(120)


@pytest.fixture
def apps() -> Iterator[list[AppProcess]]:
    """To be filled with what must not outlive the test."""
    started: list[AppProcess] = []
    yield started
    for app in started:
        app.close()


def start(apps: list[AppProcess], folder: Path) -> AppProcess:
    apps.append(AppProcess(folder))
    apps[-1].wait_until_ready()
    return apps[-1]


def call_and_record(app: AppProcess) -> CallerProcess:
    """A call that is live, with two seconds of its recording on the disk."""
    caller = CallerProcess(app.url)
    caller.start()
    caller.wait_for(LIVE)
    seconds = 4 * 24_000 * RECORDED_BEFORE_SEC
    wait_until(
        lambda: any(part.stat().st_size > seconds for part in app.recordings.glob("*.part.wav")),
        20,
        "two seconds are recorded",
    )
    return caller


def check_recording(wav: bytes) -> float:
    """Two channels of a valid WAV, both with sound; returns its length."""
    sound, rate_hz = soundfile.read(io.BytesIO(wav), dtype="float32")
    assert (rate_hz, sound.shape[1]) == (24_000, 2)
    assert abs(sound).max(axis=0).min() > 0.05
    return len(sound) / rate_hz


def test_sigterm_ends_the_call_with_words_and_closes_its_recording(tmp_path: Path, apps: list[AppProcess]):
    app = start(apps, tmp_path)
    caller = call_and_record(app)
    try:
        assert app.terminate() in (0, -signal.SIGTERM)
        assert "shutting down" in caller.wait_for(GOODBYE)[0].text
    finally:
        caller.close()
    assert list(app.recordings.glob("*.part.wav")) == []
    (recording,) = app.recordings.glob("call-*.wav")
    call = app.kept_call(recording.stem.removeprefix("call-"))
    assert check_recording(recording.read_bytes()) == pytest.approx(call["duration_sec"], abs=0.2)
    assert "shutting down" in call["reason"]
    assert call["lines"]
    assert app.exceptions() == []


def test_after_kill_9_the_recording_is_repaired_and_still_its_callers(tmp_path: Path, apps: list[AppProcess]):
    app = start(apps, tmp_path)
    caller = call_and_record(app)
    try:
        cookies = caller.owner_cookie()
        app.kill()
    finally:
        caller.close()
    (part,) = app.recordings.glob("*.part.wav")
    call_id = part.name.removeprefix("call-").removesuffix(".part.wav")

    again = start(apps, tmp_path)
    assert list(app.recordings.glob("*.part.wav")) == []
    address = f"{again.url}/calls/{call_id}/recording.wav"
    assert httpx.get(address).status_code == 404
    answer = httpx.get(address, cookies=cookies)
    assert answer.status_code == 200
    assert check_recording(answer.content) > RECORDED_BEFORE_SEC - 0.2
    page = httpx.get(f"{again.url}/calls/{call_id}/transcript.json", cookies=cookies)
    assert page.json() == []
    assert again.exceptions() == []
