"""What is noted of the engine that answered: enough to notice another one, and no secret."""

from pathlib import Path

import pytest

from personaplex_ui.models.cascade import load as cascade
from personaplex_ui.models.echo.model import EchoModel
from personaplex_ui.offline import engines
from personaplex_ui.offline.folder.arguments import FolderRequest, read_folder_request
from personaplex_ui.offline.folder.engine_settings import settings_of
from personaplex_ui.speech.loading import SpeechParts


def noted(request: FolderRequest) -> dict[str, object]:
    return dict(settings_of(request, engines.voice_of(request), "Be kind."))


def test_personaplex_with_all_that_decides_what_it_says():
    request = read_folder_request(["DIR", "--greedy", "--quantize", "int8", "--topk-text", "9"])
    assert noted(request) == {
        "engine": "personaplex",
        "voice": "NATF2",
        "role": "Be kind.",
        "seed": None,
        "greedy": True,
        "text_temperature": 0.7,
        "audio_temperature": 0.8,
        "text_top_k": 9,
        "audio_top_k": 250,
        "model": "nvidia/personaplex-7b-v1",
        "revision": None,
        "dtype": None,
        "quantize": "int8",
        "forget_persona": False,
    }


def test_a_voice_from_a_file_is_noted_with_its_content(tmp_path: Path):
    path = tmp_path / "mine.pt"
    told: set[object] = set()
    for content in (b"one", b"two"):
        path.write_bytes(content)
        told.add(noted(read_folder_request(["DIR", "--voice-prompt", str(path)]))["voice"])
    assert len(told) == 2
    assert all(str(voice).startswith("mine.pt ") for voice in told)
    assert str(tmp_path) not in str(told)


def test_a_cascade_with_its_servers_but_without_addresses_and_keys(monkeypatch: pytest.MonkeyPatch):
    for name, value in {
        "LLM_BASE_URL": "https://llm.example.org/v1",
        "LLM_API_KEY": "key",
        "LLM_MODEL": "some-model",
        "TTS_BASE_URL": "https://tts.example.org/v1",
        "TTS_MODEL": "a-voice-model",
        "TTS_VOICE": "somebody",
    }.items():
        monkeypatch.setenv(name, value)
    request = read_folder_request(["DIR", "--engine", "cascade", "--seed", "3", "--voice-prompt", "NATM1.pt"])
    assert noted(request) == {
        "engine": "cascade",
        "voice": "NATM1",
        "role": "Be kind.",
        "seed": 3,
        "llm_model": "some-model",
        "tts_model": "a-voice-model",
        "tts_voice": "somebody",
    }
    made: list[int] = []

    def load_cascade(speech: SpeechParts, slots: int, report: object) -> EchoModel:
        made.append(slots)
        return EchoModel(slots)

    monkeypatch.setattr(cascade, "load_cascade", load_cascade)
    assert engines.load(request, engines.voice_of(request), 5).slots == 5
    assert made == [5]


def test_the_role_that_is_asked_for_may_be_empty():
    assert read_folder_request(["DIR"]).asked_role is None
    assert read_folder_request(["DIR", "--text-prompt", ""]).asked_role == ""
    assert read_folder_request(["DIR", "--text-prompt", " Be brief. "]).asked_role == "Be brief."
    assert read_folder_request(["DIR"]).text_prompt == "You enjoy having a good conversation."
