"""What the doctor looks at, on this machine: real files, sockets and programs."""

import os
import socket
from pathlib import Path

import pytest

from personaplex_ui.app import services
from personaplex_ui.channels.twilio.account import PhoneAccount
from personaplex_ui.channels.twilio.client import TwilioClient
from personaplex_ui.config.settings import Settings
from personaplex_ui.doctor import probes as module
from personaplex_ui.doctor.machine import Gpu
from personaplex_ui.doctor.probes import NO_RELAY, Probes
from personaplex_ui.doctor.services import TwilioFacts
from personaplex_ui.drain.own_server import OF_A_CAPACITY
from personaplex_ui.errors import PhoneUnavailable
from personaplex_ui.speech.loading import Endpoint
from personaplex_ui.speech.server_check import ServerState
from personaplex_ui.speech.weights.errors import WeightsMissing
from tests.support.told_capacity import answering

PROBES = Probes()


def test_the_packages_of_this_checkout_are_those_it_states() -> None:
    requirements = PROBES.requirements()
    assert any(requirement.startswith("gradio") for requirement in requirements)
    assert PROBES.version_of("gradio") == "5.50.0"
    assert PROBES.version_of("no-such-package-anywhere") is None


@pytest.mark.parametrize(
    ("says", "found"),
    [
        ("NVIDIA L4, 550.54.15\nNVIDIA RTX 6000, Ada, 550.54.15", ["NVIDIA L4", "NVIDIA RTX 6000, Ada"]),
        ("NVIDIA-SMI has failed", []),
        (None, []),
    ],
)
def test_gpus_are_those_of_the_driver(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, says: str | None, found: list[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    if says is not None:
        program = tmp_path / "nvidia-smi"
        program.write_text(f'#!/bin/sh\necho "{says}"\n')
        program.chmod(0o755)
    assert PROBES.gpus() == [Gpu(name, "550.54.15") for name in found]


def test_pytorch_is_asked_in_another_process() -> None:
    tiny = Path(__file__).parents[2] / "data/tiny/config.json"
    facts = PROBES.torch(Settings.from_mapping({"DEVICE": "cpu"}), str(tiny))
    assert facts.version.startswith("2.")
    assert 1_000_000_000 < facts.host_needed < 3_000_000_000
    assert facts.trouble == ""


def test_a_pytorch_that_breaks_or_hangs_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\necho 'Traceback' >&2; echo 'OSError: libcudart is missing' >&2; exit 1\n")
    python.chmod(0o755)
    monkeypatch.setattr(module.sys, "executable", str(python))
    assert "OSError: libcudart is missing. Install" in PROBES.torch(Settings(), "").trouble
    python.write_text("#!/bin/sh\nexec sleep 60\n")
    monkeypatch.setattr(module, "TORCH_WITHIN_SEC", 0.1)
    assert "does not answer" in PROBES.torch(Settings(), "").trouble


def test_memory_is_no_more_than_there_is() -> None:
    available = PROBES.available_memory()
    assert available is None or 0 < available <= os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def test_a_folder_is_written_or_the_reason_is_told(tmp_path: Path) -> None:
    why_not, free = PROBES.written_folder(tmp_path / "new" / "one")
    assert (why_not, free > 0) == ("", True)
    (tmp_path / "file").touch()
    assert PROBES.written_folder(tmp_path / "file") == ("File exists", 0)


def test_voices_are_counted(tmp_path: Path) -> None:
    assert PROBES.voices(None) is None
    assert PROBES.voices(tmp_path / "none") is None
    for name in ("ann.wav", "bob.pt", "notes.txt"):
        (tmp_path / name).touch()
    assert PROBES.voices(tmp_path) == 2


def test_a_port_in_use_is_told_and_a_free_one_stays_free() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        assert PROBES.port_refusal("127.0.0.1", port).startswith(f"Port {port} is in use")
    assert PROBES.port_refusal("127.0.0.1", port) == ""
    assert PROBES.port_refusal("127.0.0.1", port) == ""


def test_what_has_the_port_is_this_app_or_another(monkeypatch: pytest.MonkeyPatch) -> None:
    capacity = dict.fromkeys(OF_A_CAPACITY, 0) | {"status": "healthy"}
    with answering(capacity) as port:
        monkeypatch.setattr(module, "is_this_app", os.getpid().__eq__)
        assert PROBES.own_server("0.0.0.0", port) == "healthy"
        monkeypatch.setattr(module, "is_this_app", os.getpid().__ne__)
        assert PROBES.own_server("0.0.0.0", port) == ""
    with answering({"status": "healthy"}) as port:
        monkeypatch.setattr(module, "is_this_app", os.getpid().__eq__)
        assert PROBES.own_server("127.0.0.1", port) == ""


def test_a_turn_server_that_does_not_answer_relays_nothing() -> None:
    settings = Settings.from_mapping(
        {
            "TURN_URLS": "turn:127.0.0.1:9?transport=tcp",
            "TURN_USERNAME": "me",
            "TURN_CREDENTIAL": "a-secret",
        }
    )
    assert PROBES.relay_trouble(settings) == NO_RELAY
    assert "HF_TOKEN" in PROBES.relay_trouble(Settings.from_mapping({"SPACE_ID": "me/talk"}))


def test_what_keeps_the_app_from_starting_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def settings(**given: str) -> Settings:
        return Settings.from_mapping({"RECORDINGS_DIR": str(tmp_path), **given})

    assert PROBES.start(settings()) == ("", [])
    assert "DEFAULT_VOICE_PROMPT" in PROBES.start(settings(DEFAULT_VOICE_PROMPT="nobody"))[0]
    doubtful = settings(APP_PASSWORD="brief", API_KEY="tiny", STATIC_PATH=str(tmp_path / "none"))
    refusal, warnings = PROBES.start(doubtful)
    assert refusal == ""
    for warning, named in zip(warnings, ("APP_PASSWORD is short", "API_KEY is short", "none"), strict=True):
        assert named in warning
    assert not any(secret in " ".join(warnings) for secret in ("brief", "tiny"))

    def fail(settings: Settings) -> None:
        raise ImportError("libsndfile is not there")

    monkeypatch.setattr(services, "Services", fail)
    assert "libsndfile is not there. Install" in PROBES.start(settings())[0]


def test_what_twilio_says_is_passed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    account = PhoneAccount("AC" + "0a" * 16, "a-token", "+15550001111")

    async def refuse(self: TwilioClient) -> tuple[str, str | None]:
        raise PhoneUnavailable("Twilio refused our keys.")

    async def tell(self: TwilioClient) -> tuple[str, str | None]:
        return "active", "https://example.org"

    monkeypatch.setattr(TwilioClient, "look", refuse)
    assert PROBES.twilio(account) == TwilioFacts("Twilio refused our keys.")
    monkeypatch.setattr(TwilioClient, "look", tell)
    assert PROBES.twilio(account) == TwilioFacts("", "active", "https://example.org")


def test_of_weights_only_those_are_looked_for_that_no_server_stands_in_for(tmp_path: Path) -> None:
    tts = {"TTS_BASE_URL": "http://127.0.0.1:9/v1", "TTS_MODEL": "a", "TTS_VOICE": "b"}
    settings = Settings.from_mapping({"SPEECH_WEIGHTS_DIR": str(tmp_path), **tts})
    assert PROBES.speech_weights(settings, ask=False).missing == ("whisper-tiny.en",)


def test_a_user_without_a_home_is_told_to_name_a_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_home() -> Path:
        raise WeightsMissing("This user has no home folder. Name a folder for the weights.")

    monkeypatch.setattr(module, "default_folder", no_home)
    found = PROBES.speech_weights(Settings(), ask=False)
    assert found.missing == ("whisper-tiny.en", "kokoro")
    assert "no home folder" in found.trouble


def test_a_server_that_is_not_there_is_found_out() -> None:
    endpoint = Endpoint("http://127.0.0.1:9/v1", "a-key", "small")
    assert PROBES.speech_server(endpoint).state is ServerState.UNREACHABLE
