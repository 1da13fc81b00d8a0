"""Roles to start from: the PersonaPlex README's example prompts, word for word, in static/presets.json."""

import json
from dataclasses import dataclass
from importlib.resources import files
from typing import Any


@dataclass(frozen=True, slots=True)
class Preset:
    """A role with its title, under the heading ``group``.

    ``id`` goes into links and browsers' storage, so it never changes. ``short``, ``subtitle`` and
    ``initials`` stand on its card, ``headline`` over the button; ``featured``: on the page without asking for
    all roles. ``suggestions``: three things to try in the call.
    """

    id: str
    title: str
    short: str
    headline: str
    subtitle: str
    initials: str
    featured: bool
    group: str
    suggestions: tuple[str, ...]
    text_prompt: str


def _load() -> tuple[Preset, ...]:
    text = files("personaplex_ui.ui.static").joinpath("presets.json").read_text(encoding="utf-8")
    entries: list[dict[str, Any]] = json.loads(text)
    return tuple(Preset(suggestions=tuple(entry.pop("suggestions")), **entry) for entry in entries)


PRESETS = _load()
