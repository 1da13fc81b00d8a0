"""PersonaPlex as a speech model: prepares personas in chunks, caches them, and steps callers as one batch."""

from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from moshi.models.compression import MimiModel
from moshi.models.lm import LMModel
from torch import Tensor

from personaplex_ui.audio.frames import FRAME_SAMPLES, Frame
from personaplex_ui.engine.reports import CapacityReport, RuntimeReport
from personaplex_ui.engine.speech_model import (
    Answer,
    Persona,
    Preparation,
    Prepared,
    PreparedPersona,
    PromptSize,
    Sampling,
    StepCosts,
)
from personaplex_ui.models.personaplex.captions.recogniser import NAME as RECOGNISER
from personaplex_ui.models.personaplex.captions.recogniser import SttModel
from personaplex_ui.models.personaplex.captions.words import CallerWords
from personaplex_ui.models.personaplex.loading.preset_voices import load_preset
from personaplex_ui.models.personaplex.preparation import PersonaPreparation
from personaplex_ui.models.personaplex.runtime.buffers import StepOutput
from personaplex_ui.models.personaplex.runtime.mimi.loop import MimiLoop
from personaplex_ui.models.personaplex.runtime.prefill import PrefillState
from personaplex_ui.models.personaplex.runtime.prompt import (
    CODEBOOKS,
    SILENCE_FRAMES,
    PresetVoice,
    RecordedVoice,
    build_prompt,
    tagged,
)
from personaplex_ui.models.personaplex.runtime.stepper import Stepper, StepperOptions
from personaplex_ui.models.personaplex.runtime.temporal import window_of
from personaplex_ui.models.personaplex.runtime.text import ForcedSpeech, PieceReader, Tokenizer
from personaplex_ui.voices.library import VoiceLibrary

ROOM_FOR_THE_CALL = 16
"""Positions that must remain in the window after a prompt."""


class PersonaPlexModel:
    """See ``SpeechModel``. ``step_tokens`` also returns the tokens, for the offline command and the tests."""

    name = "personaplex"
    capacity_report: CapacityReport | None = None
    runtime_report: RuntimeReport | None = None

    def __init__(
        self,
        lm: LMModel,
        mimi: MimiModel,
        tokenizer: Tokenizer,
        voices: VoiceLibrary,
        options: StepperOptions,
        persona_cache_bytes: int,
        licence_note: str = "",
        clips_only: str = "",
        recogniser: SttModel | None = None,
    ) -> None:
        """``recogniser``: of the callers' words; None for none."""
        self.voices = voices
        self._licence_note = licence_note
        self.clips_only = clips_only
        self.costs = StepCosts()
        self._lm = lm
        self._recogniser = recogniser
        self._mimi = MimiLoop(mimi, heard=recogniser.sizes.codebooks if recogniser is not None else 0)
        self._options = options
        self._window = window_of(lm)
        self._tokenizer = tokenizer
        self._kept: OrderedDict[Persona, PrefillState] = OrderedDict()
        self._cache_bytes = persona_cache_bytes
        self._voice_positions: dict[tuple[Path, int], int] = {}
        self._readers: dict[int, PieceReader] = {}
        self._speeches: dict[int, ForcedSpeech] = {}
        self._words: dict[int, CallerWords] = {}

    @cached_property
    def stepper(self) -> Stepper:
        """Made when it is first needed: on ZeroGPU that is where the GPU is, not where the model was
        loaded."""
        return Stepper(self._lm, self._mimi, self._options, self._recogniser)

    @property
    def slots(self) -> int:
        return self._options.slots

    def resize(self, slots: int) -> None:
        """Hold ``slots`` callers from now on. Nobody may be on."""
        assert not self._readers
        self._options = replace(self._options, slots=slots)
        self.__dict__.pop("stepper", None)

    def forget_recogniser(self) -> None:
        """Do not recognise callers' words from now on. Nobody may be on."""
        assert not self._readers
        self._recogniser = None
        self._mimi.hear(CODEBOOKS)
        self.__dict__.pop("stepper", None)

    @property
    def heard_by(self) -> str:
        """See ``HearsWords``."""
        return RECOGNISER if self._recogniser is not None else ""

    @property
    def licence_note(self) -> str:
        captions = [self._recogniser.licence_note] if self._recogniser is not None else []
        return " ".join([self._licence_note, *captions]).strip()

    @property
    def device(self) -> str:
        return str(self._lm.device)

    @property
    def language_model(self) -> LMModel:
        """The weights themselves, for measurements that compare them with others. Not to be changed."""
        return self._lm

    def role_tokens(self, text_prompt: str) -> list[int]:
        """The text tokens of a role in a prompt, with its tags."""
        role = tagged(text_prompt)
        return self._tokenizer.encode(role) if role else []

    def prompt_size(self, persona: Persona) -> PromptSize:
        besides = self._positions_of_voice(persona.voice) + 2 * SILENCE_FRAMES + ROOM_FOR_THE_CALL
        return PromptSize(len(self.role_tokens(persona.text_prompt)), self._window - besides)

    def _positions_of_voice(self, name: str) -> int:
        if self.voices.is_recording(name):  # the library keeps it for the preparation
            return len(self.voices.recording(name)) // FRAME_SAMPLES
        path = self.voices.path_of(name)
        key = path, path.stat().st_mtime_ns
        if key not in self._voice_positions:
            # A preset also has leftover tokens, for one more position.
            self._voice_positions[key] = load_preset(path, self._lm.dim)[0].positions + 1
        return self._voice_positions[key]

    @torch.no_grad()  # pyright: ignore[reportUntypedFunctionDecorator]
    def prepare(self, persona: Persona) -> Preparation:
        self.forget_lost_voices()
        kept = self._kept.get(persona)
        if kept is not None:
            self._kept.move_to_end(persona)
            return Prepared(kept)
        self.prompt_size(persona).check()
        codes: Iterator[Tensor] = iter(())
        embeddings, preset = self._no_embeddings(), None
        if self.voices.is_recording(persona.voice):
            frames = torch.from_numpy(self.voices.recording(persona.voice).reshape(-1, FRAME_SAMPLES))
            codes = self.stepper.codec.encode_recording(frames.to(self.stepper.temporal.device))
        else:
            preset, embeddings = self._preset(persona.voice)

        def prompt(heard: list[Tensor]) -> Tensor:
            voice = preset or RecordedVoice(np.asarray(torch.stack(heard).cpu(), dtype=np.int64))
            return torch.cat([embeddings, self._embedded(voice, persona.text_prompt)])

        return PersonaPreparation(self.stepper, codes, prompt, lambda state: self._keep(persona, state))

    def _preset(self, name: str) -> tuple[PresetVoice, Tensor]:
        temporal = self.stepper.temporal
        voice, embeddings = load_preset(self.voices.path_of(name), self._lm.dim)
        return voice, embeddings[:, 0, 0].to(temporal.device, temporal.dtype)

    def _no_embeddings(self) -> Tensor:
        temporal = self.stepper.temporal
        return torch.zeros(0, temporal.dim, device=temporal.device, dtype=temporal.dtype)

    def _embedded(self, voice: PresetVoice | RecordedVoice, text_prompt: str) -> Tensor:
        """The inputs ``[n, dim]`` of all positions that the voice does not give as embeddings."""
        tokens = self.role_tokens(text_prompt)
        plan = build_prompt(voice, tokens, self._lm.initial_token_id, self._lm.text_initial_token_id)
        temporal = self.stepper.temporal
        return temporal.embed(torch.from_numpy(plan.tokens).to(temporal.device).T)

    def _keep(self, persona: Persona, prefill: PrefillState) -> None:
        if self.voices.is_lost_upload(persona.voice) or prefill.size_bytes > self._cache_bytes:
            return
        self._kept[persona] = prefill
        while sum(kept.size_bytes for kept in self._kept.values()) > self._cache_bytes and self._kept:
            self._kept.popitem(last=False)

    def forget_lost_voices(self) -> None:
        """Drop the prepared personas of uploads that are no longer stored."""
        for persona in list(self._kept):
            if self.voices.is_lost_upload(persona.voice):
                del self._kept[persona]

    def forget_personas(self) -> None:
        self._kept.clear()

    def recover(self) -> None:
        """See ``Recoverable``. The memory of the GPU may have been full."""
        self.forget_personas()
        if self._lm.device.type == "cuda":
            torch.cuda.empty_cache()

    def join(self, slot: int, persona: PreparedPersona, sampling: Sampling) -> None:
        assert isinstance(persona, PrefillState)
        self.stepper.join(slot, persona, sampling)
        self._readers[slot] = PieceReader(self._tokenizer)
        self._speeches[slot] = ForcedSpeech(self._tokenizer)
        if self._recogniser is not None:
            self._words[slot] = CallerWords(self._recogniser.tokenizer, self._recogniser.sizes.delay)

    def step(self, heard: Mapping[int, Frame], riding: Preparation | None = None) -> Mapping[int, Answer]:
        return {slot: self.answer(slot, output) for slot, output in self.step_tokens(heard, riding).items()}

    def answer(self, slot: int, output: StepOutput) -> Answer:
        """Turn ``output`` of ``slot`` into the caller's answer. Call it once per output, in order, since a
        letter can arrive in parts."""
        text = self._readers[slot].push(int(output.tokens[0]))
        heard = self._words[slot].push(output.heard) if slot in self._words else None
        return Answer(np.clip(output.frame, -1.0, 1.0), text, heard)

    def step_tokens(
        self, heard: Mapping[int, Frame], riding: Preparation | None = None
    ) -> Mapping[int, StepOutput]:
        """Like ``step``, but returns the tokens with their sound."""
        forced = {slot: self._speeches[slot].next_token() for slot in heard}
        saying = {slot: token for slot, token in forced.items() if token is not None}
        if riding is None:
            return self.stepper.step(heard, saying)
        assert isinstance(riding, PersonaPreparation)
        riding.board()
        outputs = self.stepper.step(heard, saying, riding=True)
        riding.passed()
        return outputs

    def leave(self, slot: int) -> None:
        self.forget_lost_voices()
        if slot in self._readers:
            self.stepper.leave(slot)
            del self._readers[slot], self._speeches[slot]
            self._words.pop(slot, None)

    def change_sampling(self, slot: int, sampling: Sampling) -> None:
        self.stepper.change_sampling(slot, sampling)

    def speak(self, slot: int, text: str) -> None:
        self._speeches[slot].add(text)

    def memory_allocated_mb(self) -> float:
        if self._lm.device.type != "cuda":
            return 0.0
        return torch.cuda.memory_allocated(self._lm.device) / 2**20
