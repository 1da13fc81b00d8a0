"""What is refused at the start, each in a sentence that names its variable, and what the log warns of."""

import json
import os
from pathlib import Path

import pytest

from personaplex_ui.app.services import Services
from personaplex_ui.app.startup_checks import warn_of_misfits
from personaplex_ui.config.settings import Settings
from personaplex_ui.engine.speech_model import Persona, PromptSize, SpeechModel
from personaplex_ui.errors import InvalidInput, SettingsError
from tests.support.fake_model import FakeModel
from tests.support.page_session import LIBRARIES_WARN, open_app
from tests.support.running import until

TINY = Path(__file__).parents[1] / "data/tiny"
LONG_ROLE = "You are a very kind teacher. " * 20
SHOP, BANK = "+15550009876", "+493012345678"

pytestmark = LIBRARIES_WARN


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()


def built(**variables: str) -> Services:
    return Services(Settings.from_mapping({"ENGINE": "echo", **variables}))


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("DEFAULT_TEXT_PROMPT", "x" * 2_001, "DEFAULT_TEXT_PROMPT: .*2,001 characters; at most 2,000 fit"),
        ("DEFAULT_TEXT_PROMPT", "You are\x00 kind.", "DEFAULT_TEXT_PROMPT: .*control characters"),
        ("DEFAULT_VOICE_PROMPT", "nobody", "DEFAULT_VOICE_PROMPT is 'nobody', .* Use one of NATF0,"),
        ("RECORDINGS_DIR", "file", "RECORDINGS_DIR is 'file', but nothing .* Set it to a folder"),
        ("RECORDINGS_DIR", "file/in", "RECORDINGS_DIR is 'file/in', but nothing .* Set it to a folder"),
        ("VOICES_DIR", "file", "VOICES_DIR is 'file', which is not a folder"),
        ("DOCUMENTS_DIR", "file", "DOCUMENTS_DIR is 'file', which is not a folder"),
        ("ASK_FILLER", "Wait!!!", "ASK_FILLER contains one of ASK_PHRASES"),
    ],
)
def test_what_no_call_could_use_is_refused(name: str, value: str, words: str) -> None:
    with pytest.raises(SettingsError, match=f"^{words}") as refused:
        built(**{name: value})
    assert "xxx" not in str(refused.value)


def test_tools_need_a_language_model_and_a_file_that_can_be_used(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"^TOOLS_FILE needs LLM_BASE_URL"):
        built(TOOLS_FILE="tools.json")
    llm = {"LLM_BASE_URL": "http://127.0.0.1:9/v1", "LLM_MODEL": "small", "TOOL_KEY": "hunter2"}
    with pytest.raises(SettingsError, match=r"^TOOLS_FILE is 'tools.json', which cannot be read"):
        built(TOOLS_FILE="tools.json", **llm)
    tool = {"name": "time", "description": "The time.", "url": "https://a.example/"}
    (tmp_path / "tools.json").write_text(json.dumps([{**tool, "headers": {"X-Key": "${TOOL_KEY}"}}]))
    services = built(TOOLS_FILE="tools.json", **llm)
    assert services.speech.replier().remote
    assert "hunter2" not in repr(services.settings)


def test_a_recordings_folder_that_cannot_be_written_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def access(path: object, mode: int) -> bool:
        return False

    monkeypatch.setattr(os, "access", access)  # root may write everywhere
    with pytest.raises(SettingsError, match=r"^RECORDINGS_DIR is .* Permission denied"):
        built(RECORDINGS_DIR=".")


def test_the_recordings_folder_is_made_for_the_server_alone_and_a_long_role_fits(tmp_path: Path) -> None:
    folder = tmp_path / "far" / "away"
    for _ in range(2):
        built(RECORDINGS_DIR=str(folder), DEFAULT_TEXT_PROMPT="x" * 2_000)
        assert folder.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize(("name", "warned"), [(".", False), ("nowhere", True)])
def test_a_voices_folder_that_is_not_there_is_told_and_an_empty_one_will_do(
    caplog: pytest.LogCaptureFixture, name: str, warned: bool
) -> None:
    built(VOICES_DIR=name)
    assert ("there is no such folder" in caplog.text) is warned


@pytest.mark.parametrize(
    ("variables", "warned"),
    [
        ({}, ""),
        ({"APP_PASSWORD": "1234567"}, "APP_PASSWORD is short enough"),
        ({"APP_PASSWORD": "12345678"}, ""),
        ({"API_KEY": "1" * 15}, "API_KEY is short enough"),
        ({"API_KEY": "1" * 16}, ""),
    ],
)
async def test_a_secret_that_can_be_guessed_is_warned_of(
    variables: dict[str, str], warned: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with built(**variables).running():
        pass
    assert warned in caplog.text
    assert bool(warned) == ("is short enough" in caplog.text)
    assert "1234567" not in caplog.text


# What the model cannot use ---------------------------------------------------------------------------


class ModelOfWords(FakeModel):
    """A role of more than ten words does not fit, and one of the voices cannot be used."""

    def prompt_size(self, persona: Persona) -> PromptSize | None:
        if persona.voice == "NATM1":
            raise InvalidInput("voice", "There is no voice NATM1. Choose another one.")
        return PromptSize(len(persona.text_prompt.split()), 10)


PERSONAS = {
    SHOP: {"text_prompt": LONG_ROLE},
    BANK: {"voice": "NATM1"},
    "+15550001111": {"voice": "NATF1", "text_prompt": "Be kind."},
    "+15550002222": {"announcement": "Welcome!"},
}
UNUSABLE = "cannot be used as the default: The"


@pytest.mark.parametrize(
    ("model", "variables", "warnings"),
    [
        (
            ModelOfWords(),
            {"PHONE_PERSONAS": json.dumps(PERSONAS)},
            [
                "PHONE_PERSONAS: the entry for +15…9876 cannot be used: The role is too long",
                "PHONE_PERSONAS: the entry for +49…5678 cannot be used: There is no voice NATM1.",
            ],
        ),
        (
            ModelOfWords(),
            {"DEFAULT_TEXT_PROMPT": LONG_ROLE, "PHONE_PERSONAS": json.dumps({SHOP: {"announcement": "Hi!"}})},
            [f"DEFAULT_TEXT_PROMPT {UNUSABLE}"],
        ),
        (ModelOfWords(), {"DEFAULT_VOICE_PROMPT": "NATM1"}, [f"DEFAULT_VOICE_PROMPT {UNUSABLE}"]),
        (FakeModel(), {"PHONE_PERSONAS": json.dumps(PERSONAS)}, []),  # it counts no tokens
    ],
)
def test_what_the_model_cannot_use_is_warned_of_once(
    model: SpeechModel, variables: dict[str, str], warnings: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    services = built(**variables)
    warn_of_misfits(model, services.default_persona, services.personas)
    assert len(caplog.messages) == len(warnings)
    assert all(map(str.startswith, caplog.messages, warnings))
    assert "kind teacher" not in caplog.text


async def test_the_warnings_come_when_the_model_is_ready(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    tiny = {"ENGINE": "personaplex", "DEVICE": "cpu", "HF_REPO": str(TINY), "DEFAULT_VOICE_PROMPT": "NATF0"}
    async with open_app(tmp_path, **tiny, DEFAULT_TEXT_PROMPT=LONG_ROLE):
        await until(lambda: "DEFAULT_TEXT_PROMPT cannot be used" in caplog.text, 30)
