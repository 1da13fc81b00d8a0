"""The machine: which settings are told, that secrets are not, and when there is nothing to try."""

import pytest

from personaplex_ui.accept.machine import nothing_to_accept
from personaplex_ui.accept.settings_told import settings_told
from personaplex_ui.config.settings import Settings


def settings(**variables: str) -> Settings:
    return Settings.from_mapping(variables)


def test_secrets_are_told_as_set_only():
    told = settings_told(settings(HF_TOKEN="hf_secret", API_KEY="k" * 20, MAX_CALLS="3", CPU_OFFLOAD="1"))
    assert (told["HF_TOKEN"], told["MAX_CALLS"], told["CPU_OFFLOAD"]) == ("set, not shown", "3", "1")
    assert "secret" not in str(told)
    assert "API_KEY" not in told
    assert settings_told(settings())["HF_TOKEN"] == "not set"


@pytest.mark.parametrize(
    ("variables", "gpu", "words"),
    [
        ({"ENGINE": "echo"}, True, "ENGINE is echo"),
        ({"ENGINE": "auto"}, False, "There is no GPU"),
        ({"SPACES_ZERO_GPU": "1"}, True, "ZeroGPU"),
        ({"ENGINE": "auto"}, True, ""),
        ({"ENGINE": "personaplex", "DEVICE": "cpu"}, False, ""),
    ],
)
def test_when_there_is_nothing_to_try(variables: dict[str, str], gpu: bool, words: str):
    found = nothing_to_accept(settings(**variables), gpu)
    assert (found.sentence if found else "").startswith(words)
    assert (found is None) == (words == "")
