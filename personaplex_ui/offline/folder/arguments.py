"""The options of ``personaplex-ui offline folder``, and all checks that do not need to open a file."""

from collections.abc import Sequence
from pathlib import Path

from personaplex_ui.errors import InvalidInput
from personaplex_ui.offline.arguments import (
    PersonaAndModel,
    check_persona,
    given_path,
    option_groups,
    parser_of,
)

DESCRIPTION = """\
Answers every recording in a folder of Full-Duplex-Bench's layout, as if each of them were a caller: beside
each input.wav it writes output.wav, as long as it, and output.json, the assistant's own words with their
times; beside clean_input.wav, clean_output.wav and clean_output.json.
"""
EPILOG = """\
Run it again to go on where it was stopped: what is answered stays. The role is that of role.txt in a
recording's folder, or --text-prompt, or the one that NVIDIA names for the data set. Exits with 1 if a
recording could not be answered. docs/EVALUATION.md shows a whole evaluation.
"""

NO_DEFAULT = "by default the one that NVIDIA names for the data set, or else the app's"


class FolderRequest(PersonaAndModel):
    """``asked_role``: the role if one was asked for, empty or not."""

    folder: Path
    overwrite: bool = False
    asked_role: str | None = None


def read_folder_request(arguments: Sequence[str]) -> FolderRequest:
    """Exits with 2 and a sentence when the arguments cannot be used, with 0 for ``--help``."""
    groups = option_groups()
    del groups["files"]
    role = groups["persona"]["--text-prompt"]
    usual_role = role.pop("default")
    role["help"] = f"the role, which may be empty; {NO_DEFAULT}"
    groups["answers"] = {
        "--overwrite": {
            "action": "store_true",
            "help": "replace answers that others wrote, or that were given with other options",
        }
    }
    parser = parser_of("personaplex-ui offline folder", DESCRIPTION, EPILOG, groups)
    parser.add_argument(
        "folder", metavar="DIR", type=given_path, help="DIR/1/input.wav, DIR/2/input.wav, ..."
    )
    request = parser.parse_args(arguments, namespace=FolderRequest())
    asked = hasattr(request, "text_prompt")
    request.text_prompt = request.text_prompt if asked else usual_role
    try:
        check_persona(request)
    except InvalidInput as error:
        parser.error(str(error))
    request.asked_role = request.text_prompt if asked else None
    return request
