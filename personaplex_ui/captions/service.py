"""Who finds the words of callers: the engine where it hears words, else a recogniser in threads of its own,
which is loaded besides the calls; else nobody, and why."""

import asyncio
import contextlib
import logging

from personaplex_ui.audio.frames import FRAME_SAMPLES, FRAME_SEC, Samples, pad_to_frames
from personaplex_ui.calls.captions import CaptionsReport, TellWords, WordFinder, heard_by
from personaplex_ui.captions.word_finder import MOST_WAITING, CallWordFinder
from personaplex_ui.config.settings import CaptionsChoice
from personaplex_ui.engine.engine import Engine
from personaplex_ui.engine.speech_model import SpeechModel
from personaplex_ui.errors import EngineUnavailable, PersonaplexError
from personaplex_ui.speech.loading import Loaded, SpeechParts
from personaplex_ui.speech.parts import Recogniser
from personaplex_ui.speech.work.workers import begin_less_urgently

log = logging.getLogger(__name__)

LOOK_EVERY_SEC = 0.5
TRY_AGAIN_AFTER_SEC = 600.0
"""Weights that could not be fetched may be there later."""

FRAMES_AT_ONCE = 50
"""Of a clip, before others get their turn on the event loop: 2 ms."""

UTTERANCES_OF_CLIP = 1_000
"""A clip's utterances wait in memory, which has the clip already; none is dropped."""

KYUTAI = "Kyutai"
NOT_LOADED = "What recognises the callers' words is still being loaded."
BROKEN = "What recognises the callers' words could not be loaded; the server's log says why."
NOT_KYUTAI = (
    "CAPTIONS is kyutai, but {engine} does not hear words with Kyutai's speech recognition, so the callers' "
    "words are not found. Set CAPTIONS to auto."
)


class CaptionService:
    """See ``Captions``. ``run`` loads the recogniser when one is needed; calls before that have no words."""

    def __init__(self, choice: CaptionsChoice, engine: Engine, speech: SpeechParts) -> None:
        self._choice = choice
        self._engine = engine
        self._speech = speech
        self._recogniser: Loaded[Recogniser] | None = None
        self._why_not = NOT_LOADED
        self._told = ""

    # For calls -------------------------------------------------------------------------------------

    def takes_own_words(self, model: SpeechModel) -> bool:
        own = heard_by(model)
        match self._choice:
            case CaptionsChoice.OFF:
                return False
            case CaptionsChoice.AUTO:
                return bool(own)
            case CaptionsChoice.KYUTAI:
                return own.startswith(KYUTAI)
            case CaptionsChoice.WHISPER:  # that of the cascade would recognise the same twice
                return bool(own) and (self._recogniser is None or self._recogniser.called == own)

    def finder_for(self, model: SpeechModel, role: str, tell: TellWords) -> WordFinder | None:
        return self._finder(model, role, tell, MOST_WAITING)

    def _finder(
        self, model: SpeechModel, role: str, tell: TellWords, most_waiting: int
    ) -> CallWordFinder | None:
        recogniser = self._recogniser
        if recogniser is None or not self._wants_recogniser(model):
            return None
        return CallWordFinder(recogniser, self._speech.queue, role, tell, most_waiting)

    def _wants_recogniser(self, model: SpeechModel) -> bool:
        match self._choice:
            case CaptionsChoice.AUTO:
                return not heard_by(model)
            case CaptionsChoice.WHISPER:
                return self._recogniser is None or not self.takes_own_words(model)
            case CaptionsChoice.KYUTAI | CaptionsChoice.OFF:
                return False

    async def find_in_clip(
        self, model: SpeechModel, samples: Samples, role: str, tell: TellWords, within_sec: float
    ) -> None:
        finder = self._finder(model, role, tell, UTTERANCES_OF_CLIP)
        if finder is None:
            return
        try:
            async with asyncio.timeout(within_sec):
                for number, frame in enumerate(pad_to_frames(samples).reshape(-1, FRAME_SAMPLES)):
                    finder.hear(frame, number * FRAME_SEC)
                    if number % FRAMES_AT_ONCE == 0:
                        await asyncio.sleep(0)
                finder.finish()
                await finder.settled()
        except TimeoutError:
            log.warning("A clip's words were not all recognised within %.0f s.", within_sec)
        finally:
            finder.close()

    # What is told ----------------------------------------------------------------------------------

    def report(self, model: SpeechModel) -> CaptionsReport:
        if self._choice is CaptionsChoice.OFF:
            return CaptionsReport()
        if self.takes_own_words(model):
            return CaptionsReport(heard_by(model))
        if self._choice is CaptionsChoice.KYUTAI:
            return CaptionsReport("", NOT_KYUTAI.format(engine=f"the {model.name} engine"))
        if self._recogniser is not None:
            return CaptionsReport(self._recogniser.called)
        return CaptionsReport("", self._why_not)

    # Loading ---------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Load the recogniser once the engine that answers turns out to need one, and log who finds words.
        Runs until it is cancelled."""
        if self._choice is CaptionsChoice.OFF:
            return
        while True:
            with contextlib.suppress(EngineUnavailable):
                model = self._engine.model
                if self._recogniser is None and self._wants_recogniser(model):
                    await self._load()
                self._log(self.report(model))
            failed = self._recogniser is None and self._why_not != NOT_LOADED
            await asyncio.sleep(TRY_AGAIN_AFTER_SEC if failed else LOOK_EVERY_SEC)

    async def _load(self) -> None:
        try:
            self._recogniser = await asyncio.wrap_future(begin_less_urgently(self._make))
        except PersonaplexError as error:
            self._why_not = f"The callers' words are not found: {error}"
        except Exception:  # a library that is missing or broken
            log.exception("What recognises the callers' words could not be loaded.")
            self._why_not = BROKEN

    def _make(self) -> Loaded[Recogniser]:
        """In a thread: it may fetch weights."""
        return self._speech.recogniser(lambda sentence, fraction: None)

    def _log(self, report: CaptionsReport) -> None:
        told = report.message or f"The callers' words are found by {report.found_by}."
        if told != self._told:
            self._told = told
            log.log(logging.WARNING if report.message else logging.INFO, "%s", told)
