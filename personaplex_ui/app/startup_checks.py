"""Checks at startup, which refuse or warn: roles, voices, folders and secrets in the settings."""

import logging
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from starlette.routing import BaseRoute, Mount, Route, WebSocketRoute

from personaplex_ui.calls.cue_filter import without_cues
from personaplex_ui.calls.cues import Cues
from personaplex_ui.calls.settings import check_prompt
from personaplex_ui.channels.twilio.personas import PhonePersonas
from personaplex_ui.config.settings import Settings, revealed
from personaplex_ui.engine.speech_model import Persona, SpeechModel, check_persona
from personaplex_ui.errors import InvalidInput, SettingsError
from personaplex_ui.routing.router import AskOptions
from personaplex_ui.voices.catalogue import CATALOGUE_PATH, load_catalogue
from personaplex_ui.voices.library import VoiceLibrary

log = logging.getLogger(__name__)

UNDESCRIBED = ("/api", "/ws", "/login", "/logout", "/operator", "/moshi", "/page", "/docs", "/telephone")
"""Paths of ours that OpenAPI does not tell: websockets, pages, and what middleware answers."""

SHORT_KEY_LETTERS = 16
SHORT_PASSWORD_CHARACTERS = 8


def with_checked_role(settings: Settings) -> Settings:
    """``settings`` with the default role as it is used. Raises SettingsError: no call could use it."""
    try:
        role = check_prompt(settings.default_text_prompt)
    except InvalidInput as error:
        raise SettingsError(f"DEFAULT_TEXT_PROMPT: {error}") from error
    return settings.model_copy(update={"default_text_prompt": role})


def ask_options(settings: Settings) -> AskOptions:
    """Raises SettingsError: what is said while an answer is looked for would itself ask for one."""
    filler = settings.ask_filler
    if without_cues(filler, Cues(ask=settings.ask_phrases)) != filler:
        raise SettingsError(
            "ASK_FILLER contains one of ASK_PHRASES, so it would never be heard. Change one of them.",
            "ASK_FILLER",
        )
    return AskOptions(filler, float(settings.ask_seconds))


def check_instance_path(path: str, app: FastAPI) -> None:
    """Raises SettingsError: the app has something at INSTANCE_PATH, or below it."""
    if path and path.lower() in {*UNDESCRIBED, *_first_segments(app)}:
        raise SettingsError(
            f"INSTANCE_PATH is {path}, where this app has pages of its own. Choose another, as in /gpu-1.",
            "INSTANCE_PATH",
        )


def _first_segments(app: FastAPI) -> Iterator[str]:
    """Of every path that a request or a websocket can have, Gradio's among them."""
    for path in (*app.openapi()["paths"], *_paths(app.routes)):
        yield "/" + path.split("/")[1].lower()


def _paths(routes: Iterable[BaseRoute], before: str = "") -> Iterator[str]:
    for route in routes:
        if isinstance(route, Route | WebSocketRoute):
            yield before + route.path
        elif isinstance(route, Mount):
            yield f"{before}{route.path}/"
            yield from _paths(route.routes, before + route.path)
        else:  # FastAPI keeps a router that was included as one entry
            included: Any = route
            yield from _paths(included.original_router.routes, before + included.include_context.prefix)


def make_recordings_folder(folder: Path) -> None:
    """Raises SettingsError: nothing can be written there."""
    why = ""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        why = error.strerror or "it cannot be created"
    else:
        if not os.access(folder, os.W_OK | os.X_OK):
            why = "Permission denied"
    if why:
        raise SettingsError(
            f"RECORDINGS_DIR is {str(folder)!r}, but nothing can be written there: {why}. "
            "Set it to a folder that the server may write to."
        )


def gather_voices(settings: Settings) -> VoiceLibrary:
    """Raises SettingsError: the folder for voices is a file, or the default voice does not exist."""
    folder, default = settings.voices_dir, settings.default_voice_prompt
    if folder is not None and not folder.is_dir():
        if folder.exists():
            raise SettingsError(f"VOICES_DIR is {str(folder)!r}, which is not a folder. Correct the path.")
        # The image names a folder that a mounted one may lack: not a reason to refuse.
        log.warning(
            "VOICES_DIR is %r, but there is no such folder. Create it, or correct the path.", str(folder)
        )
    folders = (*([folder] if folder else []), CATALOGUE_PATH.parent)
    voices = VoiceLibrary(load_catalogue(CATALOGUE_PATH), folders, default)
    if default not in voices.names():
        raise SettingsError(
            f"DEFAULT_VOICE_PROMPT is {default!r}, but there is no such voice. "
            f"Use one of {', '.join(voices.names())}."
        )
    return voices


def warn_of_short_secrets(settings: Settings) -> None:
    for sentence in short_secrets(settings):
        log.warning("%s", sentence)


def short_secrets(settings: Settings) -> Iterator[str]:
    """A sentence for each secret that can be guessed."""
    password, key = revealed(settings.app_password), revealed(settings.api_key)
    if password and len(password) < SHORT_PASSWORD_CHARACTERS:
        least = SHORT_PASSWORD_CHARACTERS
        yield f"APP_PASSWORD is short enough to be guessed. Use {least} characters or more."
    if key and len(key) < SHORT_KEY_LETTERS:
        yield "API_KEY is short enough to be guessed. Generate one with: openssl rand -hex 24"


def warn_of_misfits(model: SpeechModel, default: Persona, phone: PhonePersonas) -> None:
    """Warn of default personas in the settings that ``model`` cannot use. Blocks while it reads voices."""
    for sentence in _misfits(model, default, phone):
        log.warning("%s", sentence)


def _misfits(model: SpeechModel, default: Persona, phone: PhonePersonas) -> Iterator[str]:
    if trouble := _misfit(model, default):
        name = "DEFAULT_VOICE_PROMPT" if trouble.field == "voice" else "DEFAULT_TEXT_PROMPT"
        yield f"{name} cannot be used as the default: {trouble}"
    for entry, chosen in phone.entries():
        persona = Persona(
            default.voice if chosen.voice is None else chosen.voice,
            default.text_prompt if chosen.text_prompt is None else chosen.text_prompt,
        )
        if persona != default and (trouble := _misfit(model, persona)):
            yield f"PHONE_PERSONAS: {entry} cannot be used: {trouble}"


def _misfit(model: SpeechModel, persona: Persona) -> InvalidInput | None:
    """Why ``model`` cannot play ``persona``."""
    try:
        check_persona(model, persona)
    except InvalidInput as error:
        return error
    return None
