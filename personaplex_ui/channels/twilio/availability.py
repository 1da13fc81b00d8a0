"""Whether a telephone call can be taken or made now, and with which settings.

The messages of its errors can be spoken. Depends on the engine and the voices, not on Twilio.
"""

import logging
from dataclasses import dataclass

from personaplex_ui.calls.manager import CallManager
from personaplex_ui.calls.persona_check import check_persona_aside
from personaplex_ui.calls.settings import CallSettings, check_settings
from personaplex_ui.channels.twilio import spoken_sentences
from personaplex_ui.channels.twilio.personas import PhonePersona
from personaplex_ui.errors import EngineUnavailable, InvalidInput, NoFreeSlot, PhoneUnavailable
from personaplex_ui.voices.library import VoiceLibrary

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Availability:
    """``voices`` and ``text_prompt``: of calls that name none. ``record``: whether calls are recorded."""

    call_manager: CallManager
    voices: VoiceLibrary
    text_prompt: str
    record: bool

    def check(self, answered: bool = False) -> None:
        """Raises EngineUnavailable or NoFreeSlot if no call can be taken. ``answered``: the caller was told
        that it would be, perhaps before a quiet end began."""
        manager, engine = self.call_manager, self.call_manager.engine
        why_not = manager.closed_to_answered if answered else manager.closed_because
        if why_not and manager.quiet_end.is_on:
            raise EngineUnavailable(spoken_sentences.RENEWED)
        if why_not:
            raise EngineUnavailable(spoken_sentences.NOT_READY)
        try:
            model = engine.model
        except EngineUnavailable:
            raise EngineUnavailable(spoken_sentences.NOT_READY) from None
        if model.clips_only:
            raise EngineUnavailable(spoken_sentences.CLIPS_ONLY)
        # Telephone callers do not wait for a slot: the minutes cost both sides, and they cannot see the
        # queue.
        if not engine.slots.free:
            raise NoFreeSlot(spoken_sentences.BUSY)

    def settings(self, voice: object, text_prompt: object) -> CallSettings:
        """The settings of a call; None stands for the default. ``checked_settings``, or the call, checks
        whether the model can use this persona. Raises InvalidInput."""
        return check_settings(
            self.voices,
            voice=self.voices.default if voice is None else voice,
            text_prompt=self.text_prompt if text_prompt is None else text_prompt,
            record=self.record,
        )

    async def checked_settings(self, voice: object, text_prompt: object) -> CallSettings:
        """Like ``settings``; raises InvalidInput, too, if the model cannot use this persona."""
        settings = self.settings(voice, text_prompt)
        await check_persona_aside(self.call_manager.engine.model, settings.persona)
        return settings

    async def settings_of(self, persona: PhonePersona, number: str) -> CallSettings:
        """The settings of a call to ``number``, a name for the log. Raises PersonaplexError, whose text can
        be spoken, if no call can be taken as ``persona`` now."""
        self.check()
        try:
            return await self.checked_settings(persona.voice, persona.text_prompt)
        except InvalidInput as error:
            log.warning("The persona of %s cannot be used: %s", number, error)
            raise PhoneUnavailable(spoken_sentences.CANNOT_BE_USED) from error
