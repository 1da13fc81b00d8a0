"""The HTML of the page's own parts, which the modules in static/page/ bring to life."""

from personaplex_ui.ui.presets import PRESETS
from personaplex_ui.ui.rendering import render
from personaplex_ui.voices.catalogue import Voice
from personaplex_ui.voices.library import VoiceLibrary

OWN_TITLE = "Your own role"


def masthead_html() -> str:
    """Name and pill; the tab bar is laid over it."""
    return render("masthead")


def stage_html(voices: VoiceLibrary, default_prompt: str) -> str:
    """The card, as it is before anything was chosen."""
    titles = (preset.headline for preset in PRESETS if preset.text_prompt == default_prompt)
    chosen = next((voice for voice in voices.offered() if voice.name == voices.default), None)
    return render("stage", title=next(titles, OWN_TITLE), voice=in_words(chosen) if chosen else "")


def in_words(voice: Voice) -> str:
    """``with Nora, a natural female voice``; before.mjs says the same."""
    return f"with {voice.person or voice.label}" + (f", {voice.about}" if voice.about else "")


def next_call_html() -> str:
    """Between the stage and the persona."""
    return render("next_call")


def roles_html() -> str:
    return render("roles")


def voices_html() -> str:
    return render("voices")


def share_html() -> str:
    return render("share")


def earlier_html() -> str:
    return render("earlier")


def engine_help_html() -> str:
    """For whoever runs the server."""
    return render("engine_help")


def operator_html() -> str:
    """At the end of the settings."""
    return render("operator_entry")


def call_bar_html() -> str:
    """Outside of the tabs, so that a call can be ended on each of them."""
    return render("call_bar_holder")


def kept_html() -> str:
    """What the browser keeps, and the button to forget it."""
    return render("kept")
