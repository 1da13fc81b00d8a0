from typing import Any

import pytest

from personaplex_ui.calls.settings import check_settings
from personaplex_ui.errors import InvalidInput
from personaplex_ui.voices.catalogue import Voice
from personaplex_ui.voices.library import VoiceLibrary

VOICES = VoiceLibrary([Voice(name, "Natural", name) for name in ("NATF2", "NATM1")])


def check(**values: Any):
    return check_settings(VOICES, **{"voice": "NATF2", "text_prompt": "Be kind.", **values})


def test_good_values_are_taken_over():
    settings = check(voice="NATM1.pt", text_temperature=1, audio_top_k="40", seed="17", record=False)
    assert settings.persona.voice == "NATM1"
    assert (settings.sampling.text_temperature, settings.sampling.audio_top_k) == (1.0, 40)
    assert settings.sampling.seed == 17
    assert not settings.record


@pytest.mark.parametrize("seed", [None, "", "  ", -1, "-1"])
def test_no_seed_means_a_new_one(seed: object):
    assert check(seed=seed).sampling.seed is None


@pytest.mark.parametrize("prompt", ["", None, "  ", "Zeile\nzwei\tTab", "日本語 🙂", "x" * 2000])
def test_prompts_that_are_fine(prompt: object):
    assert check(text_prompt=prompt).persona.text_prompt == (str(prompt).strip() if prompt else "")


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("text_prompt", "x" * 2001, "2,001 characters"),
        ("text_prompt", "bell\x07", "control characters"),
        ("text_prompt", "nul\x00", "control characters"),
        ("text_prompt", "\ud800", "control characters"),
        ("text_prompt", ["a"], "must be text"),
        ("voice", "NOBODY", "no voice “NOBODY”"),
        ("voice", "../../etc/passwd", "no voice"),
        ("voice", None, "must be a name"),
        ("voice", ["NATF2"], "must be a name"),
        ("seed", 10**400, "whole number"),
        ("text_temperature", 10**400, "emperature"),
        ("text_top_k", -(10**400), "op-k"),
        ("voice", "y" * 10_000, "no voice"),
        ("seed", "abc", "whole number"),
        ("seed", 1.5, "whole number"),
        ("seed", -2, "whole number"),
        ("seed", 2**40, "whole number"),
        ("seed", float("nan"), "whole number"),
        ("seed", True, "whole number"),
        ("text_temperature", 0, "above 0"),
        ("audio_temperature", float("inf"), "above 0"),
        ("audio_temperature", "warm", "above 0"),
        ("text_temperature", 2.5, "at most 2"),
        ("text_top_k", 0, "from 1 to 500"),
        ("text_top_k", 1e300, "from 1 to 500"),
        ("audio_top_k", 2.5, "from 1 to 2,048"),
        ("audio_top_k", {}, "from 1 to 2,048"),
    ],
)
def test_bad_values_get_a_sentence_at_their_field(field: str, value: object, words: str):
    with pytest.raises(InvalidInput) as caught:
        check(**{field: value})
    assert caught.value.field == field
    assert words in str(caught.value)
    assert len(str(caught.value)) < 200
