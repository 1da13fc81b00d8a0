"""The API that takes turns, by the client of its documentation and by others, on the real parts."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import httpx
import numpy as np
import pytest
import soundfile

from personaplex_ui.audio.frames import SAMPLE_RATE_HZ
from personaplex_ui.speech.synthesis.kokoro import KokoroSynthesiser
from tests.support.app_process import ECHO, ROOT, AppProcess, running_app, wait_until
from tests.support.weights import weights_folder

KEY = "a-key-for-machines"
pytestmark = pytest.mark.timeout(240)


@pytest.fixture(scope="module")
def weights() -> Path:
    weights_folder("kokoro")
    return weights_folder("whisper-tiny.en").parent


@pytest.fixture(scope="module")
def app(weights: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[AppProcess]:
    """With an engine that has no such parts itself."""
    variables = {
        **ECHO,
        "SPEECH_WEIGHTS_DIR": str(weights),
        "APP_PASSWORD": "a long password",
        "API_KEY": KEY,
    }
    with running_app(tmp_path_factory.mktemp("app"), **variables) as app:
        yield app


@pytest.fixture(scope="module")
def question(weights: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("question") / "question.flac"
    samples = KokoroSynthesiser.in_folder(weights / "kokoro").synthesise("Is a helmet free?", "VARM2")
    soundfile.write(path, samples, SAMPLE_RATE_HZ)
    return path


def documented_client() -> str:
    (code,) = re.findall(
        r"<!-- A test runs this. -->\n```python\n(.*?)```", (ROOT / "docs/API.md").read_text(), re.S
    )
    return code


def test_the_client_of_the_documentation_runs(app: AppProcess, question: Path, tmp_path: Path):
    ran = subprocess.run(
        [sys.executable, "-c", documented_client(), str(question)],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "BASE_URL": app.url, "API_KEY": KEY},
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr + ran.stdout
    told = ran.stdout.splitlines()
    assert "8" in told[0] or "eight" in told[0]
    assert "helmet" in told[1].lower()
    assert "free" in told[2].lower()
    names = [line.split()[1] for line in told[3:]]
    assert (names[0], names[-1], {*names[1:-1]}) == ("user_text", "done", {"sentence"})
    assert "free" in "".join(told[4:]).lower()
    sound, rate_hz = soundfile.read(tmp_path / "answer.wav")
    with av.open(str(tmp_path / "answer.mp4")) as video:
        assert video.duration is not None
        assert abs(video.duration / av.time_base - len(sound) / rate_hz) <= 0.04
    metrics = httpx.get(f"{app.url}/metrics", headers={"Authorization": f"Bearer {KEY}"}).text
    assert 'personaplex_api_requests_total{endpoint="stream",outcome="answered"} 1.0' in metrics


def test_a_client_that_goes_ends_its_work(app: AppProcess, question: Path):
    headers = {"Authorization": f"Bearer {KEY}"}

    def ended() -> bool:
        told = httpx.get(f"{app.url}/metrics", headers=headers).text
        cancelled = 'personaplex_api_requests_total{endpoint="stream",outcome="cancelled"} 1.0' in told
        return cancelled and "personaplex_api_requests_working 0.0" in told

    with (
        question.open("rb") as file,
        httpx.stream(
            "POST",
            f"{app.url}/api/v1/conversation/stream",
            files={"audio": file},
            data={"text_prompt": "You are Alex. " + 20 * "A helmet is free, and a bell is free. "},
            headers=headers,
            timeout=60,
        ) as stream,
    ):
        assert next(stream.iter_lines()) == "event: user_text"
    wait_until(ended, 30, "the request is cancelled")


def test_nobody_comes_in_without_a_key(app: AppProcess, question: Path):
    answer = httpx.post(f"{app.url}/api/v1/chat", json={"message": "Hello"})
    assert answer.status_code == 401


def test_a_recording_without_words_gets_a_sentence(app: AppProcess, tmp_path: Path):
    path = tmp_path / "silence.wav"
    soundfile.write(path, np.zeros(SAMPLE_RATE_HZ, dtype=np.float32), SAMPLE_RATE_HZ)
    headers = {"Authorization": f"Bearer {KEY}"}
    with path.open("rb") as file:
        answer = httpx.post(
            f"{app.url}/api/v1/conversation", files={"audio": file}, headers=headers, timeout=60
        )
    assert (answer.status_code, answer.json()["field"]) == (422, "audio")
    told: list[Any] = []
    with (
        path.open("rb") as file,
        httpx.stream(
            "POST",
            f"{app.url}/api/v1/conversation/stream",
            files={"audio": file},
            headers=headers,
            timeout=60,
        ) as stream,
    ):
        told = [json.loads(line[6:]) for line in stream.iter_lines() if line.startswith("data: ")]
    assert [one["detail"] for one in told] == [answer.json()["detail"]]
