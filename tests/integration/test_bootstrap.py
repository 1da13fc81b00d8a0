"""What is refused at the start, each in a sentence that names its variable, and what the log warns of."""

import json
import os
from pathlib import Path

import pytest

from personaplex_ui.app.bootstrap import AppParts
from personaplex_ui.config.settings import Settings
from personaplex_ui.engine.speech_model import Persona, PromptSize
from personaplex_ui.errors import InvalidInput, SettingsError
from tests.support.fake_model import FakeModel
from tests.support.page_session import LIBRARIES_WARN, open_app
from tests.support.running import until

TINY = Path(__file__).parents[1] / "data" / "tiny"
LONG_ROLE = "You are a very kind teacher. " * 20
SHOP, BANK = "+15550009876", "+493012345678"

pytestmark = LIBRARIES_WARN


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def parts(**variables: str) -> AppParts:
    return AppParts(Settings.from_mapping({"ENGINE": "echo", **variables}))


@pytest.mark.parametrize(
    ("role", "words"),
    [
        ("x" * 2_001, "2,001 characters; at most 2,000 fit"),
        ("You are\x00 kind.", "control characters"),
    ],
)
def test_a_default_role_that_no_call_could_use_is_refused(role: str, words: str) -> None:
    with pytest.raises(SettingsError, match="DEFAULT_TEXT_PROMPT: ") as refused:
        parts(DEFAULT_TEXT_PROMPT=role)
    assert words in str(refused.value)
    assert "xxx" not in str(refused.value)


def test_a_default_role_as_long_as_can_be_is_used() -> None:
    parts(DEFAULT_TEXT_PROMPT="x" * 2_000)


# Folders ---------------------------------------------------------------------------------------------


def test_the_recordings_folder_is_made_for_the_server_alone(tmp_path: Path) -> None:
    folder = tmp_path / "far" / "away"
    parts(RECORDINGS_DIR=str(folder))
    assert folder.stat().st_mode & 0o777 == 0o700
    parts(RECORDINGS_DIR=str(folder))


def test_a_recordings_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for folder in (tmp_path / "file", tmp_path / "file" / "in"):
        with pytest.raises(SettingsError, match="Let it be a folder that the server may write to") as refused:
            parts(RECORDINGS_DIR=str(folder))
        assert str(refused.value).startswith(f"RECORDINGS_DIR is {str(folder)!r}, but nothing can be written")


def test_a_recordings_folder_that_cannot_be_written_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def access(path: object, mode: int) -> bool:
        return False

    monkeypatch.setattr(os, "access", access)  # root may write everywhere
    with pytest.raises(SettingsError, match=r"^RECORDINGS_DIR is .* Permission denied"):
        parts(RECORDINGS_DIR=str(tmp_path))


def test_a_voices_folder_that_is_none_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SettingsError, match="which is no folder"):
        parts(VOICES_DIR=str(tmp_path / "file"))


@pytest.mark.parametrize(("name", "warned"), [("", False), ("nowhere", True)])
def test_a_voices_folder_that_is_not_there_is_told_and_an_empty_one_will_do(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, name: str, warned: bool
) -> None:
    parts(VOICES_DIR=str(tmp_path / name))
    assert ("there is no such folder" in caplog.text) is warned


# Warnings --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("password", "warned"), [("", False), ("1234567", True), ("12345678", False)])
async def test_a_password_that_can_be_guessed_is_warned_of(
    password: str, warned: bool, caplog: pytest.LogCaptureFixture
) -> None:
    async with parts(APP_PASSWORD=password).running():
        pass
    assert ("APP_PASSWORD is so short" in caplog.text) == warned
    assert "1234567" not in caplog.text


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


async def test_personas_of_the_telephone_that_the_model_cannot_use_are_warned_of(
    caplog: pytest.LogCaptureFixture,
) -> None:
    await parts(PHONE_PERSONAS=json.dumps(PERSONAS)).warn_of_misfits(ModelOfWords())
    shop, bank = caplog.messages
    assert shop.startswith("PHONE_PERSONAS: the entry of +15…9876 cannot be used: The role is too long")
    assert bank.startswith("PHONE_PERSONAS: the entry of +49…5678 cannot be used: There is no voice NATM1.")


@pytest.mark.parametrize(
    ("name", "value"), [("DEFAULT_TEXT_PROMPT", LONG_ROLE), ("DEFAULT_VOICE_PROMPT", "NATM1")]
)
async def test_a_default_that_the_model_cannot_use_is_warned_of_once(
    name: str, value: str, caplog: pytest.LogCaptureFixture
) -> None:
    only_words = {"+15550002222": {"announcement": "Welcome!"}}
    built = parts(**{name: value, "PHONE_PERSONAS": json.dumps(only_words)})
    await built.warn_of_misfits(ModelOfWords())
    (warning,) = caplog.messages
    assert warning.startswith(f"{name} cannot be used by callers who choose none: The")
    assert "kind teacher" not in warning


async def test_a_model_that_counts_no_tokens_warns_of_nothing(caplog: pytest.LogCaptureFixture) -> None:
    await parts(PHONE_PERSONAS=json.dumps(PERSONAS)).warn_of_misfits(FakeModel())
    assert caplog.messages == []


async def test_the_warnings_come_when_the_model_is_ready(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    tiny = {"ENGINE": "personaplex", "DEVICE": "cpu", "HF_REPO": str(TINY), "MAX_CALLS": "1"}
    async with open_app(tmp_path, **tiny, DEFAULT_TEXT_PROMPT=LONG_ROLE):
        await until(lambda: "DEFAULT_TEXT_PROMPT cannot be used" in caplog.text, 30)
