"""Reading recorded conversations: what is there is read, what cannot be is told in a sentence."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from personaplex_ui.accept.recorded_cases import read_cases
from personaplex_ui.errors import PersonaplexError
from tests.support.parity import CASES, DATA, read_case

ROOT = DATA.parents[1]
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


THEIR_OFFLINE = """
import sys
import numpy as np

class Tensor:
    def __init__(self, numbers): self.numbers = numbers
    def __getitem__(self, key): return Tensor(self.numbers[key])
    def cpu(self): return self
    def numpy(self): return self.numbers

def decode_tokens_to_pcm(mimi, other_mimi, lm_gen, tokens):
    return tokens

def main():
    assert "--greedy" in sys.argv and "--device" in sys.argv, sys.argv
    for frame in range(4):
        assert decode_tokens_to_pcm(None, None, None, Tensor(np.full((1, 17, 1), frame))) is not None
"""


def recorded(folder: Path, package: str, *options: str) -> subprocess.CompletedProcess[str]:
    (folder / "moshi").mkdir(parents=True)
    (folder / "moshi" / "__init__.py").touch()
    (folder / "moshi" / "offline.py").write_text(package)
    user = RECORDED / "voice_preset" / "user.wav"
    command = [sys.executable, str(ROOT / "scripts" / "record_reference.py"), str(folder / "case")]
    command += ["--input-wav", str(user), "--text-prompt", "Be kind.", "--device", "cpu", *options]
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=50)


def test_what_the_script_for_nvidias_environment_records_can_be_read(tmp_path: Path):
    """Tried by hand against NVIDIA's code, whose first frame still belongs to the prompt."""
    done = recorded(tmp_path, THEIR_OFFLINE, "--voice-prompt", "NATF0.pt")
    assert done.returncode == 0, done.stderr
    [case] = read_cases(tmp_path / "case")
    assert case.said.tolist() == [[frame] * 9 for frame in (1, 2, 3)]
    assert (case.voice, case.text_prompt, case.dtype) == ("NATF0", "Be kind.", "bfloat16")


def test_a_voice_of_ones_own_is_part_of_the_case(tmp_path: Path):
    voices = RECORDED / "custom_voice_no_prompt"
    options = ("--voice-prompt", "voice.wav", "--voice-prompt-dir", str(voices))
    assert recorded(tmp_path, THEIR_OFFLINE, *options).returncode == 0
    [case] = read_cases(tmp_path / "case")
    assert case.voice == tmp_path / "case" / "voice.wav"
    assert (tmp_path / "case" / "voice.wav").read_bytes() == (voices / "voice.wav").read_bytes()


def test_the_script_tells_where_nvidias_package_is_missing(tmp_path: Path):
    done = recorded(tmp_path, "", "--voice-prompt", "NATF0.pt")
    assert done.returncode == 1
    assert "no moshi of NVIDIA's" in done.stderr
