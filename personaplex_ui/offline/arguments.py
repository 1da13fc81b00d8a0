"""The options of the command line, and the check of all that can be checked without opening a file."""

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from personaplex_ui.calls.settings import check_prompt, check_sampling
from personaplex_ui.config.settings import Quantize, Settings
from personaplex_ui.engine.speech_model import Sampling
from personaplex_ui.errors import InvalidInput

LARGEST_BATCH = 64

DESCRIPTION = "Answers recordings with PersonaPlex, as if each of them were a caller."
EPILOG = """\
Several recordings: give --input-wav once for each, and the outputs as often, in the same order. They are
answered in one batch, all by the same persona. The files of each are written as soon as its answer is whole.
"""


@dataclass(frozen=True, slots=True)
class Clip:
    """One recording, and where its answer is to go."""

    input: Path
    wav: Path
    text: Path
    tokens: Path | None

    @property
    def outputs(self) -> tuple[Path, ...]:
        return (self.wav, self.text, *([self.tokens] if self.tokens else []))


@dataclass(frozen=True, slots=True)
class Request:
    """What is to be done. ``voice``: a preset's name or a path, as it was given."""

    model: str
    revision: str | None
    device: str
    dtype: str | None
    quantize: bool
    cpu_offload: bool
    voice: str
    voice_folder: Path | None
    text_prompt: str
    sampling: Sampling
    clips: tuple[Clip, ...]
    batch: int


class _Given(argparse.Namespace):
    """Each option as it is written; those with a value here need not be."""

    model: str
    revision: str | None = None
    device: str
    dtype: str | None = None
    quantize: str
    cpu_offload: bool = False
    voice_prompt: str
    voice_prompt_dir: Path | None = None
    text_prompt: str
    input_wav: list[Path]
    output_wav: list[Path]
    output_text: list[Path]
    output_tokens: list[Path] | None = None
    seed: str | None = None
    greedy: bool = False
    temp_audio: str
    temp_text: str
    topk_audio: str
    topk_text: str
    batch: int


def read_request(arguments: Sequence[str] | None) -> Request:
    """``arguments`` are those after the program's name, by default its own.

    Exits with 2 and a sentence when they cannot be used, with 0 for ``--help``.
    """
    parser = _parser()
    given = parser.parse_args(arguments, namespace=_Given())
    try:
        return Request(
            given.model,
            given.revision,
            given.device,
            given.dtype,
            given.quantize == Quantize.INT8,
            given.cpu_offload,
            given.voice_prompt,
            given.voice_prompt_dir,
            check_prompt(given.text_prompt),
            _sampling(given),
            _clips(given),
            given.batch,
        )
    except InvalidInput as error:
        parser.error(str(error))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="personaplex-ui offline",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
        argument_default=argparse.SUPPRESS,  # only where there is a default is one to be told
        allow_abbrev=False,
    )
    defaults = Settings.from_mapping({})
    _add_files(parser.add_argument_group("files"))
    _add_persona(parser.add_argument_group("persona"), defaults)
    _add_sampling(parser.add_argument_group("how tokens are drawn"))
    _add_model(parser.add_argument_group("model"), defaults)
    return parser


class _Options(Protocol):
    """What is used of a group of options: its own class is private to argparse."""

    @property
    def add_argument(self) -> Callable[..., object]: ...


def _add_files(files: _Options) -> None:
    for option, required, told in (
        ("--input-wav", True, "the caller's sound, of any usual format"),
        ("--output-wav", True, "the answer: WAV, 24 kHz, mono, as long"),
        ("--output-text", True, "what was said: a JSON list of lines with their times"),
        ("--output-tokens", False, ".npy, int32 [frames, 9]: text, then 8 codebooks"),
    ):
        files.add_argument(option, type=_path, action="append", required=required, metavar="FILE", help=told)


def _add_persona(persona: _Options, defaults: Settings) -> None:
    persona.add_argument(
        "--voice-prompt",
        default=defaults.default_voice_prompt,
        metavar="VOICE",
        help="a preset's name, or the path of a .pt or of a recording (.wav)",
    )
    persona.add_argument("--voice-prompt-dir", type=_path, metavar="DIR", help="a folder with more voices")
    persona.add_argument(
        "--text-prompt", default=defaults.default_text_prompt, metavar="TEXT", help="the role; may be empty"
    )


def _add_sampling(drawing: _Options) -> None:
    usual = Sampling()
    drawing.add_argument("--seed", metavar="N", help="gives the same answers again; else each has its own")
    drawing.add_argument("--greedy", action="store_true", help="always the most likely token")
    for option, default, told in (
        ("--temp-audio", usual.audio_temperature, "temperature of the sound"),
        ("--temp-text", usual.text_temperature, "temperature of the text"),
        ("--topk-audio", usual.audio_top_k, "candidates for a token of the sound"),
        ("--topk-text", usual.text_top_k, "candidates for a token of the text"),
    ):
        drawing.add_argument(option, default=default, metavar="X", help=told)


def _add_model(model: _Options, defaults: Settings) -> None:
    model.add_argument("--model", default=defaults.hf_repo, help="a folder, or a repository of the hub")
    model.add_argument("--revision", metavar="REV", help="a branch, tag or commit of that repository")
    model.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto", help="where it runs")
    model.add_argument(
        "--dtype",
        choices=("float32", "bfloat16"),
        help="of the numbers; else bfloat16 on a GPU, float32 on a CPU",
    )
    model.add_argument(
        "--quantize",
        choices=[choice.value for choice in Quantize],
        default=defaults.quantize.value,
        help="int8: the weights take half the memory, with nearly the same answers",
    )
    model.add_argument(
        "--cpu-offload", action="store_true", help="keep the weights in host memory: slow, for small GPUs"
    )
    model.add_argument(
        "--batch", type=_batch, default=8, metavar="N", help="how many are answered at once at most"
    )


def _path(value: str) -> Path:
    if not value or "\0" in value:
        raise argparse.ArgumentTypeError("it must be a path.")
    return Path(value).expanduser()


def _batch(value: str) -> int:
    if not value.isdecimal() or not 1 <= int(value) <= LARGEST_BATCH:
        raise argparse.ArgumentTypeError(f"it must be a whole number from 1 to {LARGEST_BATCH}.")
    return int(value)


def _clips(given: _Given) -> tuple[Clip, ...]:
    count = len(given.input_wav)
    for option, paths in (
        ("--output-wav", given.output_wav),
        ("--output-text", given.output_text),
        ("--output-tokens", given.output_tokens),
    ):
        if paths is not None and len(paths) != count:
            raise InvalidInput(
                "audio",
                f"{option} must be given as often as --input-wav, in the same order: {len(paths)} and "
                f"{count} were given.",
            )
    tokens = given.output_tokens or [None] * count
    clips = tuple(map(Clip, given.input_wav, given.output_wav, given.output_text, tokens))
    read = {path.resolve() for path in given.input_wav}
    written: set[Path] = set()
    for path in (path for clip in clips for path in clip.outputs):
        if path.resolve() in read | written:
            raise InvalidInput("audio", f"{path} is named for more than one file. Name another one.")
        written.add(path.resolve())
    return clips


def _sampling(given: _Given) -> Sampling:
    return check_sampling(
        text_temperature=given.temp_text,
        audio_temperature=given.temp_audio,
        text_top_k=given.topk_text,
        audio_top_k=given.topk_audio,
        seed=given.seed,
        greedy=given.greedy,
    )
