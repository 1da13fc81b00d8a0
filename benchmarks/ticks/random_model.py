"""The app's own model with random weights, and callers on it: the one place that knows how to build it."""

import gc
import tempfile
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch

from benchmarks.random_weights import (
    ROLE,
    VOICE_NAME,
    RandomVoice,
    WordTokenizer,
    megabytes,
    random_language_model,
    random_mimi,
)
from benchmarks.ticks.setup import TickSetup, say
from personaplex_ui.audio.frames import FRAME_SAMPLES, Samples
from personaplex_ui.engine.speech_model import Persona, Sampling, complete
from personaplex_ui.models.personaplex.loading.checkpoint import empty_language_model
from personaplex_ui.models.personaplex.loading.model_sizes import Sizes
from personaplex_ui.models.personaplex.loading.warm_up import capture as capture_ticks
from personaplex_ui.models.personaplex.loading.warm_up import measure_costs
from personaplex_ui.models.personaplex.model import ROOM_FOR_THE_CALL, PersonaPlexModel
from personaplex_ui.models.personaplex.runtime.graph import CudaRecorder
from personaplex_ui.models.personaplex.runtime.prefill import PrefillState
from personaplex_ui.models.personaplex.runtime.stepper import StepperOptions
from personaplex_ui.voices.library import VoiceLibrary

PERSONA = Persona(VOICE_NAME, ROLE)
PERSONA_CACHE_BYTES = 1 << 30
WORK_SPACE_BYTES = 6_000_000_000
"""Embeddings in bfloat16 also beside int8 weights, Mimi, captured graphs, and what a pass computes."""


@contextmanager
def random_model(setup: TickSetup, slots: int, weights: str, capture: bool) -> Generator[PersonaPlexModel]:
    """For a while. ``capture``: as CUDA graphs, on a GPU; ``stepper.graphs.trouble`` says whether it worked.

    Whoever uses several, one after the other, drops all references to each before the next.
    """
    free_memory(setup)
    say(f"Building {setup.size} with {weights} weights for {slots} callers ...")
    with tempfile.TemporaryDirectory(prefix="personaplex-bench-") as folder:
        sizes = Sizes(setup.arguments)
        lm = random_language_model(
            sizes.moshi_arguments(), setup.device, setup.dtype, setup.seed, None, int8=weights == "int8"
        )
        RandomVoice(lm, setup.seed).save(Path(folder))
        model = PersonaPlexModel(
            lm,
            random_mimi(setup.device, setup.seed, setup.mimi_config),
            WordTokenizer(sizes.text_card),
            VoiceLibrary(folders=[Path(folder)]),
            StepperOptions(slots, setup.kv_int8),
            PERSONA_CACHE_BYTES,
        )
        del lm
        if capture and setup.on_gpu:
            capture_ticks(model.stepper, CudaRecorder(setup.device), lambda sentence, progress: say(sentence))
            model.costs = measure_costs(model.stepper)
            say(model.stepper.graphs.trouble or f"{model.costs}")
        try:
            yield model
        finally:
            del model
            free_memory(setup)


def fitting_callers(setup: TickSetup, weights: str) -> int:
    """How many callers the device's memory holds, with one window more for a prompt and one for measuring."""
    if not setup.on_gpu:
        return setup.callers[-1]
    free_memory(setup)
    sizes = Sizes(setup.arguments)
    kind = torch.int8 if weights == "int8" else setup.dtype
    numbers = megabytes(empty_language_model(sizes.moshi_arguments(), kind))
    window = sizes.key_value_bytes(torch.int8 if setup.kv_int8 else setup.dtype)
    free, _ = torch.cuda.mem_get_info(setup.device)
    return int((free - numbers * 2**20 - WORK_SPACE_BYTES) // window) - 2


def free_memory(setup: TickSetup) -> None:
    gc.collect()
    if setup.on_gpu:
        torch.cuda.empty_cache()


class Crowd:
    """The callers on ``model``, who all hear noise. ``full``: their windows are full when they join."""

    def __init__(self, model: PersonaPlexModel, setup: TickSetup, full: bool = False) -> None:
        self.model = model
        self.callers = 0
        self._persona = _full(model, setup) if full else complete(model.prepare(PERSONA))
        self._seed = setup.seed
        draw = np.random.default_rng(setup.seed)
        self._sound = draw.normal(0.0, 0.1, (50, FRAME_SAMPLES)).astype(np.float32)
        self._heard = 0

    @property
    def positions(self) -> int:
        """Where a caller stands who has heard nothing yet."""
        assert isinstance(self._persona, PrefillState)
        return self._persona.positions

    def grow(self, callers: int) -> None:
        for slot in range(self.callers, callers):
            self.model.join(slot, self._persona, Sampling(seed=self._seed + slot))
        self.callers = callers

    def step(self) -> None:
        """As the engine steps them."""
        self.model.step({slot: self._next_sound() for slot in range(self.callers)})

    def timed_step(self) -> float:
        """The seconds it took, from the first frame in to the last answer out."""
        started = time.perf_counter()
        self.step()
        return time.perf_counter() - started

    def leave(self) -> None:
        for slot in range(self.callers):
            self.model.leave(slot)
        self.callers = 0

    def _next_sound(self) -> Samples:
        self._heard += 1
        return self._sound[self._heard % len(self._sound)]


def _full(model: PersonaPlexModel, setup: TickSetup) -> PrefillState:
    temporal = model.stepper.temporal
    positions = max(temporal.window - ROOM_FOR_THE_CALL, 1)
    cache = temporal.new_cache(1, positions, setup.kv_int8)
    draw = torch.Generator(setup.device).manual_seed(setup.seed)
    if cache.scales is None:
        cache.numbers.normal_(generator=draw)
    else:
        cache.numbers.random_(-127, 128, generator=draw)
        cache.scales.fill_(0.02)
    hidden = torch.ones(1, setup.arguments["dim"], device=setup.device, dtype=setup.dtype)
    return PrefillState(cache, hidden, temporal.text_logits(hidden), positions)
