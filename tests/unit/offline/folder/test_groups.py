"""What a group does with recordings that others answer, that change, or that cannot be read or written."""

import os
from collections.abc import Callable
from pathlib import Path
from shutil import copy, copytree

import pytest
import soundfile

from personaplex_ui.audio.frames import Samples
from personaplex_ui.models.echo.model import EchoModel
from personaplex_ui.offline.answer_files import CannotWrite
from personaplex_ui.offline.command import main
from personaplex_ui.offline.folder import answered, groups
from personaplex_ui.offline.folder.cases import Case
from personaplex_ui.offline.folder.lock import Locks
from tests.support.heard_sounds import speech

ECHO = ("--engine", "echo", "--seed", "7")
Run = Callable[..., tuple[int, str]]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Three short cases, each longer than the one before."""
    root = tmp_path / "data"
    for number in (1, 2, 3):
        (root / str(number)).mkdir(parents=True)
        sound = speech()[72_000:][: 12_000 + 1_000 * number]
        soundfile.write(root / str(number) / "input.wav", sound, 24_000, subtype="PCM_16")
    return root


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """The command's exit code, and what it told."""

    def run(folder: Path, *options: str) -> tuple[int, str]:
        code = main(["folder", *ECHO, *options, "--", str(folder)])
        return code, capsys.readouterr().err

    return run


def contents(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def at_first_step(monkeypatch: pytest.MonkeyPatch, do: Callable[[], object]) -> None:
    """Something else happens while the model works."""
    step, waiting = EchoModel.step, [do]

    def stepped(self: EchoModel, *arguments: object) -> object:
        if waiting:
            waiting.pop()()
        return step(self, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(EchoModel, "step", stepped)


def test_a_recording_that_another_process_answers(data: Path, run: Run, tmp_path: Path):
    copytree(data, tmp_path / "undisturbed")
    with Locks().hold(data / "2") as is_locked:
        assert is_locked
        code, told = run(data)
    assert code == 1
    assert "[1/3] 2/input.wav could not be answered: It is being answered by another process." in told
    assert "2 recordings answered in" in told
    assert not (data / "2" / "output.wav").exists()
    assert run(data)[0] == 0
    assert run(tmp_path / "undisturbed")[0] == 0
    assert contents(data) == contents(tmp_path / "undisturbed")
    # A folder in it, and its own recording in the folder itself.
    copy(data / "1" / "input.wav", data / "2" / "clean_input.wav")
    assert run(data / "2")[0] == 0
    assert (data / "2" / "clean_output.wav").exists()


def test_what_another_process_is_writing_is_not_taken_for_somebody_elses(data: Path, run: Run):
    (data / "2" / "output.wav").write_bytes(b"its settings were not there when this command looked")
    with Locks().hold(data / "2"):
        code, told = run(data)
    assert code == 1
    assert "2/input.wav could not be answered: It is being answered by another process." in told
    assert "2 recordings answered" in told


def test_what_another_process_has_answered_meanwhile(
    data: Path, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    whole = tmp_path / "whole"
    copytree(data, whole)
    assert run(whole, "--batch", "1")[0] == 0

    def others() -> None:
        copytree(whole / "2", data / "2", dirs_exist_ok=True)
        (data / "3" / "output.wav").write_bytes(b"FOREIGN")

    at_first_step(monkeypatch, others)
    code, told = run(data, "--batch", "1")
    assert code == 1
    assert "[2/3] 2/input.wav: answered by another process." in told
    assert "3/input.wav: Its answer was replaced while this command ran." in told
    assert (data / "3" / "output.wav").read_bytes() == b"FOREIGN"
    assert "have answers that this command did not write" in run(data, "--batch", "1")[1]


def test_one_answer_that_cannot_be_written(data: Path, run: Run, monkeypatch: pytest.MonkeyPatch):
    write_wav = answered.write_wav

    def refusing(path: Path, samples: Samples) -> None:
        if path.parent.name == "2":
            raise PermissionError(13, "Permission denied")
        write_wav(path, samples)

    with monkeypatch.context() as patched:
        patched.setattr(answered, "write_wav", refusing)
        code, told = run(data)
    assert code == 1
    assert "output.wav cannot be written (Permission denied)" in told
    assert "2 recordings answered in" in told
    assert run(data)[0] == 0


def test_a_group_of_which_nothing_can_be_answered_is_not_computed(
    data: Path, run: Run, monkeypatch: pytest.MonkeyPatch
):
    (data / "3" / "input.wav").write_bytes(b"RIFFjunk")
    assert run(data)[0] == 1

    def load(*_: object) -> None:
        raise AssertionError("nothing is to be answered")

    monkeypatch.setattr(groups, "load", load)
    code, told = run(data)
    assert code == 1
    assert "[1/1] 3/input.wav could not be answered: This file cannot be read as audio." in told
    assert "0 recordings answered" in told


def test_only_what_is_to_be_answered_counts(data: Path, run: Run, monkeypatch: pytest.MonkeyPatch):
    assert run(data)[0] == 0
    first = contents(data)
    (data / "1" / "output.wav").unlink()
    check = answered.check_writable

    def refusing(case: Case) -> None:
        if case.folder.name == "2":
            raise CannotWrite("no")
        check(case)

    monkeypatch.setattr(answered, "check_writable", refusing)
    code, told = run(data)
    assert code == 0
    assert "[1/1] 1/input.wav: " in told
    assert "2/input.wav" not in told
    assert contents(data) == first


def test_a_recording_that_changes_while_it_is_answered(data: Path, run: Run, monkeypatch: pytest.MonkeyPatch):
    at_first_step(monkeypatch, lambda: copy(data / "3" / "input.wav", data / "1" / "input.wav"))
    assert run(data)[0] == 0
    assert "1 of the recordings were answered differently from now (recording)" in run(data)[1]


def test_names_that_are_not_utf8_or_begin_with_a_dash(
    data: Path, run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    (data / "1").rename(data / "caf\udce9")
    (data / "2").rename(data / "-2")
    (data / "3").rename(data / "\x1b[2J\n")
    (data / "\x1b[2J\n" / "input.wav").write_bytes(b"junk")
    data.rename(tmp_path / "-d\udce9")
    monkeypatch.chdir(tmp_path)
    code, told = run(Path("-d\udce9"))
    assert code == 1
    assert "caf\\xe9/input.wav: 0.5 s" in told
    assert "-2/input.wav: 0.6 s" in told
    assert "\\x1b[2J\\n/input.wav: This file cannot be read as audio." in told
    assert "2 recordings answered in -d\\xe9." in told
    (tmp_path / "-d\udce9" / "-2" / "output.wav").write_bytes(b"theirs")
    assert "-d\\xe9/-2/output.wav" in run(Path("-d\udce9"))[1]


def test_named_pipes_and_devices_keep_nobody_waiting(data: Path, run: Run):
    for name in ("1", "2"):
        (data / name / "input.wav").unlink()
    os.mkfifo(data / "1" / "input.wav")
    (data / "2" / "input.wav").symlink_to("/dev/zero")
    code, told = run(data)
    assert code == 1
    for name in ("1", "2"):
        assert f"{name}/input.wav: The audio file cannot be opened (It is not a file)." in told
    assert "1 recordings answered" in told


@pytest.mark.parametrize(
    ("rate_hz", "channels", "samples"),
    [(44_100, 2, 44_099), (8_000, 1, 8_001), (48_000, 6, 48_002), (24_000, 1, 1), (48_000, 1, 1)],
)
def test_answers_are_as_long_as_the_recording(
    data: Path, run: Run, rate_hz: int, channels: int, samples: int
):
    sound = speech()[72_000 : 72_000 + samples, None].repeat(channels, axis=1)
    soundfile.write(data / "1" / "input.wav", sound, rate_hz, subtype="PCM_16")
    assert run(data)[0] == 0
    expected = max(1, round(samples * 24_000 / rate_hz))
    assert soundfile.info(data / "1" / "output.wav").frames == expected
