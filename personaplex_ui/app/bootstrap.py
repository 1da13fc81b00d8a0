"""What the app is made of besides its page: voices, engine, call manager, endpoints; how they start and stop.

Knows which settings each of them gets; decides nothing else.
"""

import asyncio
import contextlib
import functools
import logging
import os
import time
from collections.abc import AsyncGenerator, Iterator
from pathlib import Path

from personaplex_ui.app.endpoints import Endpoints
from personaplex_ui.calls.limits import AddressLimits
from personaplex_ui.calls.manager import CallManager
from personaplex_ui.calls.settings import check_prompt
from personaplex_ui.calls.store import CallStore
from personaplex_ui.channels.clips.preview import Previews
from personaplex_ui.config.settings import Settings
from personaplex_ui.engine.engine import Engine
from personaplex_ui.engine.speech_model import Persona, SpeechModel, check_persona
from personaplex_ui.errors import InvalidInput, SettingsError
from personaplex_ui.models.factory import load_echo, load_speech_model
from personaplex_ui.voices.catalogue import CATALOGUE_PATH, load_catalogue
from personaplex_ui.voices.library import VoiceLibrary

log = logging.getLogger(__name__)


class AppParts:
    """One of each, for the whole app. Nothing is loaded or started before they are ``running``."""

    def __init__(self, settings: Settings) -> None:
        """Raises SettingsError: the default voice or role cannot be used, a folder, or what is said of the
        telephone."""
        role = _checked_role(settings.default_text_prompt)
        self._settings = settings = settings.model_copy(update={"default_text_prompt": role})
        _make_recordings_folder(settings.recordings_dir)
        self.voices = _gather_voices(settings)
        self.load_model = functools.partial(load_speech_model, settings, self.voices)
        self.load_echo = functools.partial(load_echo, settings, self.voices)
        trial = Persona(self.voices.default, settings.default_text_prompt)
        self.engine = Engine(self.load_model, settings.max_calls, settings.max_waiting, trial=trial)
        archive = CallStore(settings.recordings_dir, settings.recordings_keep_hours * 3600, time.time)
        limits = AddressLimits(settings.max_calls_per_address, settings.calls_per_minute, time.monotonic)
        self.call_manager = CallManager(self.engine, archive, settings.max_call_seconds, limits)
        self.endpoints = Endpoints(settings, self.call_manager, self.voices)
        self.previews = Previews(self.call_manager, self.voices, settings.default_text_prompt)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        """Each needs those that start before it, so they stop the other way round."""
        await self.engine.start()
        await self.call_manager.start()
        await self.endpoints.open()
        try:
            yield
        finally:
            await self.endpoints.close()
            await self.call_manager.close()
            await self.engine.close()

    async def warn_of_misfits(self, model: SpeechModel) -> None:
        """Log what ``model``, which was loaded, cannot use of what the settings give those who choose
        nothing."""
        for sentence in await asyncio.to_thread(lambda: list(self._misfits(model))):
            log.warning("%s", sentence)

    def _misfits(self, model: SpeechModel) -> Iterator[str]:
        """Blocks: the voices are read."""
        role = self._settings.default_text_prompt
        default = Persona(self.voices.default, role)
        if trouble := _misfit(model, default):
            name = "DEFAULT_VOICE_PROMPT" if trouble.field == "voice" else "DEFAULT_TEXT_PROMPT"
            yield f"{name} cannot be used by callers who choose none: {trouble}"
        for entry, persona in self.endpoints.personas.entries():
            voice = default.voice if persona.voice is None else persona.voice
            of_entry = Persona(voice, role if persona.text_prompt is None else persona.text_prompt)
            if of_entry != default and (trouble := _misfit(model, of_entry)):
                yield f"PHONE_PERSONAS: {entry} cannot be used: {trouble}"


def _misfit(model: SpeechModel, persona: Persona) -> InvalidInput | None:
    """Why ``model`` cannot be ``persona``."""
    try:
        check_persona(model, persona)
    except InvalidInput as error:
        return error
    return None


def _checked_role(role: str) -> str:
    try:
        return check_prompt(role)
    except InvalidInput as error:
        raise SettingsError(f"DEFAULT_TEXT_PROMPT: {error}") from error


def _make_recordings_folder(folder: Path) -> None:
    why = ""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        why = error.strerror or "it cannot be made"
    else:
        if not os.access(folder, os.W_OK | os.X_OK):
            why = "Permission denied"
    if why:
        raise SettingsError(
            f"RECORDINGS_DIR is {str(folder)!r}, but nothing can be written there: {why}. "
            "Let it be a folder that the server may write to."
        )


def _check_voices_folder(folder: Path | None) -> None:
    """The image names a folder that a mounted one may lack: no reason not to start."""
    if folder is None or folder.is_dir():
        return
    if folder.exists():
        raise SettingsError(f"VOICES_DIR is {str(folder)!r}, which is no folder. Correct the path.")
    log.warning("VOICES_DIR is %r, but there is no such folder: make it, or correct the path.", str(folder))


def _gather_voices(settings: Settings) -> VoiceLibrary:
    _check_voices_folder(settings.voices_dir)
    folders = (*([settings.voices_dir] if settings.voices_dir else []), CATALOGUE_PATH.parent)
    default = settings.default_voice_prompt
    voices = VoiceLibrary(load_catalogue(CATALOGUE_PATH), folders, default)
    if default not in voices.names():
        raise SettingsError(
            f"DEFAULT_VOICE_PROMPT is {default!r}, but there is no such voice. "
            f"Use one of {', '.join(voices.names())}."
        )
    return voices
