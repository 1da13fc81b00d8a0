"""The stepper of a model on the pretended device, with callers on: the one place that knows its parts."""

from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import partial
from typing import Any
from unittest.mock import patch

import numpy as np
import torch

from benchmarks.random_weights import WordTokenizer
from benchmarks.ticks.pretended_device import DEVICE
from benchmarks.ticks.pretended_model import (
    pretended_language_model,
    pretended_mimi,
    pretended_recogniser,
)
from benchmarks.ticks.tick_trace import TickTrace
from personaplex_ui.audio.frames import FRAME_SAMPLES
from personaplex_ui.engine.speech_model import Sampling
from personaplex_ui.models.personaplex.captions.recogniser import SttModel
from personaplex_ui.models.personaplex.captions.sizes import SttSizes
from personaplex_ui.models.personaplex.loading.checkpoint_files import Config
from personaplex_ui.models.personaplex.runtime import depth as depth_module
from personaplex_ui.models.personaplex.runtime import stepper as stepper_module
from personaplex_ui.models.personaplex.runtime.mimi.loop import MimiLoop
from personaplex_ui.models.personaplex.runtime.prefill import PrefillState
from personaplex_ui.models.personaplex.runtime.stepper import Stepper, StepperOptions

PROMPT_POSITIONS = 123
"""The usual persona."""

MIMI_ENCODE, MIMI_DECODE, MIMI_ROWS = "Mimi encode", "Mimi decode", "Mimi rows"
EMBEDDINGS, TEMPORAL, DEPTH, SAMPLING = "embeddings", "temporal", "depth", "sampling"
PARTS = (MIMI_ENCODE, MIMI_DECODE, MIMI_ROWS, EMBEDDINGS, TEMPORAL, DEPTH, SAMPLING)
"""In the order they are printed; what is in none is the rest."""

CAPTIONS = "captions"
"""After them, where callers' words are recognised. The codebooks that only this reads are Mimi's."""


class PretendedTick:
    """Call everything within ``pretended_device``. ``arguments`` as ``LMModel`` takes them; ``riding``:
    a prompt is in each pass; ``captions``: of a recogniser of what the callers say."""

    def __init__(
        self,
        arguments: dict[str, Any],
        callers: int,
        int8: bool = False,
        int8_cache: bool = False,
        riding: bool = False,
        mimi_config: Config | None = None,
        captions: SttSizes | None = None,
    ) -> None:
        lm = pretended_language_model(arguments, torch.bfloat16, int8)
        recogniser = None if captions is None else _recogniser(captions)
        mimi = MimiLoop(pretended_mimi(mimi_config), heard=captions.codebooks if captions is not None else 0)
        self.stepper = Stepper(lm, mimi, StepperOptions(callers, int8_cache), recogniser)
        self._heard = {slot: np.zeros(FRAME_SAMPLES, dtype=np.float32) for slot in range(callers)}
        temporal = self.stepper.temporal
        hidden = torch.zeros(1, arguments["dim"], dtype=temporal.dtype, device=DEVICE)
        cache = temporal.new_cache(1, PROMPT_POSITIONS, self.stepper.options.int8_cache)
        prefill = PrefillState(cache, hidden, temporal.text_logits(hidden), PROMPT_POSITIONS)
        for slot in range(callers):
            self.stepper.join(slot, prefill, Sampling(seed=slot))
        self._riding = riding
        if riding:
            prompt = torch.zeros(PROMPT_POSITIONS, temporal.dim, dtype=temporal.dtype, device=DEVICE)
            self.stepper.prefill.begin(prompt)

    def traced_step(self) -> TickTrace:
        """All callers hear a frame."""
        trace = TickTrace()
        with _in_parts(self.stepper, trace), trace:
            self.stepper.step(self._heard, {}, riding=self._riding)
        return trace


def _recogniser(sizes: SttSizes) -> SttModel:
    lm = pretended_recogniser(sizes.arguments, torch.bfloat16)
    return SttModel(lm, WordTokenizer(sizes.arguments["text_card"]), sizes, "")


@contextmanager
def _in_parts(stepper: Any, trace: TickTrace) -> Generator[None]:
    """The stepper's calls, each in the part of ``trace`` that it belongs to."""
    calls: list[tuple[Any, str, str]] = [
        (stepper.codec, "encode", MIMI_ENCODE),
        (stepper.codec, "decode", MIMI_DECODE),
        (stepper.codec, "keep", MIMI_ROWS),
        (stepper.temporal, "embed_known", EMBEDDINGS),
        (stepper.temporal, "block", TEMPORAL),
        (stepper.temporal, "forward", TEMPORAL),
        (stepper.temporal, "text_logits", TEMPORAL),
        (stepper._depth, "forward", DEPTH),
        (stepper_module, "sample", SAMPLING),
        (depth_module, "sample", SAMPLING),
    ]
    if stepper.reader is not None:
        calls.append((stepper.reader, "read", CAPTIONS))
    with ExitStack() as stack:
        for owner, name, part in calls:
            within = _within(partial(trace.part, part), getattr(owner, name))
            stack.enter_context(patch.object(owner, name, within))
        captured = _within(trace.captured, stepper.graphs.run)
        stack.enter_context(patch.object(stepper.graphs, "run", captured))
        yield


def _within(context: Callable[[], AbstractContextManager[None]], call: Callable[..., Any]) -> Any:
    def watched(*args: Any, **kwargs: Any) -> Any:
        with context():
            return call(*args, **kwargs)

    return watched
