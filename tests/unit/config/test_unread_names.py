"""Names in a file of settings that nothing reads; and the file that has to be there."""

import os
from pathlib import Path

import pytest

from personaplex_ui.config.env_file import read_chosen_file
from personaplex_ui.config.environment import prepare_environment
from personaplex_ui.config.settings import Settings
from personaplex_ui.config.unread_names import MOST_TOLD, unread_names
from personaplex_ui.errors import SettingsError


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("MAX_CALSS", "MAX_CALLS"),
        ("max_calls", "MAX_CALLS"),
        ("APP_PASWORD", "APP_PASSWORD"),
        ("HF_TOKN", "HF_TOKEN"),
        ("QUITE_ANOTHER", ""),
    ],
)
def test_a_misspelt_name_is_told_with_the_nearest(name: str, near: str) -> None:
    (told,) = unread_names([name], ".env")
    assert told.startswith(f".env sets {name}, which nothing reads. ")
    assert (f"Did you mean {near}?" in told) is (near != "")


def test_ours_and_those_of_libraries_are_fine() -> None:
    ours = [name.upper() for name in Settings.model_fields]
    libraries = ["HF_HOME", "HF_HUB_OFFLINE", "CUDA_VISIBLE_DEVICES", "GRADIO_TEMP_DIR", "OMP_NUM_THREADS"]
    others = ["http_proxy", "HTTPS_PROXY", "TMPDIR", "PYTHONPATH", "NO_TORCH_COMPILE", "ENV_FILE", "PROJECT"]
    assert list(unread_names([*ours, *libraries, *others], ".env")) == []


def test_what_is_no_name_is_not_repeated_and_there_is_an_end() -> None:
    (told,) = unread_names(["a secret!"], ".env")
    assert "secret" not in told
    assert len(list(unread_names([f"NEVER_{number}" for number in range(99)], ".env"))) == MOST_TOLD + 1


def test_a_named_file_has_to_be_there(tmp_path: Path) -> None:
    for name in (str(tmp_path / "none"), "none"):
        with pytest.raises(SettingsError, match=r"^ENV_FILE names .*none, which is missing\. Correct it"):
            read_chosen_file({"ENV_FILE": name}, tmp_path)
    assert read_chosen_file({}, tmp_path) == read_chosen_file({"ENV_FILE": ""}, tmp_path) == {}
    assert read_chosen_file({"ENV_FILE": os.devnull}) == {}


def test_the_start_is_told(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("MAX_CALSS=3\n")
    environment = {
        "ENV_FILE": str(tmp_path / "mine"),
        "HOME": str(tmp_path),
        "GRADIO_TEMP_DIR": str(tmp_path),
    }
    assert [note for note in prepare_environment(environment) if "Did you mean MAX_CALLS?" in note]
