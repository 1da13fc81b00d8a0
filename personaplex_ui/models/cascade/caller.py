"""One slot of a cascade: a conversation with one caller, moved on by their frames and never waiting.

The frames are its only clock, so that it does the same at any speed.
"""

import logging
from collections import deque
from dataclasses import replace

from personaplex_ui.audio.frames import Frame
from personaplex_ui.engine.speech_model import MAX_TEXTS_WAITING, QUEUE_FULL, Answer, Heard
from personaplex_ui.errors import SpeakQueueFull
from personaplex_ui.models.cascade.ears import Ears, Utterance
from personaplex_ui.models.cascade.history import History
from personaplex_ui.models.cascade.mouth import Line, Mouth
from personaplex_ui.models.cascade.parts import PartsOfCall
from personaplex_ui.models.cascade.reply import Reply
from personaplex_ui.models.cascade.speculation import Speculation
from personaplex_ui.speech.parts import Replier, SpeechPartFailed
from personaplex_ui.speech.short_sentences import sentences_of

log = logging.getLogger(__name__)

INTERRUPTED_AFTER_FRAMES = 2
"""Consecutive frames of speech after which it falls silent: a single one may be a cough or a click."""

APOLOGY = "Sorry, I cannot answer just now. Please try again in a moment."
NOT_HEARD = "Sorry, I cannot make out words just now. Please say that again in a moment."


class CascadeCaller:
    """Listens, has what was said recognised and answered, and says the answer sentence by sentence."""

    def __init__(self, parts: PartsOfCall) -> None:
        self._parts = parts
        self._ears = Ears(parts)
        self._mouth = Mouth(self._tell)
        self._history = History()
        self._reply: Reply | None = Reply(parts, parts.greeting, self._is_silent)
        self._speculation = Speculation(parts, self._is_silent)
        self._unanswered = False
        """The caller said something to which no answer has been begun."""

        self._words: deque[tuple[str, Utterance]] = deque()
        """What was recognised and has not been told yet."""
        self._texts: deque[str] = deque()
        self._last: Frame | None = None
        """The end of what it was told not to go on with."""
        self._told: set[str] = set()

    @property
    def working(self) -> bool:
        """Whether a worker does something for this caller."""
        replying = self._reply is not None and self._reply.working
        return replying or self._ears.working or self._mouth.working or self._speculation.working

    def speak(self, text: str) -> None:
        if len(self._texts) >= MAX_TEXTS_WAITING:
            raise SpeakQueueFull(QUEUE_FULL)
        self._texts.append(text)

    def read(self, text: str) -> None:
        """The caller wrote ``text``; whatever is being said gives way to the answer."""
        self.fall_silent()
        self._history.caller_said(text)
        self._unanswered = True

    def fall_silent(self) -> None:
        """Give up what is being said and what is to be said."""
        if self._reply is None and self._mouth.idle:
            return
        self._speculation.drop()
        self._end_reply()
        self._texts.clear()
        self._unanswered = False
        if not self._mouth.silent:
            self._last = self._mouth.fall_silent()
        else:
            self._mouth.fall_silent()

    def answer_with(self, replier: Replier) -> None:
        self._parts.own_replier = replier

    def close(self) -> None:
        """Give up all work for this caller."""
        self._ears.close()
        self._speculation.drop()
        self._end_reply()
        self._mouth.fall_silent()

    def step(self, frame: Frame) -> Answer:
        """Hear one frame of shape ``[1920]`` and answer with one."""
        self._ears.hear(frame)
        answer = self._answer()
        if not self._words:
            return answer
        text, said = self._words.popleft()
        now = self._ears.frames
        return replace(answer, heard=Heard(f" {text}", now - said.begun_frame, now - said.ended_frame))

    def _answer(self) -> Answer:
        if self._is_interrupted():
            return self._fall_silent()
        if self._last is not None:
            last, self._last = self._last, None
            return Answer(last)
        self._take_words()
        self._begin_reply()
        self._speculation.follow(self._ears.words_in_pause, self._history)
        self._take_lines()
        self._take_texts()
        answer = self._mouth.next_answer()
        self._history.assistant_said(answer.text)
        return answer

    # Being interrupted -----------------------------------------------------------------------------

    def _is_interrupted(self) -> bool:
        # Whoever has talked for half a minute without a pause is answered all the same.
        if self._ears.talks_on or self._ears.speech_frames < INTERRUPTED_AFTER_FRAMES:
            return False
        return self._reply is not None or not self._mouth.idle

    def _fall_silent(self) -> Answer:
        self._speculation.drop()
        self._end_reply()
        last = self._mouth.fall_silent()
        # Nothing of an answer was heard yet, so the caller goes on with the question.
        self._unanswered |= self._history.awaits_answer
        return Answer(last)

    def _end_reply(self) -> None:
        if self._reply is not None:
            self._reply.close()
            self._reply = None

    # Answering -------------------------------------------------------------------------------------

    def _take_words(self) -> None:
        while (utterance := self._ears.recognised()) is not None:
            try:
                recognised = utterance.job.result()
            except SpeechPartFailed as failure:
                self._apologise(failure, NOT_HEARD)
                continue
            if recognised.text:
                if not recognised.doubtful:
                    self._words.append((recognised.text, utterance))
                self._history.caller_said(recognised.text)
                self._unanswered = True

    def _begin_reply(self) -> None:
        ended = self._ears.caller_has_ended or self._ears.talks_on
        if self._unanswered and ended and self._ears.settled:
            self._unanswered = False
            self._end_reply()
            turns = self._history.turns
            self._reply = self._speculation.take(turns) or Reply(
                self._parts, lambda: self._parts.reply(turns), self._is_silent
            )

    def _take_lines(self) -> None:
        while self._reply is not None and self._mouth.has_room:
            try:
                line = self._reply.next_line()
            except SpeechPartFailed as failure:
                self._apologise(failure, APOLOGY)
                line = None
            if self._reply.over:
                self._end_reply()
            if line is None:
                return
            self._mouth.add(line)

    def _take_texts(self) -> None:
        # One by one, so that a caller who interrupts loses one. They go before the rest of an answer, since a
        # goodbye must not come when the call is over.
        if self._texts and not self._mouth.has_forced and self._ears.caller_has_ended:
            for sentence in sentences_of(self._texts.popleft()):
                self._say(sentence, forced=True)

    def _say(self, sentence: str, forced: bool = False) -> None:
        sound = self._parts.synthesise(sentence, forced or self._is_silent())
        self._mouth.add(Line(sentence, sound, forced))

    # What fails ------------------------------------------------------------------------------------

    def _apologise(self, failure: SpeechPartFailed, sentence: str) -> None:
        self._tell(failure)
        self._say(sentence)

    def _tell(self, failure: SpeechPartFailed) -> None:
        """Log the failure, once in a call if it is always the same."""
        sentence = str(failure)
        if sentence not in self._told and len(self._told) < MAX_TEXTS_WAITING:
            self._told.add(sentence)
            log.warning("A part of the conversation failed: %s", sentence)

    def _is_silent(self) -> bool:
        return self._mouth.silent
