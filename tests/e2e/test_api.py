"""The API as programs use it: gradio_client against the app in another process, and plain HTTP.

There is one slot, so that a slot that is lost shows at once.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import httpx
import numpy as np
import pytest
import soundfile
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError

from personaplex_ui.audio.frames import SAMPLE_RATE_HZ, Samples
from personaplex_ui.audio.levels import rms_dbfs
from personaplex_ui.models.echo.sentences import GREETING
from personaplex_ui.ui.presets import PRESETS
from personaplex_ui.voices.catalogue import CATALOGUE_PATH, load_catalogue
from tests.support.app_process import ROOT, AppProcess, wait_until
from tests.support.clients.browser_process import LIVE, CallerProcess

ASK = """
import sys
from gradio_client import Client, handle_file
Client(sys.argv[1], verbose=False).predict(audio=handle_file(sys.argv[2]), api_name="/converse")
"""
MAX_UPLOAD_MB = 2
GREETED_SEC = 6.0
SPOKEN_SEC = 1.5
ANSWERED_SEC = 3.5

VARIABLES = {"MAX_CALLS": "1", "MAX_UPLOAD_MB": str(MAX_UPLOAD_MB)}

pytestmark = pytest.mark.timeout(120)


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Silence for the greeting, a tone, silence for the answer; at another rate than ours."""
    rate_hz = 16_000
    time_sec = np.arange(int(SPOKEN_SEC * rate_hz)) / rate_hz
    tone = 0.3 * np.sin(2 * np.pi * 300 * time_sec)
    parts = [np.zeros(int(GREETED_SEC * rate_hz)), tone, np.zeros(int(ANSWERED_SEC * rate_hz))]
    path = tmp_path_factory.mktemp("clip") / "clip.flac"
    soundfile.write(path, np.concatenate(parts), rate_hz)
    return path


@pytest.fixture
def holder(app: AppProcess) -> Iterator[CallerProcess]:
    """Somebody who has the only slot."""
    caller = CallerProcess(app.url)
    caller.start()
    caller.wait_for(LIVE)
    yield caller
    caller.close()
    app.wait_for_slots(1)


def samples_of(path: str) -> Samples:
    sound, rate_hz = soundfile.read(path, dtype="float32")
    samples = np.asarray(sound, dtype=np.float32)
    assert rate_hz == SAMPLE_RATE_HZ
    assert samples.ndim == 1
    return samples


def test_three_endpoints_are_listed_and_nothing_else(client: Client):
    listed: Any = cast(Any, client).view_api(return_format="dict", print_info=False)
    assert set(listed["named_endpoints"]) == {"/voices", "/presets", "/converse"}
    assert listed["unnamed_endpoints"] == {}
    assert all(endpoint["description"] for endpoint in listed["named_endpoints"].values())


def test_voices_and_presets(client: Client, app: AppProcess):
    names = [voice.name for voice in load_catalogue(CATALOGUE_PATH)]
    voices: Any = client.predict(api_name="/voices")
    assert [voice["name"] for voice in voices] == names
    presets: Any = client.predict(api_name="/presets")
    assert [preset["text_prompt"] for preset in presets] == [preset.text_prompt for preset in PRESETS]
    listed = httpx.get(f"{app.url}/voices").json()
    assert listed == {"voices": [f"{name}.pt" for name in names], "default": "NATF2.pt"}


def test_a_conversation_answers_with_sound_of_equal_length_and_a_transcript(client: Client, clip: Path):
    answer: Any = client.predict(audio=handle_file(clip), voice="NATF1.pt", seed=1, api_name="/converse")
    path, transcript = answer
    said = samples_of(path)
    assert len(said) / SAMPLE_RATE_HZ == pytest.approx(GREETED_SEC + SPOKEN_SEC + ANSWERED_SEC, abs=0.001)
    greeting, heard = transcript
    assert greeting["text"] == GREETING
    assert "dBFS" in heard["text"]
    spoken_until = int((GREETED_SEC + SPOKEN_SEC) * SAMPLE_RATE_HZ)
    assert rms_dbfs(said[: 4 * SAMPLE_RATE_HZ]) > -40
    assert rms_dbfs(said[int((GREETED_SEC + 0.3) * SAMPLE_RATE_HZ) : spoken_until]) < -80
    assert rms_dbfs(said[spoken_until:]) > -40
    # The line is where its sound is, on the clock of the clip.
    answer_starts_sec = (spoken_until + np.argmax(np.abs(said[spoken_until:]) > 0.01)) / SAMPLE_RATE_HZ
    assert heard["start_sec"] == pytest.approx(answer_starts_sec, abs=0.5)
    assert heard["end_sec"] <= len(said) / SAMPLE_RATE_HZ + 0.2


def test_the_same_seed_gives_the_same_answer(client: Client, clip: Path):
    answers: Any = [client.predict(audio=handle_file(clip), seed=7, api_name="/converse") for _ in range(2)]
    assert answers[0][1] == answers[1][1]
    assert np.array_equal(samples_of(answers[0][0]), samples_of(answers[1][0]))


def test_a_clip_waits_for_a_slot_and_is_told_its_place(client: Client, clip: Path, holder: CallerProcess):
    job = client.submit(audio=handle_file(clip), api_name="/converse")

    def told() -> str:
        progress = job.status().progress_data
        return str(progress[0].desc) if progress else ""

    wait_until(lambda: told() == "Waiting: place 1 of 1", 20, "the clip is told its place")
    assert not job.done()
    holder.hang_up()
    answer: Any = job.result(timeout=60)
    assert answer[1][0]["text"] == GREETING


def test_a_program_that_is_killed_while_it_waits_leaves_the_queue_at_once(
    app: AppProcess, clip: Path, holder: CallerProcess, tmp_path: Path
):
    program = subprocess.Popen(
        [sys.executable, "-c", ASK, app.url, str(clip)],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    try:
        wait_until(lambda: app.waiting() == 1, 40, "the program waits for a slot")
    finally:
        program.kill()
        program.wait()
    wait_until(lambda: app.waiting() == 0, 20, "its place is free")
    assert app.free_slots() == 0, "the call that is on goes on"
    holder.hang_up()


# Bad input ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "values", "sentence"),
    [
        (None, {}, "no audio file"),
        (b"This is a letter.", {}, "cannot be read as audio"),
        (b"", {}, "empty"),
        (None, {"voice": "../../etc/passwd"}, "no voice"),
    ],
    ids=["no file", "a letter", "no bytes", "no voice"],
)
def test_what_cannot_be_used_is_refused_in_words_and_takes_no_slot(
    client: Client,
    app: AppProcess,
    clip: Path,
    tmp_path: Path,
    content: bytes | None,
    values: dict[str, Any],
    sentence: str,
):
    path = clip if values else tmp_path / "clip.wav"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(AppError, match=sentence):
        client.predict(audio=handle_file(path) if path.exists() else None, **values, api_name="/converse")
    assert app.free_slots() == 1


def test_an_upload_that_is_too_big_is_refused(app: AppProcess):
    sound = b"RIFF" + bytes(MAX_UPLOAD_MB * 2**20)
    answer = httpx.post(f"{app.url}/gradio_api/upload", files={"files": ("clip.wav", sound)}, timeout=30)
    assert answer.status_code == 413


# Plain HTTP -----------------------------------------------------------------------------------------


def test_the_routes_are_documented(app: AppProcess):
    assert "swagger" in httpx.get(f"{app.url}/docs").text.lower()
    paths = httpx.get(f"{app.url}/openapi.json").json()["paths"]
    assert {"/health", "/voices", "/calls/{call_id}/recording.wav"} <= set(paths)
