"""A recording that is answered as if its speaker had called, as fast as the engine can, with nothing dropped.

Its clock counts frames: answer k belongs to frame k, however far ahead the caller is.
"""

from personaplex_ui.audio.frame_queue import FrameQueue
from personaplex_ui.audio.frames import FRAME_SEC, Frame
from personaplex_ui.calls.call import Call
from personaplex_ui.calls.captions import OWN_WORDS, Captions
from personaplex_ui.calls.cues import Cues
from personaplex_ui.calls.settings import CallSettings
from personaplex_ui.calls.snapshot import Transport
from personaplex_ui.engine.engine import Engine
from personaplex_ui.engine.slot import Slot
from personaplex_ui.engine.speech_model import Answer
from personaplex_ui.errors import PersonaplexError


class ClipCall(Call):
    """Its owner takes an answer before it gives a third frame, so that no queue overflows."""

    paced = False

    def __init__(
        self,
        call_id: str,
        settings: CallSettings,
        engine: Engine,
        captions: Captions = OWN_WORDS,
        cues: Cues | None = None,
    ) -> None:
        playout = FrameQueue[tuple[float, Answer]](64, 64)
        super().__init__(call_id, settings, engine, Transport.CLIP, playout, captions=captions, cues=cues)
        self._heard_frames = 0
        self._answers = 0

    async def _converse(self, slot: Slot) -> None:
        self._go_live()
        await self.over.wait()  # until hang_up

    def hear(self, frame: Frame) -> None:
        """Take the next frame of the clip, shape ``[1920]``, float32, 24 kHz. Ignored unless live."""
        if self._slot is not None:
            self._heard_frames += 1
            self._slot.hear(frame)

    def _session_sec(self) -> float:
        return self._heard_frames * FRAME_SEC

    def _text_at_sec(self) -> float:
        return self._answers * FRAME_SEC

    def _heard_until_sec(self) -> float:
        return (self._answers + 1) * FRAME_SEC

    def _deliver(self, answer: Answer | PersonaplexError) -> None:
        super()._deliver(answer)
        self._answers += 1
