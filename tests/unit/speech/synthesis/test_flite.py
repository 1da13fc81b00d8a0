"""flite as a process: a stand-in that does what flite does, or does not."""

import shutil
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest

from personaplex_ui.audio.frames import SAMPLE_RATE_HZ
from personaplex_ui.audio.levels import rms_dbfs
from personaplex_ui.speech.parts import SpeechPartFailed, Synthesiser
from personaplex_ui.speech.synthesis import flite
from personaplex_ui.speech.synthesis.flite import FliteSynthesiser

SAYS = """
import pathlib, sys, numpy, soundfile
words = pathlib.Path(sys.argv[4]).read_text()
pathlib.Path(__file__).with_name("asked.txt").write_text("|".join([*sys.argv[1:4], words, sys.argv[5]]))
soundfile.write(sys.argv[-1], 0.2 * numpy.sin(numpy.arange(16_000) / 8), 16_000, subtype="PCM_16")
"""


def program(folder: Path, source: str) -> str:
    path = folder / "flite"
    path.write_text(f"#!{sys.executable}\n{source}", encoding="utf-8")
    path.chmod(0o755)
    return str(path)


def test_a_sentence_is_said(tmp_path: Path) -> None:
    said: Synthesiser = FliteSynthesiser(program(tmp_path, SAYS), within_sec=60)
    sound = said.synthesise("-o /etc/x; $5 at the ATM, 9 pm", "NATM0")
    asked = (tmp_path / "asked.txt").read_text(encoding="utf-8")
    assert asked == "-voice|rms|-f|o etc slash x; five dollars at the ATM, nine P M.|-o"
    assert len(sound) / SAMPLE_RATE_HZ == pytest.approx(1.0, abs=0.03)
    assert rms_dbfs(sound) == pytest.approx(-20.0, abs=0.5)
    said.synthesise("Hello.", "NATF0")
    assert (tmp_path / "asked.txt").read_text(encoding="utf-8") == "-voice|slt|-f|Hello.|-o"


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("raise SystemExit(3)", "exit status 3"),
        ("import os; os.kill(os.getpid(), 9)", "exit status -9"),
        ("import time; time.sleep(60)", "more than 2 s"),
        ("", "No such file"),
        ("import sys; open(sys.argv[-1], 'wb').write(b'junk')", "not a WAV file"),
        (SAYS.replace("0.2", "0.0"), "it is silent"),
        ("import sys; open(sys.argv[-1], 'wb').write(bytes(17_000_000))", "it is too long"),
    ],
)
def test_a_flite_that_fails(tmp_path: Path, source: str, told: str) -> None:
    within_sec = 2.0 if "sleep" in source else 60.0
    said = FliteSynthesiser(program(tmp_path, source), within_sec)
    with pytest.raises(SpeechPartFailed, match=told):
        said.synthesise("Hello.", "NATF0")


def test_a_flite_that_is_gone(tmp_path: Path) -> None:
    with pytest.raises(SpeechPartFailed, match="flite is not installed; on Debian, apt install flite"):
        FliteSynthesiser(str(tmp_path / "flite"))
    said = FliteSynthesiser(program(tmp_path, SAYS))
    (tmp_path / "flite").unlink()
    with pytest.raises(SpeechPartFailed, match="could not be started: No such file"):
        said.synthesise("Hello.", "NATF0")


def test_no_room_for_temporary_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said = FliteSynthesiser(program(tmp_path, SAYS))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
    with pytest.raises(SpeechPartFailed, match=r"No such file or directory\. Make room for temporary files"):
        said.synthesise("Hello.", "NATF0")


def test_nothing_to_say_and_too_much(tmp_path: Path) -> None:
    said = FliteSynthesiser(program(tmp_path, "raise SystemExit(3)"))
    assert said.synthesise("😀", "NATF0").shape == (0,)
    with pytest.raises(SpeechPartFailed, match="too long to be said at once"):
        said.synthesise("a" * (flite.MOST_CHARACTERS + 1), "NATF0")


@pytest.mark.skipif(shutil.which("flite") is None, reason="flite is not installed")
def test_the_real_flite_speaks() -> None:
    said = FliteSynthesiser()
    woman, man = said.synthesise("Lunch costs $5.", "NATF0"), said.synthesise("Lunch costs $5.", "NATM0")
    assert 0.8 < len(woman) / SAMPLE_RATE_HZ < 4.0
    assert not np.array_equal(woman[:10_000], man[:10_000])
