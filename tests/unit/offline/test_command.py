"""The command against the tiny checkpoint: token for token the reference; every failure a sentence."""

import json
import os

os.environ["NO_TORCH_COMPILE"] = "1"

import subprocess
import sys
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from shutil import copyfile

import numpy as np
import pytest
import soundfile
import torch

from personaplex_ui.audio.frames import FRAME_SAMPLES, Frame
from personaplex_ui.errors import setting
from personaplex_ui.models.personaplex.loading import load as loading
from personaplex_ui.models.personaplex.loading.checkpoint_files import CheckpointUnusable
from personaplex_ui.models.personaplex.loading.preset_voices import unpack_voices
from personaplex_ui.models.personaplex.model import PersonaPlexModel
from personaplex_ui.offline import answering
from personaplex_ui.offline.command import main
from tests.support.parity import CASES, DATA, TINY, read_case

ROOT = Path(__file__).parents[3]
USER = DATA / "cases" / "voice_preset" / "user.wav"
MODEL = ["--model", str(TINY), "--device", "cpu", "--dtype", "float32", "--greedy"]
FEW_FRAMES = 16
ROLE = ["--voice-prompt", "NATF0", "--text-prompt", "You enjoy having a good conversation."]


@pytest.fixture(autouse=True)
def _one_thread() -> None:  # pyright: ignore[reportUnusedFunction]
    torch.set_num_threads(1)


def files(folder: Path, number: int, user: Path) -> list[str]:
    return [
        *("--input-wav", str(user)),
        *("--output-wav", str(folder / f"{number}.wav")),
        *("--output-text", str(folder / f"{number}.json")),
        *("--output-tokens", str(folder / f"{number}.npy")),
    ]


def beginning(folder: Path) -> Path:
    """The first frames of ``USER``: enough to see whose voice answers, and soon answered."""
    path = folder / "beginning.wav"
    soundfile.write(path, soundfile.read(USER)[0][: FEW_FRAMES * FRAME_SAMPLES], 24_000)
    return path


def options_of(name: str) -> list[str]:
    """Persona and sound of a case, as its case.json names them."""
    folder = DATA / "cases" / name
    facts = json.loads((folder / "case.json").read_text())
    voice = facts["voice"] if facts["voice"].endswith(".pt") else str(folder / facts["voice"])
    return ["--voice-prompt", voice, "--text-prompt", facts["text_prompt"]]


def assert_parity(folder: Path, number: int, name: str) -> None:
    case = read_case(name)
    tokens = np.load(folder / f"{number}.npy")
    assert tokens.dtype == np.int32
    assert tokens.shape == (len(case.user), 9)
    assert np.array_equal(tokens[: len(case.tokens)], case.tokens)


def lasts(path: Path) -> int:
    """Samples at 24 kHz, mono."""
    facts = soundfile.info(path)
    assert (facts.samplerate, facts.channels) == (24_000, 1)
    return facts.frames


@pytest.mark.parametrize("name", CASES)
def test_the_cases(tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str):
    user = DATA / "cases" / name / "user.wav"
    forgetting = ["--forget-persona"] if name == "past_the_context_window" else []
    assert main([*MODEL, *forgetting, *options_of(name), *files(tmp_path, 0, user)]) == 0
    assert_parity(tmp_path, 0, name)
    assert lasts(tmp_path / "0.wav") == lasts(user)
    sound, _ = soundfile.read(tmp_path / "0.wav", dtype="float32")
    expected = read_case(name).pcm.ravel()
    length = min(len(sound), len(expected))
    assert np.max(np.abs(sound[:length] - np.clip(expected[:length], -1, 1))) < 2e-3
    lines = json.loads((tmp_path / "0.json").read_text(encoding="utf-8"))
    assert lines
    for line in lines:
        assert 0 <= line["start_sec"] < line["end_sec"] <= lasts(user) / 24_000 + 0.08
        assert line["text"]
    printed = capsys.readouterr()
    assert (printed.out, printed.err) == ("", ""), "there is no terminal to show a bar"


def test_as_a_process(tmp_path: Path):
    """From a folder that is not the repository's, without the variable that keeps moshi from compiling."""
    user = beginning(tmp_path)
    options = [*MODEL, *options_of("voice_preset"), *files(tmp_path, 0, user)]
    environment = {key: value for key, value in os.environ.items() if key != "NO_TORCH_COMPILE"}
    run = subprocess.run(
        [sys.executable, "-m", "personaplex_ui.offline", "--cpu-offload", *options],
        cwd=tmp_path,
        env={**environment, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    assert (run.returncode, run.stdout, run.stderr) == (0, "", "")
    expected = read_case("voice_preset").tokens[:FEW_FRAMES]
    assert np.array_equal(np.load(tmp_path / "0.npy"), expected)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0.json", "0.npy", "0.wav", user.name]


def test_int8_weights_answer_in_full_length(tmp_path: Path):
    options = ["--quantize", "int8", *options_of("voice_preset")]
    assert main([*MODEL, *options, *files(tmp_path, 0, USER)]) == 0
    expected = read_case("voice_preset").tokens
    tokens = np.load(tmp_path / "0.npy")
    assert len(tokens) >= len(expected)
    assert not np.array_equal(tokens[: len(expected)], expected), "nothing was quantized"


def test_two_inputs_in_one_batch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    other = DATA / "cases" / "custom_voice_no_prompt" / "user.wav"
    rows: list[int] = []
    step = PersonaPlexModel.step_tokens

    def watched(self: PersonaPlexModel, heard: dict[int, Frame], riding: None = None) -> object:
        rows.append(len(heard))
        return step(self, heard, riding)

    monkeypatch.setattr(PersonaPlexModel, "step_tokens", watched)
    persona = options_of("voice_preset")
    assert main([*MODEL, *persona, *files(tmp_path, 0, USER), *files(tmp_path, 1, other)]) == 0
    assert 2 in rows
    assert_parity(tmp_path, 0, "voice_preset")
    assert lasts(tmp_path / "1.wav") == lasts(other)
    rows.clear()
    again = [*MODEL, *persona, "--batch", "1", *files(tmp_path, 2, other), *files(tmp_path, 3, USER)]
    assert main(again) == 0
    assert set(rows) == {1}
    assert np.array_equal(np.load(tmp_path / "2.npy"), np.load(tmp_path / "1.npy"))
    assert_parity(tmp_path, 3, "voice_preset")


# Voices


@pytest.fixture
def presets(tmp_path: Path) -> Path:
    """A folder where NATM1 has the voice of NATF0, and the other way round."""
    folder, theirs = tmp_path / "voices", tmp_path / "presets"
    unpack_voices(TINY / "voices.tgz", theirs)
    folder.mkdir()
    for copy, original in (("NATF0", "NATM1"), ("NATM1", "NATF0"), ("mine", "NATF0")):
        copyfile(theirs / f"{original}.pt", folder / f"{copy}.pt")
    return folder


@pytest.mark.parametrize(
    ("voice", "in_folder", "is_natf0"),
    [
        ("mine", True, True),
        ("NATM1.pt", True, True),
        ("NATF0", True, False),
        ("{presets}/mine.pt", False, True),
        ("NATM1.pt", False, True),  # a file here comes before the preset of its name
        ("NATF0", False, True),  # no file has exactly this name
    ],
)
def test_where_a_voice_is_looked_for(
    tmp_path: Path,
    presets: Path,
    monkeypatch: pytest.MonkeyPatch,
    voice: str,
    in_folder: bool,
    is_natf0: bool,
):
    monkeypatch.chdir(tmp_path if in_folder else presets)
    folder = ["--voice-prompt-dir", str(presets)] if in_folder else []
    options = [*ROLE, *folder, "--voice-prompt", voice.format(presets=presets)]
    assert main([*MODEL, *options, *files(tmp_path, 0, beginning(tmp_path))]) == 0
    tokens = np.load(tmp_path / "0.npy")
    assert len(tokens) == FEW_FRAMES
    assert np.array_equal(tokens, read_case("voice_preset").tokens[:FEW_FRAMES]) is is_natf0


# What goes wrong


@pytest.fixture
def refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., str]:
    """Runs the command, which must end with 1 before the weights are read; the sentence."""

    def refuse(*options: str, user: Path = USER, folder: Path = tmp_path) -> str:
        def load(*arguments: object, **more: object) -> None:
            raise AssertionError("the weights are loaded")

        monkeypatch.setattr(loading, "load_language_model", load)
        assert main([*MODEL, *files(folder, 0, user), *options]) == 1
        printed = capsys.readouterr()
        assert printed.out == ""
        assert printed.err.count("\n") == 1
        assert not [path for path in tmp_path.iterdir() if path.suffix in (".npy", ".json", ".part")]
        return printed.err

    return refuse


def junk(path: Path) -> Path:
    path.write_bytes(b"RIFFjunk")
    return path


def sound(path: Path, samples: int) -> Path:
    soundfile.write(path, np.random.default_rng(1).normal(0, 0.1, samples), 24_000)
    return path


def test_inputs_and_outputs_that_cannot_be_used(
    tmp_path: Path, refused: Callable[..., str], monkeypatch: pytest.MonkeyPatch
):
    assert "There is no file no.wav. Correct --input-wav." in refused(user=Path("no.wav"))
    assert "There is no file" in refused(user=tmp_path)
    assert "junk.wav: This file cannot be read as audio." in refused(user=junk(tmp_path / "junk.wav"))
    assert "empty.wav: The audio file is empty" in refused(user=sound(tmp_path / "empty.wav", 0))
    assert f"there is no folder {tmp_path / 'no'}. Create it first." in refused(folder=tmp_path / "no")
    monkeypatch.setattr(answering, "LONGEST_INPUT_SEC", 2.0)
    assert "user.wav: " in refused()


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--voice-prompt", "NATX9.pt"], "There is no voice NATX9. There are: NATF0 and NATM1."),
        ([], "There is no voice NATF2. There are: NATF0 and NATM1."),
        (["--voice-prompt", "no/NATF0.pt"], "There is no file no/NATF0.pt."),
        (["--voice-prompt", str(TINY / "config.json")], "its name must end in .pt or .wav"),
        (["--voice-prompt-dir", "no"], "There is no folder no. Correct --voice-prompt-dir."),
        (["--voice-prompt", "{tmp}/short.wav"], "short.wav: "),
        (["--voice-prompt", "{tmp}/broken.pt"], "broken.pt is not a voice of PersonaPlex"),
        ([*ROLE, "--model", "{tmp}"], "lacks config.json"),
        ([*ROLE, "--model", "no such thing"], "--model is no such thing: there is no such folder"),
    ],
)
def test_voices_and_models_that_cannot_be_used(
    tmp_path: Path, refused: Callable[..., str], options: list[str], sentence: str
):
    sound(tmp_path / "short.wav", 24_000)
    junk(tmp_path / "broken.pt")
    assert sentence in refused(*[option.format(tmp=tmp_path) for option in options])


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_a_gpu_that_is_not_there(refused: Callable[..., str]):
    assert refused(*ROLE, "--device", "cuda") == (
        "--device asks for a GPU, but PyTorch finds none. Check it with nvidia-smi, or set --device cpu.\n"
    )


def test_a_role_that_does_not_fit(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    options = ["--voice-prompt", "NATF0", "--text-prompt", "long " * 300]
    assert main([*MODEL, *options, *files(tmp_path, 0, USER)]) == 1
    assert "The role is too long" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "code", "sentence"),
    [
        (KeyboardInterrupt(), 130, ""),
        (MemoryError(), 1, "The memory was full. Answer fewer recordings at once with --batch"),
        (torch.OutOfMemoryError("CUDA out of memory"), 1, "The memory was full."),
        (ZeroDivisionError("by zero"), 1, "please report it with these words: ZeroDivisionError: by zero"),
        (
            CheckpointUnusable(
                f"Set {setting('MAX_CALLS', 2)}, {setting('CPU_OFFLOAD', 1)}, {setting('QUANTIZE', 'int8')}, "
                f"{setting('HF_REPO')} or {setting('HF_TOKEN')}."
            ),
            1,
            "Set --batch 2, --cpu-offload, --quantize int8, --model or HF_TOKEN.",
        ),
    ],
)
def test_never_a_traceback(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    error: BaseException,
    code: int,
    sentence: str,
):
    def fail(*arguments: object) -> None:
        raise error

    monkeypatch.setattr(loading, "load_personaplex", fail)
    assert main([*MODEL, *ROLE, *files(tmp_path, 0, USER)]) == code
    printed = capsys.readouterr().err
    assert sentence in printed
    assert "Traceback" not in printed
    assert bool(printed) == bool(sentence)


def test_another_engine_answers_without_weights_or_a_gpu(tmp_path: Path):
    user = beginning(tmp_path)
    given = [argument for argument in files(tmp_path, 0, user) if argument != "--output-tokens"][:-1]
    assert main(["--engine", "echo", *given]) == 0
    assert lasts(tmp_path / "0.wav") == FEW_FRAMES * FRAME_SAMPLES
    assert isinstance(json.loads((tmp_path / "0.json").read_text()), list)


def test_weights_that_cannot_be_had_name_the_engine_without(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    def fail(*arguments: object) -> None:
        raise CheckpointUnusable(f"The hub cannot be reached. Set {setting('HF_REPO')} to a folder.")

    monkeypatch.setattr(loading, "load_personaplex", fail)
    assert main([*ROLE, *files(tmp_path, 0, USER)]) == 1
    assert capsys.readouterr().err == (
        "The hub cannot be reached. Set --model to a folder. Or answer with --engine cascade, which needs "
        "neither these weights nor a GPU.\n"
    )


def test_ctrl_c_in_the_middle_of_an_import(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """As pybind11 reports it."""

    def fail(*arguments: object) -> None:
        raise ImportError("initialization failed") from KeyboardInterrupt()

    monkeypatch.setattr(loading, "load_personaplex", fail)
    assert main([*MODEL, *ROLE, *files(tmp_path, 0, USER)]) == 130


def test_what_was_whole_before_a_fault_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    short = tmp_path / "in.wav"
    soundfile.write(short, soundfile.read(USER)[0][:10_000], 24_000)
    step = PersonaPlexModel.step_tokens
    steps = iter(range(1_000))

    def interrupted(self: PersonaPlexModel, heard: dict[int, Frame], riding: None = None) -> object:
        if next(steps) == 20:
            raise KeyboardInterrupt
        return step(self, heard, riding)

    monkeypatch.setattr(PersonaPlexModel, "step_tokens", interrupted)
    assert main([*MODEL, *ROLE, *files(tmp_path, 0, USER), *files(tmp_path, 1, short)]) == 130
    assert sorted(path.name for path in tmp_path.iterdir()) == ["1.json", "1.npy", "1.wav", "in.wav"]


class Terminal(StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_shows_how_far_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("COLUMNS", "100")
    assert main([*MODEL, *ROLE, *files(tmp_path, 0, beginning(tmp_path))]) == 0
    shown = terminal.getvalue()
    assert "Loading the model: " in shown
    assert "Warming up the model." in shown
    assert f"{FEW_FRAMES}/{FEW_FRAMES}" in shown
