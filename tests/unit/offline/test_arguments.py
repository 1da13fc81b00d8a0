"""Options that cannot be used end with 2 and a sentence before anything is opened or loaded."""

import subprocess
import sys
from pathlib import Path

import pytest

from personaplex_ui.config.settings import EngineChoice
from personaplex_ui.engine.speech_model import Sampling
from personaplex_ui.offline.arguments import read_request

ROOT = Path(__file__).parents[3]
ONE = ["--input-wav", "in.wav", "--output-wav", "out.wav", "--output-text", "out.json"]
TWO = [*ONE, "--input-wav", "in2.wav", "--output-wav", "out2.wav", "--output-text", "out2.json"]


def test_what_is_not_said_is_as_in_the_app():
    request = read_request(ONE)
    assert request.model == "nvidia/personaplex-7b-v1"
    assert request.voice == "NATF2"
    assert request.text_prompt == "You enjoy having a good conversation."
    assert request.sampling == Sampling(0.7, 0.8, 25, 250, None, False)
    assert (request.device, request.dtype, request.revision) == ("auto", None, None)
    assert (request.voice_folder, request.cpu_offload, request.batch) == (None, False, 8)
    assert request.quantize == "off"
    [clip] = request.clips
    assert (clip.input, clip.tokens) == (Path("in.wav"), None)
    assert clip.outputs == (Path("out.wav"), Path("out.json"))


def test_everything_said():
    said = (
        "--output-tokens ~/out.npy --model there --revision v2 --device cpu --dtype bfloat16 --cpu-offload "
        "--voice-prompt NATM1.pt --voice-prompt-dir more --seed 7 --greedy --temp-audio 0.9 --temp-text 1 "
        "--topk-audio 2048 --topk-text 500 --batch 3 --quantize int8"
    )
    request = read_request([*ONE, *said.split(), "--text-prompt", " Be brief. "])
    assert (request.model, request.revision, request.device) == ("there", "v2", "cpu")
    assert (request.dtype, request.cpu_offload, request.batch) == ("bfloat16", True, 3)
    assert request.quantize == "int8"
    assert (request.voice, request.voice_folder) == ("NATM1.pt", Path("more"))
    assert request.text_prompt == "Be brief."
    assert request.sampling == Sampling(1.0, 0.9, 500, 2048, 7, True)
    assert request.clips[0].tokens == Path.home() / "out.npy"


def test_the_former_name_of_no_int8_is_understood():
    assert read_request([*ONE, "--quantize", "none"]).quantize == "off"


def test_several_keep_their_order():
    first, second = read_request([*TWO, "--output-tokens", "a.npy", "--output-tokens", "b.npy"]).clips
    assert (first.input, first.wav, first.text, first.tokens) == tuple(
        map(Path, ("in.wav", "out.wav", "out.json", "a.npy"))
    )
    assert (second.input, second.wav, second.text, second.tokens) == tuple(
        map(Path, ("in2.wav", "out2.wav", "out2.json", "b.npy"))
    )


def test_no_role_and_a_seed_of_ones_own_each_time():
    request = read_request([*ONE, "--text-prompt", "", "--seed", "-1"])
    assert request.text_prompt == ""
    assert request.sampling.seed is None


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "required: --input-wav, --output-wav, --output-text"),
        (ONE[:-2], "required: --output-text"),
        (
            [*ONE, "--input-wav", "b"],
            "--output-wav must be given as often as --input-wav, in the same order: 1",
        ),
        ([*TWO[:-2]], "--output-text must be given as often as --input-wav"),
        ([*TWO, "--output-tokens", "a"], "--output-tokens must be given as often as --input-wav"),
        ([*ONE, "--output-tokens", "out.json"], "out.json is named for more than one file"),
        ([*ONE, "--output-tokens", "./sub/../in.wav"], "in.wav is named for more than one file"),
        ([*ONE, "--output-tokens", ""], "--output-tokens: it must be a path."),
        ([*ONE, "--seed", "1.5"], "The seed must be a whole number from 0 to 2,147,483,647"),
        ([*ONE, "--temp-audio", "0"], "The audio temperature must be a number above 0"),
        ([*ONE, "--temp-text", "warm"], "The text temperature must be a number above 0"),
        ([*ONE, "--topk-audio", "2049"], "The audio top-k must be a whole number from 1 to 2,048."),
        ([*ONE, "--topk-text", "0"], "The text top-k must be a whole number from 1 to 500."),
        ([*ONE, "--text-prompt", "x" * 2_001], "The role has 2,001 characters"),
        ([*ONE, "--batch", "0"], "--batch: it must be a whole number from 1 to 64."),
        ([*ONE, "--device", "tpu"], "--device: invalid choice: 'tpu'"),
        ([*ONE, "--dtype", "int8"], "--dtype: invalid choice: 'int8'"),
        ([*ONE, "--quantize", "int4"], "invalid choice: 'int4' (choose from "),
        ([*ONE, "--temp", "1"], "unrecognized arguments: --temp"),
    ],
)
def test_options_that_cannot_be_used(capsys: pytest.CaptureFixture[str], arguments: list[str], sentence: str):
    with pytest.raises(SystemExit) as ended:
        read_request(arguments)
    assert ended.value.code == 2
    printed = capsys.readouterr()
    assert sentence in printed.err
    assert printed.out == ""


def test_help_needs_neither_torch_nor_the_readers_of_sound():
    code = (
        "import sys, runpy\n"
        "sys.argv = ['offline', '--help']\n"
        "try: runpy.run_module('personaplex_ui.offline', run_name='__main__')\n"
        "except SystemExit as ended: assert not ended.code\n"
        "slow = {'torch', 'moshi', 'av', 'scipy', 'pyloudnorm', 'tqdm'} & set(sys.modules)\n"
        "assert not slow, slow"
    )
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert "--output-tokens FILE" in run.stdout
    assert "(default: NATF2)" in run.stdout
    assert "default: None" not in run.stdout


def test_another_engine_has_no_tokens(capsys: pytest.CaptureFixture[str]):
    assert read_request([*ONE, "--engine", "cascade"]).engine is EngineChoice.CASCADE
    with pytest.raises(SystemExit, match="2"):
        read_request([*ONE, "--engine", "cascade", "--output-tokens", "a.npy"])
    assert "Leave them out with --engine cascade." in capsys.readouterr().err
