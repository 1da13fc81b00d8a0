"""Ours and the reference, built on the same weights, and their memory use."""

import gc
import platform
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.load import resident_bytes
from benchmarks.model_report import Machine, Memory
from benchmarks.random_weights import (
    ROLE,
    VOICE_NAME,
    RandomVoice,
    WordTokenizer,
    megabytes,
    parameters,
    random_language_model,
    random_mimi,
)
from personaplex_ui.accept.reference import Reference
from personaplex_ui.audio.frames import FRAME_SAMPLES, Frame, Samples
from personaplex_ui.engine.speech_model import Persona, Sampling, complete
from personaplex_ui.errors import PersonaplexError
from personaplex_ui.models.personaplex.loading.checkpoint import empty_language_model
from personaplex_ui.models.personaplex.loading.model_sizes import Sizes
from personaplex_ui.models.personaplex.model import ROOM_FOR_THE_CALL, PersonaPlexModel
from personaplex_ui.models.personaplex.runtime.prefill import PrefillState
from personaplex_ui.models.personaplex.runtime.prompt import Tokens
from personaplex_ui.models.personaplex.runtime.stepper import StepperOptions
from personaplex_ui.voices.library import VoiceLibrary

PERSONA = Persona(VOICE_NAME, ROLE)
PERSONA_CACHE_BYTES = 1 << 30
WORK_SPACE_BYTES = 2_000_000_000
SOUND_FRAMES = 50


@dataclass(frozen=True, slots=True)
class Setup:
    """``arguments`` as ``LMModel`` takes them, with the depth steps of the released file."""

    size: str
    arguments: dict[str, Any]
    device: torch.device
    dtype: torch.dtype
    frames: int
    callers: tuple[int, ...]
    seed: int


@dataclass(frozen=True, slots=True)
class Pair:
    """``prompt``: what ``PERSONA`` is, frame by frame. ``full``: a prompt that leaves just room for a few
    frames. ``sound``: frames to be heard."""

    setup: Setup
    ours: PersonaPlexModel
    reference: Reference
    prompt: Tokens
    full: PrefillState
    sound: Samples
    memory: Memory
    parameters: int
    reference_parameters: int
    mimi_parameters: int


def build_pair(setup: Setup, folder: Path) -> Pair:
    """``folder``: where the voice is written; it must last as long as the pair is used.

    Raises:
        PersonaplexError: there is no room on the GPU.
    """
    _check_room(setup)
    device, seed = setup.device, setup.seed
    sizes = Sizes(setup.arguments)
    tokenizer = WordTokenizer(sizes.text_card)
    before = _used_bytes(device)
    lm = random_language_model(sizes.moshi_arguments(), device, setup.dtype, seed, None)
    weights_growth = _used_bytes(device) - before
    before = _used_bytes(device)
    reference_lm = random_language_model(setup.arguments, device, setup.dtype, seed + 1, lm)
    reference_growth = _used_bytes(device) - before
    mimi = random_mimi(device, seed)
    reference = Reference(reference_lm, random_mimi(device, seed))
    voice = RandomVoice(lm, seed)
    voice.save(folder)
    slots = setup.callers[-1]
    before = _used_bytes(device)
    library = VoiceLibrary(folders=[folder])
    ours = PersonaPlexModel(lm, mimi, tokenizer, library, StepperOptions(slots), PERSONA_CACHE_BYTES)
    reserved = (_used_bytes(device) - before) / slots
    sound = np.random.default_rng(seed).normal(0.0, 0.1, (SOUND_FRAMES, FRAME_SAMPLES)).astype(np.float32)
    full = _full(ours, setup)
    prefill = complete(ours.prepare(PERSONA))
    assert isinstance(prefill, PrefillState)
    _growth_by_call(ours, prefill, setup, sound[0])  # What PyTorch allocates once is not part of a slot.
    slot_growth = reserved + _growth_by_call(ours, full, setup, sound[0])
    memory = Memory(
        weights_mb=megabytes(lm),
        weights_growth_mb=weights_growth / 2**20,
        reference_weights_mb=megabytes(reference_lm),
        reference_growth_mb=reference_growth / 2**20,
        mimi_mb=megabytes(mimi),
        slot_mb=sizes.key_value_bytes(setup.dtype) / 2**20,
        slot_growth_mb=slot_growth / 2**20,
        persona_mb=prefill.size_bytes / 2**20,
        packed_mb=ours.stepper.packed_bytes / 2**20,
    )
    prompt = voice.frames(tokenizer, ROLE)
    assert prompt.shape[1] == prefill.positions
    counts = parameters(lm), parameters(reference_lm), parameters(mimi)
    return Pair(setup, ours, reference, prompt, full, sound, memory, *counts)


def _growth_by_call(model: PersonaPlexModel, prefill: PrefillState, setup: Setup, frame: Frame) -> float:
    """Bytes, by one step of a call."""
    before = _used_bytes(setup.device)
    model.join(0, prefill, Sampling(seed=setup.seed))
    model.step({0: frame})
    growth = _used_bytes(setup.device) - before
    model.leave(0)
    return growth


def machine_of(device: torch.device, dtype: torch.dtype) -> Machine:
    is_gpu = device.type == "cuda"
    return Machine(
        device=str(device),
        device_name=torch.cuda.get_device_name(device) if is_gpu else _processor(),
        dtype=str(dtype).removeprefix("torch."),
        threads=torch.get_num_threads(),
        python=platform.python_version(),
        torch=version("torch"),
        moshi=version("moshi"),
    )


def _full(ours: PersonaPlexModel, setup: Setup) -> PrefillState:
    temporal = ours.stepper.temporal
    positions = max(temporal.window - ROOM_FOR_THE_CALL, 1)
    cache = temporal.new_cache(1, positions)
    cache.numbers.normal_(generator=torch.Generator(setup.device).manual_seed(setup.seed))
    hidden = torch.ones(1, setup.arguments["dim"], device=setup.device, dtype=setup.dtype)
    return PrefillState(cache, hidden, temporal.text_logits(hidden), positions)


def _check_room(setup: Setup) -> None:
    if setup.device.type != "cuda":
        return
    sizes = Sizes(setup.arguments)
    weights = int(megabytes(empty_language_model(setup.arguments, setup.dtype)) * 2**20)
    # A window each for our callers, for the reference, and for the prompt that fills one.
    windows = (setup.callers[-1] + 2) * sizes.key_value_bytes(setup.dtype)
    needed = weights + windows + WORK_SPACE_BYTES
    free, _ = torch.cuda.mem_get_info(setup.device)
    if needed > free:
        raise PersonaplexError(
            f"{setup.callers[-1]} callers of this size need {needed / 1e9:.1f} GB of GPU memory, and "
            f"{free / 1e9:.1f} are free. Use fewer with --callers 1, or end what else uses this GPU."
        )


def _used_bytes(device: torch.device) -> int:
    gc.collect()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
        return torch.cuda.memory_allocated(device)
    return resident_bytes()


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
