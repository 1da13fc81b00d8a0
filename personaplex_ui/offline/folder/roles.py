"""The role for each case: the case's own, the one asked for, or the one that NVIDIA names for its dataset.

Source: "Prompting Guide" in https://github.com/NVIDIA/personaplex, and in Full-Duplex-Bench
``v1_v1.5/model_inference/personaplex``. For version 1.5 nothing else is prescribed than for the task
``user_interruption``.
"""

import os
from collections.abc import Callable

from personaplex_ui.audio.files.regular_file import open_regular
from personaplex_ui.errors import InvalidInput
from personaplex_ui.offline.folder.cases import Case

ROLE_FILE = "role.txt"
LARGEST_ROLE_BYTES = 64_000

TEACHER = (
    "You are a wise and friendly teacher. Answer questions or provide advice in a clear and engaging way."
)
CONVERSATION = "You enjoy having a good conversation."

PRESCRIBED = {
    "candor_pause_handling": CONVERSATION,
    "candor_turn_taking": CONVERSATION,
    "icc_backchannel": CONVERSATION,
    "synthetic_pause_handling": CONVERSATION,
    "synthetic_user_interruption": TEACHER,
    "backchannel": CONVERSATION,
    "pause_handling": CONVERSATION,
    "smooth_turn_taking": CONVERSATION,
    "user_interruption": TEACHER,
}
"""By the dataset's folder: the data's own names, and those of the tasks."""


def role_of(case: Case, asked_for: str | None, usual: str, check: Callable[[str], str]) -> str:
    """``role.txt`` in the case's folder, else ``asked_for``, else the one prescribed for its dataset, else
    ``usual``. ``check``: trims a role, and raises InvalidInput if it cannot be used.

    Raises:
        InvalidInput: the case's own role cannot be read or used.
    """
    own = case.folder / ROLE_FILE
    if os.path.lexists(own):
        try:
            with open_regular(own) as file:
                return check(file.read(LARGEST_ROLE_BYTES).decode("utf-8-sig"))
        except (OSError, UnicodeDecodeError) as error:
            raise InvalidInput(
                "text_prompt", f"{ROLE_FILE} cannot be read. Save it as UTF-8 text, or remove it."
            ) from error
        except InvalidInput as error:
            raise InvalidInput("text_prompt", f"{ROLE_FILE}: {error}") from error
    if asked_for is not None:
        return asked_for
    return PRESCRIBED.get(dataset_of(case), usual)


def dataset_of(case: Case) -> str:
    """The name of the case's data set: the first of its names that is known, else the one it was found
    by."""
    names = case.dataset_names
    return next((name for name in names if name in PRESCRIBED), names[0])
