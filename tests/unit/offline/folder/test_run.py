"""The command on a folder with the echo engine: what is answered, what is left alone, and what is told."""

import json
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from shutil import copytree

import numpy as np
import pytest
import soundfile

from personaplex_ui.audio.frames import Samples
from personaplex_ui.errors import InvalidInput
from personaplex_ui.models.echo.model import EchoModel
from personaplex_ui.offline.command import main
from personaplex_ui.offline.folder import answered, sound_length
from personaplex_ui.offline.folder.cases import Case
from personaplex_ui.offline.folder.lock import only_one
from personaplex_ui.offline.folder.progress import Progress
from personaplex_ui.offline.folder.tasks import Task, open_groups
from tests.support.clock import Clock
from tests.support.heard_sounds import pause, speech

ECHO = ("--engine", "echo", "--seed", "7")
RATES = {"1": 24_000, "2": 16_000, "10": 48_000}


def put(path: Path, samples: Samples, rate_hz: int = 24_000) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, samples, rate_hz, subtype="PCM_16")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Three cases of a second of speech and a pause, at three rates and of odd lengths."""
    root = tmp_path / "data"
    for number, (name, rate_hz) in enumerate(RATES.items()):
        asked = np.concatenate([speech()[72_000 : 72_000 + rate_hz], pause(2.0 * rate_hz / 24_000)])
        put(root / "icc_backchannel" / name / "input.wav", asked[: len(asked) - number], rate_hz)
    return root


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str]]:
    """The command's exit code, and what it told."""

    def run(folder: Path, *options: str) -> tuple[int, str]:
        code = main(["folder", str(folder), *ECHO, *options])
        printed = capsys.readouterr()
        assert printed.out == ""
        return code, printed.err

    return run


def contents(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def seconds(path: Path) -> float:
    info = soundfile.info(path)
    return info.frames / info.samplerate


def test_answers_of_equal_length_with_words_beside_each_recording(
    data: Path, run: Callable[..., tuple[int, str]]
):
    code, told = run(data)
    assert code == 0
    assert "3 recordings; 3 to answer." in told
    assert "icc_backchannel (3): You enjoy having a good conversation." in told
    assert "[3/3] icc_backchannel/" in told
    assert "3 recordings answered in" in told
    for name in RATES:
        folder = data / "icc_backchannel" / name
        assert sorted(path.name for path in folder.iterdir()) == [
            "input.wav",
            "output.json",
            "output.settings.json",
            "output.wav",
        ]
        info = soundfile.info(folder / "output.wav")
        assert (info.samplerate, info.channels, info.subtype) == (24_000, 1, "PCM_16")
        assert (
            abs(info.frames - seconds(folder / "input.wav") * 24_000) <= 0.51
        )  # at its own rate, to the sample
        words = json.loads((folder / "output.json").read_text(encoding="utf-8"))
        assert words["text"].split() == [chunk["text"] for chunk in words["chunks"]]
        assert len(words["chunks"]) > 3
        for chunk in words["chunks"]:
            start_sec, end_sec = chunk["timestamp"]
            assert 0 <= start_sec < end_sec <= seconds(folder / "output.wav") + 0.001
        settings = json.loads((folder / "output.settings.json").read_text())["settings"]
        assert settings == {
            "engine": "echo",
            "voice": "NATF2",
            "role": "You enjoy having a good conversation.",
            "seed": 7,
        }


def test_what_is_answered_stays_and_the_rest_is_answered(data: Path, run: Callable[..., tuple[int, str]]):
    assert run(data)[0] == 0
    first = contents(data)
    (data / "icc_backchannel" / "2" / "output.wav").unlink()
    recognised = data / "icc_backchannel" / "1" / "output.json"
    recognised.write_text('{"text": "as a recogniser heard it", "chunks": []}')
    code, told = run(data)
    assert code == 0
    assert "3 recordings, 2 are answered already; 1 to answer." in told
    assert "[1/1] icc_backchannel/2/input.wav" in told
    assert recognised.read_text().startswith('{"text": "as a recogniser')
    del first["icc_backchannel/1/output.json"]
    assert contents(data).items() >= first.items()
    assert "1 to answer" not in run(data)[1]


def test_other_options_are_noticed_and_nothing_is_touched(data: Path, run: Callable[..., tuple[int, str]]):
    assert run(data)[0] == 0
    first = contents(data)
    code, told = run(data, "--seed", "8", "--voice-prompt", "NATM1.pt")
    assert code == 1
    assert "3 of the recordings were answered differently from now (seed, voice)." in told
    assert contents(data) == first
    (data / "icc_backchannel" / "1" / "role.txt").write_text("Be brief.")
    assert "1 of the recordings were answered differently from now (role)." in run(data)[1]
    assert run(data, "--overwrite")[0] == 0
    settings = [json.loads(path.read_text())["settings"]["role"] for path in data.rglob("*.settings.json")]
    assert sorted(settings) == ["Be brief.", *["You enjoy having a good conversation."] * 2]
    unchanged = {name: old for name, old in first.items() if name.split("/")[1] != "1"}
    assert contents(data).items() >= unchanged.items(), "only what differs is replaced"


def test_answers_of_others_are_not_replaced_unasked(data: Path, run: Callable[..., tuple[int, str]]):
    theirs = data / "icc_backchannel" / "2" / "output.wav"
    theirs.write_bytes(b"theirs")
    code, told = run(data)
    assert code == 1
    assert "1 of the recordings have answers that this command did not write, or that were changed" in told
    assert str(theirs) in told
    assert len(contents(data)) == 4
    assert run(data, "--overwrite")[0] == 0
    assert theirs.read_bytes()[:4] == b"RIFF"
    heard = data / "icc_backchannel" / "1" / "output.json"
    for name in ("output.wav", "output.settings.json"):
        (heard.parent / name).unlink()
    assert str(heard) in run(data)[1]


def test_recordings_that_cannot_be_answered_do_not_end_the_run(
    data: Path, run: Callable[..., tuple[int, str]]
):
    for name, content in (("3", b"RIFFjunk"), ("4", b"")):
        put(data / "icc_backchannel" / name / "input.wav", pause(1.0))
        (data / "icc_backchannel" / name / "input.wav").write_bytes(content)
    put(data / "icc_backchannel" / "5" / "input.wav", pause(1.0))
    (data / "icc_backchannel" / "5" / "role.txt").write_bytes(b"\xff\xff")
    (data / "icc_backchannel" / "6").mkdir()
    (data / "icc_backchannel" / "6" / "input.wav").symlink_to(data / "nowhere.wav")
    put(data / "icc_backchannel" / "7" / "input.wav", pause(1.0))
    (data / "icc_backchannel" / "7" / "output.wav.d").mkdir()
    (data / "icc_backchannel" / "8" / "input.wav").mkdir(parents=True)
    code, told = run(data)
    assert code == 1
    assert "4 recordings answered in" in told
    assert "5 could not be answered:" in told
    ending = told.partition("could not be answered:\n")[2]
    for name, sentence in {
        "3": "This file cannot be read as audio.",
        "4": "The audio file is empty",
        "5": "role.txt cannot be read. Save it as UTF-8 text, or remove it.",
        "6": "The audio file cannot be opened (No such file or directory).",
        "8": "The audio file cannot be opened (It is not a file).",
    }.items():
        assert f"icc_backchannel/{name}/input.wav: {sentence}" in ending
    assert (data / "icc_backchannel" / "10" / "output.wav").exists()
    assert not (data / "icc_backchannel" / "3" / "output.wav").exists()
    put(data / "icc_backchannel" / "3" / "input.wav", pause(1.0))
    assert "[1/4] " in run(data)[1]
    assert (data / "icc_backchannel" / "3" / "output.wav").exists()


@pytest.mark.parametrize("error", [KeyboardInterrupt(), ZeroDivisionError("by zero"), MemoryError()])
def test_a_model_that_fails_leaves_whole_answers_and_a_run_that_goes_on(
    data: Path,
    run: Callable[..., tuple[int, str]],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    error: BaseException,
):
    whole = tmp_path / "whole"
    copytree(data, whole)
    assert run(whole, "--batch", "2")[0] == 0
    step, steps = EchoModel.step, iter(range(1_000))

    def failing(self: EchoModel, *arguments: object) -> object:
        if next(steps) == 50:
            raise error
        return step(self, *arguments)  # type: ignore[arg-type]

    with monkeypatch.context() as patched:
        patched.setattr(EchoModel, "step", failing)
        code, told = run(data, "--batch", "2")
    assert code == (130 if isinstance(error, KeyboardInterrupt) else 1)
    assert "Traceback" not in told
    answered_so_far = list(data.rglob("output.wav"))
    assert 0 < len(answered_so_far) < 3
    assert run(data, "--batch", "2")[0] == 0
    assert contents(data) == contents(whole)


def test_a_full_disk_ends_the_run_at_once(
    data: Path, run: Callable[..., tuple[int, str]], monkeypatch: pytest.MonkeyPatch
):
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(answered, "write_wav", full)
    code, told = run(data)
    assert code == 1
    assert "output.wav cannot be written (No space left on device)." in told
    assert len(contents(data)) == 3


def test_options_that_cannot_be_used(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    for options, sentence in [
        ([], "the following arguments are required: DIR"),
        (["x", "--batch", "0"], "whole number from 1 to 64"),
        (["x", "--engine", "auto"], "invalid choice: 'auto'"),
        (["x", "--seed", "x"], "The seed must be a whole number"),
        (["x", "--input-wav", "y"], "unrecognized arguments"),
    ]:
        with pytest.raises(SystemExit) as ended:
            main(["folder", *options])
        assert ended.value.code == 2
        assert sentence in capsys.readouterr().err
    with pytest.raises(SystemExit) as ended:
        main(["folder", "--help"])
    assert ended.value.code == 0
    assert "Full-Duplex-Bench" in capsys.readouterr().out
    assert main(["folder", str(tmp_path / "no"), *ECHO]) == 1
    assert "There is no folder" in capsys.readouterr().err


def test_only_one_process_answers_a_folder(data: Path, run: Callable[..., tuple[int, str]]):
    with only_one(data):
        code, told = run(data)
    assert code == 1
    assert "is being answered by another process. Wait for it, or stop it." in told
    with only_one(data), pytest.raises(InvalidInput), only_one(data):
        pass
    assert run(data)[0] == 0


def test_groups_are_the_same_however_much_of_them_is_answered():
    def task(name: str, sec: float, whole: bool) -> Task:
        return Task(Case(Path(name) / "input.wav", name), {}, sec, whole)

    lengths = {"a/1": 5.0, "a/2": 1.0, "a/3": 4.0, "a/4": 2.0, "b/1": 3.0}

    def groups(*whole: str) -> list[list[str]]:
        tasks = [task(name, sec, name in whole) for name, sec in lengths.items()]
        return [[each.case.name for each in group] for group in open_groups(tasks, 2)]

    assert groups() == [["a/2", "a/4"], ["a/3", "a/1"], ["b/1"]]
    assert groups("a/2", "a/3") == groups()
    assert groups("a/2", "a/4", "b/1") == [["a/3", "a/1"]]
    assert groups(*lengths) == []


def test_the_time_left_counts_from_what_was_answered():
    clock = Clock()
    progress = Progress(3, 300.0, StringIO(), clock)
    assert progress.left() == ""
    progress.stepped(30.0)
    clock.now += 9.0
    assert progress.left() == " 81 s left."
    clock.now += 591.0
    assert progress.left() == " 1 h 30 min left."
    progress.gave_up("3", "It cannot be read.")
    progress.skipped(200.0)
    assert progress.left() == " 23 min left."
    progress.stepped(70.0)
    assert progress.left() == ""


class Terminal(StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_shows_a_bar_and_failures_above_it(monkeypatch: pytest.MonkeyPatch):
    terminal = Terminal()
    progress = Progress(2, 10.0, terminal, Clock())
    progress.stepped(5.0)
    progress.finished("1/input.wav", "5.0 s")
    progress.gave_up("2/input.wav", "It cannot be read.")
    progress.close()
    shown = terminal.getvalue()
    assert "2 of 2 recordings" in shown
    assert "2/input.wav could not be answered: It cannot be read.\n" in shown
    assert "1/input.wav" not in shown


def test_a_length_that_the_header_does_not_tell(tmp_path: Path):
    (tmp_path / "x.wav").write_bytes(b"junk")
    assert sound_length.sound_sec_of(tmp_path / "x.wav") == 0.0
    assert sound_length.sound_sec_of(tmp_path / "no.wav") == 0.0
    put(tmp_path / "y.wav", pause(1.5))
    assert sound_length.sound_sec_of(tmp_path / "y.wav") == 1.5
