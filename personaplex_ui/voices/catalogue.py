"""The voices that come with the model, by name, and the file that lists them."""

import json
from dataclasses import dataclass
from pathlib import Path

_IN_THE_PACKAGE = Path(__file__).with_name("catalogue.json")  # in a wheel
_IN_THE_CHECKOUT = Path(__file__).parents[2] / "voices" / "catalogue.json"

CATALOGUE_PATH = _IN_THE_PACKAGE if _IN_THE_PACKAGE.is_file() else _IN_THE_CHECKOUT


@dataclass(frozen=True, slots=True)
class Voice:
    """``name``: the model's own name (``NATF2``). ``label``: what people see, under the heading ``group``.

    ``person``: a first name for whoever speaks, and ``about`` a few words on the voice, such as "a natural
    female voice"; both are empty for a file that somebody dropped in. ``featured``: offered first.
    """

    name: str
    group: str
    label: str
    person: str = ""
    about: str = ""
    featured: bool = False


def load_catalogue(path: Path) -> tuple[Voice, ...]:
    """Read a JSON list of objects with ``name``, ``group`` and ``label``, in the order of the file.

    Raises:
        ValueError: the file does not contain such a list, or lists a name twice.
    """
    try:
        voices = tuple(Voice(**entry) for entry in json.loads(path.read_text(encoding="utf-8")))
    except (TypeError, ValueError) as error:
        raise ValueError(f"{path.name} must be a list of voices with name, group and label.") from error
    if len({voice.name for voice in voices}) != len(voices):
        raise ValueError(f"{path.name} lists a voice twice.")
    return voices
