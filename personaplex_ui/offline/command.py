"""The command itself: options in, an exit code out, and every failure in a sentence."""

import sys
from collections.abc import Sequence

from personaplex_ui.errors import PersonaplexError, as_variable
from personaplex_ui.offline.arguments import read_request
from personaplex_ui.offline.interrupt import INTERRUPTED

FULL = (
    "The memory was full. Answer fewer recordings at once with --batch, or add --quantize int8; on a GPU, "
    "--cpu-offload helps too."
)

UNEXPECTED = "Unexpected error; please report it with these words:"

OPTIONS = {
    "CPU_OFFLOAD": "--cpu-offload",
    "DEVICE": "--device",
    "HF_REPO": "--model",
    "HF_REVISION": "--revision",
    "MAX_CALLS": "--batch",
    "QUANTIZE": "--quantize",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit code: 0, 1 with a sentence, or 130 after Ctrl-C. Exits with 2 when the options are wrong."""
    given = sys.argv[1:] if arguments is None else arguments
    try:
        match list(given[:1]):
            case ["folder"]:
                return _answer_folder(given[1:])
            case ["report"]:
                return _report(given[1:])
            case _:
                return _answer_files(given)
    except KeyboardInterrupt:
        return INTERRUPTED
    except PersonaplexError as error:
        sentence = error.worded(_as_option)
    except Exception as error:  # users should not see a traceback
        if is_interrupt(error):
            return INTERRUPTED
        sentence = FULL if _is_full(error) else f"{UNEXPECTED} {type(error).__name__}: {error}"
    print(sentence, file=sys.stderr)
    return 1


def _answer_files(arguments: Sequence[str]) -> int:
    request = read_request(arguments)
    # The readers of sound and voices take a second to import, which --help does not need.
    from personaplex_ui.offline.answering import answer_files

    answer_files(request)
    return 0


def _answer_folder(arguments: Sequence[str]) -> int:
    from personaplex_ui.offline.folder.command import main as answer_folder

    return answer_folder(arguments)


def _report(arguments: Sequence[str]) -> int:
    from personaplex_ui.offline.report_command import report

    return report(arguments)


def _as_option(name: str, value: str) -> str:
    """This command line's name for a setting of the app."""
    if name not in OPTIONS:
        return as_variable(name, value)
    is_flag = name == "CPU_OFFLOAD"
    return f"{OPTIONS[name]} {value}" if value and not is_flag else OPTIONS[name]


def _is_full(error: Exception) -> bool:
    # Torch's own class is not imported here.
    return isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError"


def is_interrupt(error: BaseException) -> bool:
    """Whether Ctrl-C caused it: an extension module interrupted while being imported raises its own error."""
    behind: BaseException | None = error
    while behind is not None and not isinstance(behind, KeyboardInterrupt):
        behind = behind.__cause__ or behind.__context__
    return behind is not None
