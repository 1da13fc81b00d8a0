"""The caller's words in one call: those that the model hears itself, or those of a finder besides it, and
waiting for the last of them. Everything runs on the event loop."""

import asyncio

from personaplex_ui.audio.frames import FRAME_SEC, Frame
from personaplex_ui.calls.captions import Captions, TellWords, WordFinder
from personaplex_ui.engine.speech_model import Heard, SpeechModel

OWN_WORDS_LAG_SEC = 1.0
"""A model that hears words itself tells them at most so long after they were said."""


class CallCaptions:
    """``captions``: where the words come from; ``tell``: gets them."""

    def __init__(self, captions: Captions, tell: TellWords) -> None:
        self.takes_own_words = False
        """Whether the model's own words are kept."""
        self._captions = captions
        self._tell = tell
        self._finder: WordFinder | None = None
        self._own_lag_sec = 0.0

    @property
    def dropped(self) -> int:
        """Utterances without words; see ``WordFinder``."""
        return self._finder.dropped if self._finder is not None else 0

    def begin(self, model: SpeechModel, role: str, paced: bool) -> None:
        """The caller may speak from now on. ``role``: text whose words are likely. ``paced``: in real time; a
        clip's words are looked for besides."""
        self.takes_own_words = self._captions.takes_own_words(model)
        if paced:
            self._own_lag_sec = OWN_WORDS_LAG_SEC if self.takes_own_words else 0.0
            self._finder = self._captions.finder_for(model, role, self._tell)

    def hear(self, frame: Frame, start_sec: float) -> None:
        """See ``WordFinder.hear``."""
        if self._finder is not None:
            self._finder.hear(frame, start_sec)

    def hear_own(self, heard: Heard, until_sec: float) -> None:
        """What the model heard the caller say, told with its answer to the frame that ended at
        ``until_sec``."""
        start_sec, end_sec = (until_sec - ago * FRAME_SEC for ago in (heard.begun_ago, heard.ended_ago))
        self._tell(heard.text, max(0.0, start_sec), max(0.0, end_sec))

    def finish(self) -> None:
        """The caller's sound is over; its words may still come from a finder."""
        self._own_lag_sec = 0.0
        if self._finder is not None:
            self._finder.finish()

    async def settled(self, within_sec: float, quiet_sec: float) -> bool:
        """See ``Call.words_settled``. ``quiet_sec``: since the caller spoke last."""
        if self._finder is not None:
            try:
                async with asyncio.timeout(within_sec):
                    await self._finder.settled()
            except TimeoutError:
                return False
            return True
        if not self._own_lag_sec:
            return True
        wait_sec = max(0.0, self._own_lag_sec - quiet_sec)
        await asyncio.sleep(min(within_sec, wait_sec))
        return wait_sec <= within_sec

    def close(self) -> None:
        """Nobody wants more words. Idempotent."""
        if self._finder is not None:
            self._finder.close()
