"""A few seconds of each voice, spoken by the model itself once and kept."""

import asyncio
import io
from collections import OrderedDict

import numpy as np
import soundfile

from personaplex_ui.audio.frames import FRAME_SAMPLES, FRAMES_PER_SEC, SAMPLE_RATE_HZ
from personaplex_ui.calls.manager import CallManager
from personaplex_ui.calls.settings import CallSettings
from personaplex_ui.channels.clips.answer import converse
from personaplex_ui.engine.speech_model import Persona, Sampling
from personaplex_ui.voices.library import VoiceLibrary

PREVIEW_SEC = 6.0
PREVIEW_SEED = 1

MOST_KEPT = 64
"""At 290 KB each: the model's presets and recent uploads."""


class Previews:
    """Makes a preview with a short call in which the caller says nothing; it waits for a slot like any
    call."""

    def __init__(self, call_manager: CallManager, voices: VoiceLibrary, text_prompt: str) -> None:
        self._call_manager = call_manager
        self._voices = voices
        self._text_prompt = text_prompt
        self._kept: OrderedDict[str, bytes] = OrderedDict()
        self._making = asyncio.Lock()

    async def wav_of(self, voice: str) -> bytes:
        """The preview as a WAV file.

        Raises:
            InvalidInput: there is no such voice.
            PersonaplexError: the model cannot speak now.
        """
        name = self._voices.check(voice)
        if name in self._kept:
            return self._kept[name]
        async with self._making:
            for lost in [kept for kept in self._kept if self._voices.is_lost_upload(kept)]:
                del self._kept[lost]
            if name not in self._kept:
                self._kept[name] = await self._make(name)
            self._kept.move_to_end(name)
            while len(self._kept) > MOST_KEPT:
                self._kept.popitem(last=False)
            return self._kept[name]

    async def _make(self, name: str) -> bytes:
        silence = np.zeros(int(PREVIEW_SEC * FRAMES_PER_SEC) * FRAME_SAMPLES, dtype=np.float32)
        settings = CallSettings(Persona(name, self._text_prompt), Sampling(seed=PREVIEW_SEED), record=False)
        answer = await self._call_manager.unless_closed(converse(silence, settings, self._call_manager))
        file = io.BytesIO()
        soundfile.write(file, answer.samples, SAMPLE_RATE_HZ, format="WAV", subtype="PCM_16")
        return file.getvalue()
