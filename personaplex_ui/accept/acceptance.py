"""Runs the steps of the acceptance test in order.

One model is on the GPU at a time: 24 GB do not hold two. So the measurements are taken in three turns: with
the model as the settings say; with the other weights (whole instead of int8, or the other way round); and
again with the model of the settings, in the app's own engine."""

import asyncio
import functools
import logging
from collections.abc import Iterable
from time import perf_counter

from personaplex_ui.accept.agreement import Forced, agreement
from personaplex_ui.accept.conversation import converse
from personaplex_ui.accept.fidelity import NAME as INT8_NAME
from personaplex_ui.accept.fidelity import on_fidelity
from personaplex_ui.accept.frame_times import time_frames
from personaplex_ui.accept.machine import examine_machine, loading_findings, nothing_to_accept
from personaplex_ui.accept.options import Options
from personaplex_ui.accept.parity import compare_with_moshi
from personaplex_ui.accept.recorded_cases import compare_with_cases, read_cases
from personaplex_ui.accept.report import NOT_RUN, PROBLEM, Finding, Step
from personaplex_ui.accept.running import Running
from personaplex_ui.accept.soak import soak
from personaplex_ui.accept.soak_findings import soak_findings, sound_finding
from personaplex_ui.accept.soak_record import SoakRecord
from personaplex_ui.accept.speech import caller_speech, frames_of, recorded_voice
from personaplex_ui.accept.steps import FIDELITY, MACHINE, PARITY, SOAK, SOUND, TIMES
from personaplex_ui.accept.teacher_forcing import forced_as_in_calls
from personaplex_ui.accept.weights import (
    files_of,
    free_memory,
    gpu_of,
    has_int8,
    kinds_of_numbers,
    quantized,
    whole,
)
from personaplex_ui.app.startup_checks import gather_voices
from personaplex_ui.audio.frames import Samples
from personaplex_ui.config.settings import Settings
from personaplex_ui.doctor.probes import Probes
from personaplex_ui.engine.speech_model import Persona, Sampling
from personaplex_ui.errors import PersonaplexError
from personaplex_ui.models.factory import load_speech_model, personaplex_source, speech_sources
from personaplex_ui.models.personaplex.loading.checkpoint import load_codec
from personaplex_ui.models.personaplex.loading.load import Source, choose_device, load_personaplex
from personaplex_ui.models.personaplex.model import PersonaPlexModel
from personaplex_ui.models.personaplex.runtime.prompt import Tokens
from personaplex_ui.speech.loading import SpeechParts

log = logging.getLogger(__name__)

RECORDED_VOICE = f"own-{'0' * 32}"
SEED = 1

NO_SOAK = "--soak-minutes is 0."


class Acceptance:
    """``running`` takes what is found. Raises PersonaplexError at once if a file of ``options`` cannot be
    read, or the settings name a voice that does not exist."""

    def __init__(
        self, settings: Settings, options: Options, running: Running, probes: Probes | None = None
    ) -> None:
        self._settings = settings
        self._probes = probes or Probes()
        self._options = options
        self._running = running
        self._speech: Samples = caller_speech(options.speech)
        self._cases = read_cases(options.reference) if options.reference else []
        self._voices = gather_voices(settings)
        self._slots = 1
        self._gpu = ""
        """Its UUID."""
        self._int8 = False
        """Whether the model of the settings has int8 weights."""
        self._forced: tuple[Tokens, int, Forced, str] | None = None
        """Step c's positions, the first of the conversation itself, what the model of the settings says
        there, and what kinds of numbers it has."""

    def run(self) -> None:
        if self._machine():
            source = personaplex_source(self._settings, self._voices)
            if self._as_the_settings_say(source):
                free_memory()
                self._as_the_reference(source)
                free_memory()
                if not self._int8:
                    self._with_int8(source)
                    free_memory()
                self._soak()

    # a -----------------------------------------------------------------------------------------------

    def _machine(self) -> bool:
        """Whether there is a model to try."""
        self._running.begin(MACHINE, "looking at the machine")
        with self._running.step(MACHINE):
            self._running.add_all(MACHINE, examine_machine(self._settings, self._probes))
            gpu = self._settings.device != "cpu" and choose_device("auto").type == "cuda"
            refusal = nothing_to_accept(self._settings, gpu)
            if refusal is None:
                return True
            self._running.add(MACHINE, refusal)
        return False

    def _load(self, source: Source, what: str) -> PersonaPlexModel:
        self._voices.put_upload(RECORDED_VOICE, recorded_voice())
        self._running.begin(MACHINE, f"loading {what}")
        return load_personaplex(source, lambda sentence, part: self._running.tell(part, sentence))

    def _load_timed(self, source: Source) -> PersonaPlexModel | None:
        with self._running.step(MACHINE):
            begun = perf_counter()
            model = self._load(source, "the model as the settings say")
            self._running.add_all(MACHINE, loading_findings(model, perf_counter() - begun))
            return model
        return None

    def _as_the_settings_say(self, source: Source) -> bool:
        """The first turn: whether callers can be served."""
        model = self._load_timed(source)
        if model is None:
            return False
        self._slots, self._int8, self._gpu = model.slots, has_int8(model), gpu_of(model)
        with self._running.step(FIDELITY):
            self._force_conversation(model)
        if model.clips_only:
            self._running.add(TIMES, Finding("Live calls", PROBLEM, "none", model.clips_only))
            return False
        self._running.begin(TIMES, "timing frames")
        with self._running.step(TIMES):
            persona, frames = self._usual_persona(), self._options.frames
            self._running.add_all(
                TIMES, time_frames(model, persona, self._speech, frames, self._running.tell)
            )
        return True

    def _usual_persona(self) -> Persona:
        return Persona(self._voices.default, self._settings.default_text_prompt)

    # b and c -----------------------------------------------------------------------------------------

    def _recorded_persona(self, model: PersonaPlexModel) -> tuple[Persona, Samples]:
        """With a voice of which all tokens are known, and what it hears: no more than fits the window."""
        persona = Persona(RECORDED_VOICE, self._settings.default_text_prompt)
        size = model.prompt_size(persona)
        size.check()
        return persona, frames_of(self._speech, min(self._options.frames, size.most - size.tokens) + 1)

    def _force_conversation(self, model: PersonaPlexModel) -> None:
        self._running.begin(FIDELITY, "having a conversation to compare")
        persona, sound = self._recorded_persona(model)
        talk = converse(model, persona, sound, Sampling(seed=SEED), self._running.tell)
        positions = talk.positions(model)
        forced = forced_as_in_calls(model, positions)
        self._forced = positions, talk.prompt.shape[1], forced, kinds_of_numbers(model)

    def _as_the_reference(self, source: Source) -> None:
        """The second turn."""
        model = self._load_or_say_why(whole(source), "whole weights", PARITY)
        if model is None:
            return
        if self._int8:
            self._fidelity(model)
        self._parity(model, source)

    def _with_int8(self, source: Source) -> None:
        """The third turn."""
        model = self._load_or_say_why(quantized(source), "int8 weights", FIDELITY)
        if model is not None:
            self._fidelity(model)

    def _load_or_say_why(self, source: Source, weights: str, step: Step) -> PersonaPlexModel | None:
        """No model, and a finding of ``step``, where there is no room for one."""
        try:
            return self._load(source, f"the model with {weights}")
        except PersonaplexError as error:
            sentence = f"The model with {weights} could not be loaded for one caller. {error}"
        except Exception as error:
            log.error("The model with %s could not be loaded.", weights, exc_info=error)
            sentence = f"The model with {weights} could not be loaded: {type(error).__name__}: {error}"
        self._running.add(step, Finding(step.title, NOT_RUN, "", sentence))
        if step is PARITY and self._int8:
            self._running.add(FIDELITY, Finding(INT8_NAME, NOT_RUN, "", sentence))
        return None

    def _fidelity(self, model: PersonaPlexModel) -> None:
        with self._running.step(FIDELITY):
            if self._forced is not None:
                positions, first, forced, kinds = self._forced
                agreed = agreement(forced_as_in_calls(model, positions), forced, first)
                self._running.add(FIDELITY, on_fidelity(agreed, kinds, kinds_of_numbers(model)))

    def _parity(self, model: PersonaPlexModel, source: Source) -> None:
        self._running.begin(PARITY, "comparing with plain moshi")
        with self._running.step(PARITY):
            persona, sound = self._recorded_persona(model)
            mimi = load_codec(files_of(source), model.language_model.device)
            found = compare_with_moshi(model, mimi, persona, sound, self._running.tell)
            self._running.add_all(PARITY, found)
        self._running.begin(PARITY, "comparing with recorded conversations")
        with self._running.step(PARITY):
            self._running.add_all(PARITY, self._on_cases(model))

    def _on_cases(self, model: PersonaPlexModel) -> Iterable[Finding]:
        if self._cases:
            return compare_with_cases(model, self._cases, self._running.tell)
        sentence = "No conversations of NVIDIA's own implementation were given with --reference."
        return [Finding("Recorded cases", NOT_RUN, "", sentence)]

    # e and f -----------------------------------------------------------------------------------------

    def _soak(self) -> None:
        """The last turn."""
        minutes = self._options.soak_minutes
        if not minutes:
            self._running.add(SOAK, Finding(SOAK.title, NOT_RUN, "", NO_SOAK))
            self._running.add(SOUND, Finding(SOUND.title, NOT_RUN, "", NO_SOAK))
            return
        record = SoakRecord(60 * minutes)
        speech = SpeechParts(speech_sources(self._settings))
        load = functools.partial(load_speech_model, self._settings, self._voices, speech)
        self._running.begin(SOAK, f"a soak of {minutes:g} minutes")
        with self._running.step(SOAK):
            try:
                persona, tell = self._usual_persona(), self._running.tell
                asyncio.run(soak(load, self._slots, persona, self._speech, record, tell, self._gpu))
            finally:  # what an interrupted one has seen so far is told, too
                self._running.add_all(SOAK, soak_findings(record))
                self._running.add(SOUND, sound_finding(record.sound))
