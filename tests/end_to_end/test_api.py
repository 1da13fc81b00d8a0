"""The API as programs use it: the real ``gradio_client`` against the app as a process, and plain HTTP."""

import re
import wave
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, cast

import httpx
import numpy as np
import pytest
import soundfile
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError

from personaplex_ui.echo.sentences import GREETING
from tests.end_to_end.app_process import AppProcess, running_app

SPEECH_SEC = 2.0


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AppProcess]:
    with running_app(tmp_path_factory.mktemp("app"), MAX_CALLS="1", MAX_UPLOAD_MB="8") as app:
        yield app


@pytest.fixture(scope="module")
def client(app: AppProcess, tmp_path_factory: pytest.TempPathFactory) -> Client:
    return Client(app.url, verbose=False, download_files=str(tmp_path_factory.mktemp("downloads")))


@pytest.fixture(autouse=True)
def no_line_is_lost(app: AppProcess) -> Iterator[None]:
    yield
    app.wait_for_lines(1)


def clip(path: Path, sec: float = 14.0, rate_hz: int = 24_000, channels: int = 1) -> Path:
    """Quiet for 7 s, then a tone of 300 Hz for 2 s, then quiet."""
    time = np.arange(int(sec * rate_hz)) / rate_hz
    speech = 0.2 * np.sin(2 * np.pi * 300 * time) * ((time >= 7) & (time < 7 + SPEECH_SEC))
    soundfile.write(path, np.repeat(speech[:, None], channels, axis=1), rate_hz)
    return path


def converse(client: Client, path: Path, **values: Any) -> tuple[str, list[dict[str, Any]]]:
    return client.predict(handle_file(str(path)), **values, api_name="/converse")


def test_only_the_three_endpoints_are_seen(client: Client):
    seen: Any = cast(Any, client).view_api(return_format="dict", print_info=False)
    assert set(seen["named_endpoints"]) == {"/voices", "/presets", "/converse"}
    assert seen["unnamed_endpoints"] == {}


def test_each_endpoint_has_a_manual(client: Client):
    manual: Any = cast(Any, client).view_api(return_format="str", print_info=False)
    for name in ("voice", "text_prompt", "text_temperature", "audio_top_k", "seed"):
        assert re.search(rf"\b{name}\b", manual)


def test_voices_and_presets(client: Client):
    voices = client.predict(api_name="/voices")
    assert len(voices) == 18
    assert voices[0] == {"name": "NATF0", "group": "Natural female", "label": "Natural female 0"}
    presets = client.predict(api_name="/presets")
    assert {"title", "group", "text_prompt"} == set(presets[0])


def test_a_conversation_gives_sound_of_equal_length_and_text(client: Client, tmp_path: Path):
    path = clip(tmp_path / "question.wav")
    answer, lines = converse(client, path, voice="NATM1", text_prompt="Be kind.", seed=3)
    sound, rate_hz = soundfile.read(answer)
    assert (rate_hz, sound.shape) == (24_000, (14 * 24_000,))
    assert lines[0]["text"] == GREETING
    assert "dBFS" in lines[1]["text"]
    assert lines[1]["start_sec"] >= 7 + SPEECH_SEC
    said_back = sound[int(9.5 * 24_000) : int(11.5 * 24_000)]
    loudest_hz = np.argmax(np.abs(np.fft.rfft(said_back))) * 24_000 / len(said_back)
    assert loudest_hz == pytest.approx(300 * 2 ** (-3 / 12), abs=2)


def test_a_seed_gives_the_same_answer_again(client: Client, tmp_path: Path):
    path = clip(tmp_path / "question.wav")
    first, again = (converse(client, path, seed=8) for _ in range(2))
    assert first[1] == again[1]
    assert np.array_equal(soundfile.read(first[0])[0], soundfile.read(again[0])[0])


@pytest.mark.parametrize(("rate_hz", "channels"), [(96_000, 2), (8_000, 1), (48_000, 8)])
def test_any_rate_and_number_of_channels(client: Client, tmp_path: Path, rate_hz: int, channels: int):
    answer, _ = converse(client, clip(tmp_path / "odd.wav", 2.0, rate_hz, channels))
    assert soundfile.info(answer).frames == 2 * 24_000


def test_clips_wait_for_a_line_and_all_are_served(client: Client, tmp_path: Path):
    path = clip(tmp_path / "question.wav")
    with ThreadPoolExecutor(3) as pool:
        waiting = [pool.submit(converse, client, path, seed=1) for _ in range(3)]
        answers = [future.result() for future in waiting]
    assert [lines for _, lines in answers] == [answers[0][1]] * 3


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"voice": "NOBODY"}, "no voice"),
        ({"voice": "../../etc/passwd"}, "no voice"),
        ({"text_prompt": "x" * 2001}, "2,001 characters"),
        ({"text_prompt": "bell\x07"}, "control characters"),
        ({"seed": "abc"}, "whole number"),
        ({"text_temperature": 0}, "above 0"),
        ({"audio_temperature": -1}, "above 0"),
        ({"text_top_k": 0}, "from 1 to"),
        ({"audio_top_k": 1.5}, "whole number"),
    ],
)
def test_bad_values_get_a_sentence(client: Client, tmp_path: Path, values: dict[str, Any], words: str):
    with pytest.raises(AppError, match=re.escape(words)):
        converse(client, clip(tmp_path / "question.wav", 1.0), **values)


def test_bad_files_get_a_sentence(client: Client, tmp_path: Path):
    text = tmp_path / "text.wav"
    text.write_text("This is no sound at all. " * 100)
    empty = tmp_path / "empty.wav"
    soundfile.write(empty, np.zeros(0), 24_000)
    long = tmp_path / "long.wav"
    with wave.open(str(long), "wb") as file:
        file.setparams((1, 1, 1_000, 0, "NONE", ""))
        file.writeframes(bytes([128]) * 7_200 * 1_000)
    for path, words in ((text, "audio"), (empty, "sound"), (long, "minutes")):
        with pytest.raises(AppError) as caught:
            converse(client, path)
        assert words in str(caught.value).lower(), caught.value
        assert "Traceback" not in str(caught.value)


def test_no_file_at_all_gets_a_sentence(client: Client):
    with pytest.raises(AppError, match="no audio file"):
        client.predict(None, api_name="/converse")


def test_an_upload_over_the_limit_is_refused(app: AppProcess):
    response = httpx.post(f"{app.url}/gradio_api/upload", files={"files": ("big.wav", bytes(9 << 20))})
    assert response.status_code == 413


def test_health_and_voices_over_http(app: AppProcess):
    health: dict[str, object] = httpx.get(f"{app.url}/health").json()
    assert health["status"] == "healthy"
    assert {"model", "device", "gpu_memory_allocated_mb", "lines", "lines_free", "waiting"} < set(health)
    voices = httpx.get(f"{app.url}/voices").json()
    assert voices["default"] == "NATF2.pt"
    assert len(voices["voices"]) == 18
    assert httpx.get(f"{app.url}/docs").status_code == 200


@pytest.mark.parametrize("call_id", ["x", "..%2f..%2fetc%2fpasswd", "A" * 22, "%00" * 22, "a" * 5_000])
def test_hostile_ids_find_nothing(app: AppProcess, call_id: str):
    for file in ("recording.wav", "transcript.json", "transcript.exe"):
        response = httpx.get(f"{app.url}/calls/{call_id}/{file}")
        assert response.status_code == 404
