"""The command itself: options in, an exit code out, and every failure in a sentence."""

import sys
from collections.abc import Sequence

from personaplex_ui.errors import PersonaplexError
from personaplex_ui.offline.arguments import read_request

INTERRUPTED = 130

FULL = (
    "The memory was full. Answer fewer recordings at once with --batch, or add --quantize int8; on a GPU, "
    "--cpu-offload helps too."
)

UNEXPECTED = "This failed in a way nobody thought of; please report it with these words:"

AS_OPTIONS = (
    ("CPU_OFFLOAD=1", "--cpu-offload"),
    ("QUANTIZE=", "--quantize "),
    ("DEVICE=", "--device "),
    ("DEVICE", "--device"),
    ("HF_REPO", "--model"),
    ("MAX_CALLS=", "--batch "),
    ("tart the app again", "tart this again"),
)
"""The loader's sentences name the variables of the app."""


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit code: 0, 1 with a sentence, or 130 after Ctrl-C. Exits with 2 when the options are wrong."""
    try:
        request = read_request(arguments)
        # What reads sound and voices takes a second to import, which --help can do without.
        from personaplex_ui.offline.answering import answer_files

        answer_files(request)
    except KeyboardInterrupt:
        return INTERRUPTED
    except PersonaplexError as error:
        sentence = str(error)
    except Exception as error:  # whatever comes, nobody is to read a traceback
        if _is_interrupt(error):
            return INTERRUPTED
        sentence = FULL if _is_full(error) else f"{UNEXPECTED} {type(error).__name__}: {error}"
    else:
        return 0
    for variable, option in AS_OPTIONS:
        sentence = sentence.replace(variable, option)
    print(sentence, file=sys.stderr)
    return 1


def _is_full(error: Exception) -> bool:
    # torch's own class is not imported here.
    return isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError"


def _is_interrupt(error: BaseException) -> bool:
    """Whether Ctrl-C is behind it: an extension module that it meets in its import raises its own error."""
    behind: BaseException | None = error
    while behind is not None and not isinstance(behind, KeyboardInterrupt):
        behind = behind.__cause__ or behind.__context__
    return behind is not None
