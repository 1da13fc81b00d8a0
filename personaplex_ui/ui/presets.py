"""Roles to start from: the PersonaPlex README's example prompts, word for word, in static/presets.json."""

import json
from dataclasses import dataclass
from importlib.resources import files


@dataclass(frozen=True, slots=True)
class Preset:
    """A role with its title, under the heading ``group``."""

    title: str
    group: str
    text_prompt: str


PRESETS = tuple(
    Preset(**preset)
    for preset in json.loads(
        files("personaplex_ui.ui.static").joinpath("presets.json").read_text(encoding="utf-8")
    )
)
