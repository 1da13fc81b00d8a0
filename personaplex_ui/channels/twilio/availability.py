"""Whether a telephone call can be taken now, and the settings it would have. Its words can be said aloud."""

from personaplex_ui.calls.manager import CallManager
from personaplex_ui.calls.persona_check import check_persona_aside
from personaplex_ui.calls.settings import CallSettings, check_settings
from personaplex_ui.channels.twilio.messages import BUSY, CLIPS_ONLY, NOT_READY
from personaplex_ui.errors import EngineUnavailable, NoFreeSlot
from personaplex_ui.voices.library import VoiceLibrary


class Availability:
    """``text_prompt``: the role where none is given; the voice then is the default of ``voices``.
    ``record``: whether telephone calls are recorded."""

    def __init__(
        self, call_manager: CallManager, voices: VoiceLibrary, text_prompt: str, record: bool = False
    ) -> None:
        self._call_manager = call_manager
        self._voices = voices
        self._text_prompt = text_prompt
        self._record = record

    def check(self) -> None:
        """Raises EngineUnavailable or NoFreeSlot when no call can be taken."""
        if self._call_manager.closed_because:
            raise EngineUnavailable(NOT_READY)
        engine = self._call_manager.engine
        try:
            model = engine.model
        except EngineUnavailable:
            raise EngineUnavailable(NOT_READY) from None
        if model.clips_only:
            raise EngineUnavailable(CLIPS_ONLY)
        # Nobody waits for a line on the telephone: the minutes cost both sides, and nobody there sees how
        # many are before them.
        if not engine.slots.free:
            raise NoFreeSlot(BUSY)

    def settings(self, voice: object = None, text_prompt: object = None) -> CallSettings:
        """The settings of a call as this voice (None: the default) with this role (None: the default).

        Whether the model can be this persona is left to ``checked_settings``, or to the call.

        Raises:
            InvalidInput: there is no such voice, or the role cannot be used.
        """
        return check_settings(
            self._voices,
            voice=self._voices.default if voice is None else voice,
            text_prompt=self._text_prompt if text_prompt is None else text_prompt,
            record=self._record,
        )

    async def checked_settings(self, voice: object = None, text_prompt: object = None) -> CallSettings:
        """As ``settings``, and the model can be this persona.

        Raises:
            InvalidInput: there is no such voice, or the role cannot be used or is too long for the model.
            EngineUnavailable: the model is not ready.
        """
        settings = self.settings(voice, text_prompt)
        await check_persona_aside(self._call_manager.engine.model, settings.persona)
        return settings
