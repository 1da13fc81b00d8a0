"""PersonaPlex as a speech model: prepares personas in chunks, caches them, and steps callers as one batch."""

from collections import OrderedDict
from collections.abc import Generator, Mapping
from pathlib import Path

import numpy as np
import torch
from moshi.models.compression import MimiModel
from moshi.models.lm import LMModel

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
from personaplex_ui.models.personaplex.loading.preset_voices import load_preset
from personaplex_ui.models.personaplex.runtime.prompt import (
    SILENCE_FRAMES,
    PresetVoice,
    RecordedVoice,
    build_prompt,
    tagged,
)
from personaplex_ui.models.personaplex.runtime.stepper import PrefillState, StepOutput, Stepper
from personaplex_ui.models.personaplex.runtime.text import ForcedSpeech, PieceReader, Tokenizer
from personaplex_ui.voices.library import VoiceLibrary

CHUNK_POSITIONS = 32
"""Prompt positions per forward pass between two ticks."""

ROOM_FOR_THE_CALL = 16
"""Positions that must remain in the window after a prompt."""


class _Chunks:
    """The chunks of a generator as a ``Preparation``, none of which can ride."""

    can_ride = False

    def __init__(self, chunks: Generator[float, None, PrefillState]) -> None:
        self.progress = 0.0
        self._chunks = chunks
        self._prefill: PrefillState | None = None

    @property
    def done(self) -> bool:
        return self._prefill is not None

    def advance(self) -> None:
        try:
            self.progress = next(self._chunks)
        except StopIteration as end:
            self._prefill = end.value

    def persona(self) -> PreparedPersona:
        assert self._prefill is not None
        return self._prefill

    def close(self) -> None:
        self._chunks.close()


class PersonaPlexModel:
    """See ``SpeechModel``. ``step_tokens`` also returns the tokens, for the offline command and the tests."""

    name = "personaplex"
    costs = StepCosts()
    capacity_report: CapacityReport | None = None
    runtime_report: RuntimeReport | None = None

    def __init__(
        self,
        lm: LMModel,
        mimi: MimiModel,
        tokenizer: Tokenizer,
        voices: VoiceLibrary,
        slots: int,
        persona_cache_bytes: int,
        licence_note: str = "",
        clips_only: str = "",
    ) -> None:
        self.slots = slots
        self.voices = voices
        self.licence_note = licence_note
        self.clips_only = clips_only
        self.stepper = Stepper(lm, mimi, slots)
        self._lm = lm
        self._tokenizer = tokenizer
        self._kept: OrderedDict[Persona, PrefillState] = OrderedDict()
        self._cache_bytes = persona_cache_bytes
        self._voice_positions: dict[tuple[Path, int], int] = {}
        self._readers: dict[int, PieceReader] = {}
        self._speeches: dict[int, ForcedSpeech] = {}

    @property
    def device(self) -> str:
        return str(self.stepper.temporal.device)

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
        return PromptSize(len(self.role_tokens(persona.text_prompt)), self.stepper.temporal.window - besides)

    def _positions_of_voice(self, name: str) -> int:
        if self.voices.is_recording(name):  # the library keeps it for the preparation
            return len(self.voices.recording(name)) // FRAME_SAMPLES
        path = self.voices.path_of(name)
        key = path, path.stat().st_mtime_ns
        if key not in self._voice_positions:
            # A preset also has leftover tokens, for one more position.
            self._voice_positions[key] = load_preset(path, self._lm.dim)[0].positions + 1
        return self._voice_positions[key]

    def prepare(self, persona: Persona) -> Preparation:
        self.forget_lost_voices()
        kept = self._kept.get(persona)
        if kept is not None:
            self._kept.move_to_end(persona)
            return Prepared(kept)
        return _Chunks(self._prefill_and_keep(persona))

    @torch.no_grad()  # pyright: ignore[reportUntypedFunctionDecorator]
    def _prefill_and_keep(self, persona: Persona) -> Generator[float, None, PrefillState]:
        prefill = yield from self._prefill(persona)
        self._keep(persona, prefill)
        return prefill

    def _prefill(self, persona: Persona) -> Generator[float, None, PrefillState]:
        self.prompt_size(persona).check()
        temporal = self.stepper.temporal
        voice, embeddings = yield from self._voice(persona.voice)
        tokens = self.role_tokens(persona.text_prompt)
        plan = build_prompt(voice, tokens, self._lm.initial_token_id, self._lm.text_initial_token_id)
        given = torch.from_numpy(plan.tokens).to(temporal.device)
        inputs = torch.cat([embeddings, temporal.embed(given[None])], dim=1)
        key_values = temporal.new_key_values(1, plan.end)
        hidden = inputs[:, -1]
        for start in range(0, plan.end, CHUNK_POSITIONS):
            chunk = inputs[:, start : start + CHUNK_POSITIONS]
            end = start + chunk.shape[1]
            position = torch.tensor([start], device=temporal.device)
            hidden = temporal.forward(chunk, key_values, position, filled=end)[:, -1]
            yield end / plan.end
        return PrefillState(key_values, hidden, temporal.text_logits(hidden), plan.end)

    def _voice(self, name: str) -> Generator[float, None, tuple[PresetVoice | RecordedVoice, torch.Tensor]]:
        temporal = self.stepper.temporal
        if not self.voices.is_recording(name):
            voice, embeddings = load_preset(self.voices.path_of(name), self._lm.dim)
            return voice, embeddings[:, 0].transpose(0, 1).to(temporal.device, temporal.dtype)
        frames = torch.from_numpy(self.voices.recording(name).reshape(-1, FRAME_SAMPLES))
        codes: list[torch.Tensor] = []
        for frame_codes in self.stepper.codec.encode_recording(frames.to(temporal.device)):
            codes.append(frame_codes)
            yield 0.0
        nothing = torch.zeros(1, 0, self._lm.dim, device=temporal.device, dtype=temporal.dtype)
        return RecordedVoice(np.asarray(torch.stack(codes).cpu(), dtype=np.int64)), nothing

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
        if self.stepper.temporal.device.type == "cuda":
            torch.cuda.empty_cache()

    def join(self, slot: int, persona: PreparedPersona, sampling: Sampling) -> None:
        assert isinstance(persona, PrefillState)
        self.stepper.join(slot, persona, sampling)
        self._readers[slot] = PieceReader(self._tokenizer)
        self._speeches[slot] = ForcedSpeech(self._tokenizer)

    def step(self, heard: Mapping[int, Frame], riding: Preparation | None = None) -> Mapping[int, Answer]:
        assert riding is None
        return {slot: self.answer(slot, output) for slot, output in self.step_tokens(heard).items()}

    def answer(self, slot: int, output: StepOutput) -> Answer:
        """Turn ``output`` of ``slot`` into the caller's answer. Call it once per output, in order, since a
        letter can arrive in parts."""
        return Answer(np.clip(output.frame, -1.0, 1.0), self._readers[slot].push(int(output.tokens[0])))

    def step_tokens(self, heard: Mapping[int, Frame]) -> Mapping[int, StepOutput]:
        """Like ``step``, but returns the tokens with their sound."""
        forced = {slot: self._speeches[slot].next_token() for slot in heard}
        return self.stepper.step(heard, {slot: token for slot, token in forced.items() if token is not None})

    def leave(self, slot: int) -> None:
        self.forget_lost_voices()
        if slot in self._readers:
            self.stepper.leave(slot)
            del self._readers[slot], self._speeches[slot]

    def change_sampling(self, slot: int, sampling: Sampling) -> None:
        self.stepper.change_sampling(slot, sampling)

    def speak(self, slot: int, text: str) -> None:
        self._speeches[slot].add(text)

    def memory_allocated_mb(self) -> float:
        if self.stepper.temporal.device.type != "cuda":
            return 0.0
        return torch.cuda.memory_allocated(self.stepper.temporal.device) / 2**20
