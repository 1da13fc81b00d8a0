"""What the app is made of besides its page: voices, engine, switchboard, doors; how they start and stop.

Knows which settings each of them gets; decides nothing else.
"""

import contextlib
import functools
import time
from collections.abc import AsyncGenerator

from personaplex_ui.calls.address_limits import AddressLimits
from personaplex_ui.calls.archive import Archive
from personaplex_ui.calls.switchboard import Switchboard
from personaplex_ui.engine.worker import Engine
from personaplex_ui.engine_choice import load_echo, load_speech_model
from personaplex_ui.errors import SettingsError
from personaplex_ui.front_doors import FrontDoors
from personaplex_ui.settings import Settings
from personaplex_ui.transports.preview import Previews
from personaplex_ui.voices.catalogue import CATALOGUE_PATH, load_catalogue
from personaplex_ui.voices.library import VoiceLibrary


class Parts:
    """One of each, for the whole app. Nothing is loaded or started before they are ``running``."""

    def __init__(self, settings: Settings) -> None:
        """Raises SettingsError: there is no such voice as the default one, or the telephone's settings cannot
        be used."""
        self.voices = _gather_voices(settings)
        self.load_model = functools.partial(load_speech_model, settings, self.voices)
        self.load_echo = functools.partial(load_echo, settings, self.voices)
        self.engine = Engine(self.load_model, settings.max_calls, settings.max_waiting)
        archive = Archive(settings.recordings_dir, settings.recordings_keep_hours * 3600, time.time)
        limits = AddressLimits(settings.max_calls_per_address, settings.calls_per_minute, time.monotonic)
        self.switchboard = Switchboard(self.engine, archive, settings.max_call_seconds, limits)
        self.doors = FrontDoors(settings, self.switchboard, self.voices)
        self.previews = Previews(self.switchboard, self.voices, settings.default_text_prompt)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        """Each needs those that start before it, so they stop the other way round."""
        await self.engine.start()
        await self.switchboard.start()
        await self.doors.open()
        try:
            yield
        finally:
            await self.doors.close()
            await self.switchboard.close()
            await self.engine.close()


def _gather_voices(settings: Settings) -> VoiceLibrary:
    folders = (*([settings.voices_dir] if settings.voices_dir else []), CATALOGUE_PATH.parent)
    default = settings.default_voice_prompt
    voices = VoiceLibrary(load_catalogue(CATALOGUE_PATH), folders, default)
    if default not in voices.names():
        raise SettingsError(
            f"DEFAULT_VOICE_PROMPT is {default!r}, but there is no such voice. "
            f"Use one of {', '.join(voices.names())}."
        )
    return voices
