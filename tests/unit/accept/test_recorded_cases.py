"""Reading recorded conversations: what is there is read, what cannot be is told in a sentence."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from personaplex_ui.accept.recorded_cases import read_cases
from personaplex_ui.errors import PersonaplexError
from tests.support.parity import CASES, DATA, read_case

RECORDED = DATA / "cases"


def test_a_folder_of_cases_and_a_single_one():
    cases = {case.name: case for case in read_cases(RECORDED)}
    assert set(cases) == set(CASES)
    for name, case in cases.items():
        expected = read_case(name)
        assert np.array_equal(case.said, expected.tokens)
        assert case.text_prompt == expected.persona.text_prompt
        assert case.sound.shape == expected.user.shape
        np.testing.assert_allclose(case.sound, expected.user, atol=1e-4)
        assert case.dtype == "float32"
    assert cases["voice_preset"].voice == "NATF0"
    assert cases["custom_voice_no_prompt"].voice == RECORDED / "custom_voice_no_prompt" / "voice.wav"
    [alone] = read_cases(RECORDED / "voice_preset")
    assert alone.name == "voice_preset"


@pytest.fixture
def case(tmp_path: Path) -> Path:
    return Path(shutil.copytree(RECORDED / "voice_preset", tmp_path / "case"))


def refusal(folder: Path) -> str:
    with pytest.raises(PersonaplexError) as refused:
        read_cases(folder)
    return str(refused.value)


def test_an_empty_folder(tmp_path: Path):
    assert "holds case.json. Name the folder that the reference wrote" in refusal(tmp_path)
    assert "holds case.json" in refusal(tmp_path / "none")


def test_what_is_missing_or_damaged_is_named(case: Path):
    (case / "case.json").write_text(json.dumps({"user": "user.wav"}))
    assert "'voice' is missing" in refusal(case)
    (case / "case.json").write_text(json.dumps({"user": "user.wav", "voice": "NATF0.pt"}))
    np.savez(case / "expected.npz", tokens=np.zeros((4, 17)))
    assert "the shape (4, 17), not [frames, 9]" in refusal(case)
    (case / "user.wav").write_bytes(b"no sound")
    assert f"The case {case} cannot be read" in refusal(case)
    (case / "case.json").write_text("{")
    assert f"The case {case} cannot be read" in refusal(case)
