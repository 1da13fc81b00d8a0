"""Answers the cue ``ASK`` of each call: a filler at once, the answer when it is there, or an apology."""

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from weakref import WeakKeyDictionary

from personaplex_ui.calls.call import Call
from personaplex_ui.calls.cues import Cue
from personaplex_ui.errors import CallOver, PersonaplexError
from personaplex_ui.logs.call_context import enter_call
from personaplex_ui.routing.answer import FetchedAnswer
from personaplex_ui.routing.counts import AskCounts, Outcome
from personaplex_ui.routing.question import BEGINNING, Question, question_in, role_for_answers
from personaplex_ui.routing.voice import AnswerVoice, speak_when_there_is_room
from personaplex_ui.speech.loading import SpeechParts
from personaplex_ui.speech.parts import Replier, SpeechPartFailed

log = logging.getLogger(__name__)

WORDS_WITHIN_SEC = 1.0
"""How long the caller's last words are waited for."""

OWN_LIMIT_SEC = 25.0
"""The least ``limit_sec`` of a call with a replier of its own, whose tools may be far away."""

MOST_SENTENCES = 6
"""Of one answer; small models may go on for ever."""

TOO_SLOW = "Sorry, that takes too long. Please ask me again in a moment."
FAILED = "Sorry, I cannot look that up just now. Please ask me again in a moment."
NO_WORDS = "Sorry, I did not get your question in words. Could you say it once more?"


@dataclass(frozen=True, slots=True)
class AskOptions:
    """``filler``: said at once, empty for nothing. ``limit_sec``: from the cue to the first sentence, and
    from each sentence to the next."""

    filler: str = "One moment, let me check."
    limit_sec: float = 8.0


class Router:
    """One for all calls; everything runs on the event loop. ``clock``: monotonic seconds."""

    def __init__(
        self, speech: SpeechParts, options: AskOptions, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.counts = AskCounts()
        self._speech = speech
        self._options = options
        self._clock = clock
        self._under_way: dict[Call, asyncio.Task[None]] = {}
        self._asked: WeakKeyDictionary[Call, tuple[int, int]] = WeakKeyDictionary()
        """Where the last question of a call ended."""
        self._repliers: WeakKeyDictionary[Call, Replier] = WeakKeyDictionary()

    def attend(self, call: Call) -> None:
        """Answer its cues from now on."""
        call.on_cue.append(lambda cue: self._take_cue(call, cue))

    def answer_with(self, call: Call, replier: Replier) -> None:
        """Ask ``replier`` for this call's answers, in the place of the common one."""
        self._repliers[call] = replier

    def ask(self, call: Call) -> bool:
        """Find and say an answer to the caller's last words, as if the assistant had asked, but without a
        filler. False: it asks already, or the call is over."""
        return self._begin(call, filler="")

    def is_asking(self, call: Call) -> bool:
        return call in self._under_way

    def _take_cue(self, call: Call, cue: Cue) -> None:
        if cue is Cue.ASK:
            self._begin(call, self._options.filler)

    def _begin(self, call: Call, filler: str) -> bool:
        if call in self._under_way or call.over.is_set():
            return False
        self.counts.asked += 1
        task = asyncio.create_task(self._serve(call, filler), name=f"ask {call.call_id[:6]}")
        self._under_way[call] = task
        task.add_done_callback(lambda _: self._under_way.pop(call, None))
        return True

    async def _serve(self, call: Call, filler: str) -> None:
        """One question, given up when the call ends."""
        enter_call(call.call_id)
        began = self._clock()
        asking = asyncio.ensure_future(self._ask(call, filler))
        over = asyncio.ensure_future(call.over.wait())
        outcome = Outcome.GIVEN_UP
        try:
            await asyncio.wait([asking, over], return_when=asyncio.FIRST_COMPLETED)
            if asking.done():
                outcome = asking.result()
        except CallOver:
            pass
        except PersonaplexError as error:  # the engine is being restarted
            outcome = Outcome.FAILED
            log.warning("An answer could not be said: %s", error)
        except Exception:
            outcome = Outcome.FAILED
            log.exception("Asking for an answer failed.")
        finally:
            asking.cancel()
            over.cancel()
            self.counts.outcomes[outcome] += 1
            log.info("The assistant asked: %s after %.1f s.", outcome.value, self._clock() - began)

    async def _ask(self, call: Call, filler: str) -> Outcome:
        until = self._clock() + self._limit_sec(call)
        if filler:
            await speak_when_there_is_room(call, filler, within_sec=0.0)
        await call.words_settled(min(WORDS_WITHIN_SEC, self._options.limit_sec / 2))
        question = question_in(call.conversation.lines, self._asked.get(call, BEGINNING))
        if question is None:
            await speak_when_there_is_room(call, NO_WORDS)
            return Outcome.NO_WORDS
        self._asked[call] = question.end
        outcome, apology = await self._answer(call, question, until)
        if apology:
            await speak_when_there_is_room(call, apology)
        return outcome

    def _limit_sec(self, call: Call) -> float:
        limit_sec = self._options.limit_sec
        return max(limit_sec, OWN_LIMIT_SEC) if call in self._repliers else limit_sec

    async def _answer(self, call: Call, question: Question, until: float) -> tuple[Outcome, str]:
        """How it went, and what is to be said about that."""
        role = role_for_answers(call.settings.persona.text_prompt, call.cues)
        answer = FetchedAnswer(self._speech, role, question.turns, self._repliers.get(call))
        voice = AnswerVoice(call)
        said = 0
        try:
            while True:
                async with asyncio.timeout(max(0.0, until - self._clock())):
                    sentence = await answer.next_sentence()
                if sentence is None or said == MOST_SENTENCES:
                    await voice.finish()
                    return (Outcome.ANSWERED, "") if said else (Outcome.FAILED, FAILED)
                if not await voice.say(sentence):
                    return Outcome.ANSWERED if said else Outcome.GIVEN_UP, ""
                said += 1
                until = self._clock() + self._limit_sec(call)
        except TimeoutError:
            # What has been said stays an answer, as far as it came.
            return (Outcome.ANSWERED, "") if said else (Outcome.TIMED_OUT, TOO_SLOW)
        except SpeechPartFailed as failure:
            log.warning("An answer was asked for and failed: %s", failure)
            return (Outcome.ANSWERED, "") if said else (Outcome.FAILED, FAILED)
        finally:
            answer.close()
