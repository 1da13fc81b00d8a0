"""The options of the command line, and all checks that do not need to open a file."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from personaplex_ui.config.settings import EngineChoice, Quantize, Settings
from personaplex_ui.engine.speech_model import Sampling
from personaplex_ui.errors import InvalidInput

LARGEST_BATCH = 64

OptionGroups: TypeAlias = dict[str, dict[str, dict[str, Any]]]
"""By title and name: argparse's arguments for each option."""

DESCRIPTION = "Answers recordings, as if each of them were a caller."
EPILOG = """\
Several recordings: give --input-wav once for each, and the outputs as often, in the same order. They are
answered in one batch, all by the same persona. The files of each are written once its answer is complete.

A folder of recordings, such as Full-Duplex-Bench's data: personaplex-ui offline folder --help.
"personaplex-ui offline report RECORDING.wav" measures how the two sides of a call take turns.
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


class PersonaAndModel(argparse.Namespace):
    """The options that say who answers and how, as given; those with a default here are optional. ``voice``:
    a preset's name or a path."""

    engine: EngineChoice
    model: str
    revision: str | None = None
    device: str
    dtype: str | None = None
    quantize: str
    cpu_offload: bool = False
    forget_persona: bool = False
    batch: int
    voice: str
    voice_folder: Path | None = None
    text_prompt: str
    seed: str | None = None
    greedy: bool = False
    sampling: Sampling


class Request(PersonaAndModel):
    """All options, and the recordings that they name."""

    input_wav: list[Path]
    output_wav: list[Path]
    output_text: list[Path]
    output_tokens: list[Path] | None = None
    clips: tuple[Clip, ...]


def read_request(arguments: Sequence[str] | None) -> Request:
    """``arguments`` are those after the program's name, by default its own.

    Exits with 2 and a sentence when they cannot be used, with 0 for ``--help``.
    """
    parser = parser_of("personaplex-ui offline", DESCRIPTION, EPILOG, option_groups())
    request = parser.parse_args(arguments, namespace=Request())
    try:
        check_persona(request)
        request.clips = _clips(request)
    except InvalidInput as error:
        parser.error(str(error))
    return request


def parser_of(prog: str, description: str, epilog: str, groups: OptionGroups) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=prog,
        description=description,
        epilog=epilog,
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
        argument_default=argparse.SUPPRESS,  # help mentions only real defaults
        allow_abbrev=False,
    )
    for title, options in groups.items():
        group = parser.add_argument_group(title)
        for name, values in options.items():
            group.add_argument(name, **values)
    return parser


def check_persona(request: PersonaAndModel) -> None:
    """Check the role, and put together engine and sampling. Raises InvalidInput."""
    # Imported late: it imports the sound readers, which --help does not need.
    from personaplex_ui.calls.settings import check_prompt, check_sampling

    request.engine = EngineChoice(request.engine)
    request.text_prompt = check_prompt(request.text_prompt)
    names = ("text_temperature", "audio_temperature", "text_top_k", "audio_top_k", "seed", "greedy")
    request.sampling = check_sampling(**{name: getattr(request, name) for name in names})


def option_groups() -> OptionGroups:
    """Of the whole command. The files' group comes first."""
    usual, sampling = Settings.from_mapping({}), Sampling()
    a_file: dict[str, Any] = {"type": given_path, "action": "append", "metavar": "FILE", "required": True}
    return {
        "files": {
            "--input-wav": {**a_file, "help": "the caller's sound, in any common format"},
            "--output-wav": {**a_file, "help": "the answer: WAV, 24 kHz, mono, of the same length"},
            "--output-text": {**a_file, "help": "what was said: a JSON list of utterances with their times"},
            "--output-tokens": {
                **a_file,
                "required": False,
                "help": ".npy, int32 [frames, 9]: text, then 8 codebooks",
            },
        },
        "persona": {
            "--voice-prompt": {
                "default": usual.default_voice_prompt,
                "dest": "voice",
                "metavar": "VOICE",
                "help": "a preset's name, or the path of a .pt or of a recording (.wav)",
            },
            "--voice-prompt-dir": {
                "type": given_path,
                "dest": "voice_folder",
                "metavar": "DIR",
                "help": "a folder with more voices",
            },
            "--text-prompt": {
                "default": usual.default_text_prompt,
                "metavar": "TEXT",
                "help": "the role; may be empty",
            },
        },
        "how tokens are drawn": {
            "--seed": {"metavar": "N", "help": "makes answers reproducible; by default each run differs"},
            "--greedy": {"action": "store_true", "help": "always the most likely token"},
            **{
                option: {"default": getattr(sampling, name), "dest": name, "metavar": "X", "help": told}
                for option, name, told in (
                    ("--temp-audio", "audio_temperature", "temperature of the sound"),
                    ("--temp-text", "text_temperature", "temperature of the text"),
                    ("--topk-audio", "audio_top_k", "candidates for a token of the sound"),
                    ("--topk-text", "text_top_k", "candidates for a token of the text"),
                )
            },
        },
        "model": _model_options(usual),
    }


def _model_options(usual: Settings) -> dict[str, dict[str, Any]]:
    engines = (EngineChoice.PERSONAPLEX, EngineChoice.CASCADE, EngineChoice.ECHO)
    return {
        "--engine": {
            "choices": [engine.value for engine in engines],
            "default": EngineChoice.PERSONAPLEX.value,
            "help": "what answers; cascade needs neither a GPU nor PersonaPlex's weights, and is set up by "
            "the app's environment variables; the options below are PersonaPlex's but --batch",
        },
        "--model": {"default": usual.hf_repo, "help": "a folder, or a repository of the hub"},
        "--revision": {"metavar": "REV", "help": "a branch, tag or commit of that repository"},
        "--device": {"choices": ("auto", "cpu", "cuda"), "default": "auto", "help": "where it runs"},
        "--dtype": {
            "choices": ("float32", "bfloat16"),
            "help": "number type; by default bfloat16 on a GPU, float32 on a CPU",
        },
        "--quantize": {
            "type": _quantize,
            "choices": [choice.value for choice in Quantize],
            "default": Quantize.OFF.value,
            "help": "int8: the weights take half the memory, with nearly the same answers; auto: as the app",
        },
        "--forget-persona": {
            "action": "store_true",
            "help": "over 240 s, let voice and role fall out of the window first, as the reference does",
        },
        "--cpu-offload": {
            "action": "store_true",
            "help": "keep the weights in host memory: slow, for small GPUs",
        },
        "--batch": {
            "type": _batch,
            "default": 8,
            "metavar": "N",
            "help": "the most recordings answered at once",
        },
    }


def given_path(value: str) -> Path:
    if not value or "\0" in value:
        raise argparse.ArgumentTypeError("it must be a path.")
    return Path(value).expanduser()


def _quantize(value: str) -> str:
    return Quantize.OFF.value if value == "none" else value


def _batch(value: str) -> int:
    if not value.isdecimal() or not 1 <= int(value) <= LARGEST_BATCH:
        raise argparse.ArgumentTypeError(f"it must be a whole number from 1 to {LARGEST_BATCH}.")
    return int(value)


def _clips(given: Request) -> tuple[Clip, ...]:
    count = len(given.input_wav)
    if given.output_tokens and given.engine is not EngineChoice.PERSONAPLEX:
        raise InvalidInput(
            "audio", f"--output-tokens are PersonaPlex's. Leave them out with --engine {given.engine.value}."
        )
    tokens = given.output_tokens or [None] * count
    for option, paths in (("wav", given.output_wav), ("text", given.output_text), ("tokens", tokens)):
        if len(paths) != count:
            raise InvalidInput(
                "audio",
                f"--output-{option} must be given as often as --input-wav, in the same order: {len(paths)} "
                f"and {count} were given.",
            )
    clips = tuple(map(Clip, given.input_wav, given.output_wav, given.output_text, tokens))
    named = {path.resolve() for path in given.input_wav}
    for path in (path for clip in clips for path in clip.outputs):
        if path.resolve() in named:
            raise InvalidInput("audio", f"{path} is named for more than one file. Name another one.")
        named.add(path.resolve())
    return clips
