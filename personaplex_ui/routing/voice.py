"""Says an answer in a call, sentence by sentence, and stops when the caller takes the turn."""

import asyncio

from personaplex_ui.calls.call import Call
from personaplex_ui.calls.cue_filter import without_cues
from personaplex_ui.errors import SpeakQueueFull
from personaplex_ui.routing.question import caller_took_turn

LOOK_EVERY_SEC = 0.1
ROOM_WITHIN_SEC = 5.0
"""How long a sentence waits for room among the texts that are to be said."""

WORDS_KNOWN_BY = 3
WORDS_AHEAD = 2
"""So many words before the end of a sentence the next one is given, so that there is no gap."""

SLOWEST_SEC_PER_CHARACTER = 0.15
SLOW_START_SEC = 3.0
"""A sentence that was not heard to its end by then, at this pace, holds up the next one no longer."""


class AnswerVoice:
    """One answer in one call. A sentence is given to the engine only when the one before is nearly said, so
    that nothing which waits there outlives an interruption."""

    def __init__(self, call: Call) -> None:
        self._call = call
        self._began_sec = call.elapsed_sec
        self._given = False
        self._awaited = ""
        """Letters near the end of the sentence that was given last."""
        self._pieces = 0
        """How much of the transcript there was then."""
        self._until_sec = 0.0

    @property
    def interrupted(self) -> bool:
        """Whether the caller has taken the turn since the first sentence was given."""
        return self._given and caller_took_turn(self._call.conversation.lines, self._began_sec)

    async def say(self, sentence: str) -> bool:
        """Have ``sentence`` said after what is being said. False: it is not, since the caller has taken the
        turn, or the engine has no room.

        Raises:
            CallOver: the call has ended.
        """
        text = without_cues(sentence, self._call.cues).strip()
        if not _letters(text):
            return True
        await self.finish()
        if self.interrupted or not await speak_when_there_is_room(self._call, text):
            return False
        if not self._given:
            self._given, self._began_sec = True, self._call.elapsed_sec
        words = text.split()
        end = max(1, len(words) - WORDS_AHEAD)
        self._awaited = _letters(" ".join(words[max(0, end - WORDS_KNOWN_BY) : end]))
        self._pieces = len(self._call.transcript.pieces)
        self._until_sec = self._call.elapsed_sec + SLOW_START_SEC + SLOWEST_SEC_PER_CHARACTER * len(text)
        return True

    async def finish(self) -> None:
        """Returns when what was given is nearly said, or the caller has taken the turn."""
        while not (self._is_nearly_said() or self.interrupted):  # noqa: ASYNC110  there is no event
            await asyncio.sleep(LOOK_EVERY_SEC)

    def _is_nearly_said(self) -> bool:
        if not self._given or self._call.elapsed_sec >= self._until_sec:
            return True
        return self._awaited in _letters("".join(self._call.transcript.pieces[self._pieces :]))


def _letters(text: str) -> str:
    return "".join(character for character in text.casefold() if character.isalnum())


async def speak_when_there_is_room(call: Call, text: str, within_sec: float = ROOM_WITHIN_SEC) -> bool:
    """Have the assistant say ``text``. False: too many texts waited for all of ``within_sec``.

    Raises:
        CallOver: the call has ended.
    """
    tries = max(1, round(within_sec / LOOK_EVERY_SEC))
    for attempt in range(tries):
        try:
            await call.speak(text, typed=False)
        except SpeakQueueFull:
            if attempt < tries - 1:
                await asyncio.sleep(LOOK_EVERY_SEC)
        else:
            return True
    return False
