"""Loads a ready model from a repository's name: find, check for room, load, warm up. Runs on the engine's
thread.

Each stage reports its progress; each failure is a sentence.
"""

import atexit
import shutil
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import torch

from personaplex_ui.engine.reports import CapacityReport
from personaplex_ui.errors import InvalidInput, setting
from personaplex_ui.models.personaplex.captions.loading import STT_REPO, TOO_SLOW, Captions
from personaplex_ui.models.personaplex.captions.planning import LEFT_OUT, plan_captions, reader_bytes
from personaplex_ui.models.personaplex.captions.sizes import SttSizes
from personaplex_ui.models.personaplex.hub.download import Hub, find_checkpoint
from personaplex_ui.models.personaplex.kernels.availability import triton_trouble
from personaplex_ui.models.personaplex.loading.checkpoint import (
    load_codec,
    load_language_model,
    load_tokenizer,
)
from personaplex_ui.models.personaplex.loading.checkpoint_files import (
    CheckpointFiles,
    CheckpointUnusable,
    Config,
    Report,
    listed,
)
from personaplex_ui.models.personaplex.loading.gpu import read_gpu
from personaplex_ui.models.personaplex.loading.gpu_memory import model_bytes
from personaplex_ui.models.personaplex.loading.model_reports import (
    int8_warnings,
    log_reports,
    runtime_report,
    unmeasured_capacity,
)
from personaplex_ui.models.personaplex.loading.model_sizes import language_model_sizes
from personaplex_ui.models.personaplex.loading.plan import Plan, Wishes, make_plan
from personaplex_ui.models.personaplex.loading.preset_voices import load_preset, unpack_voices
from personaplex_ui.models.personaplex.loading.warm_up import tune, warm_up
from personaplex_ui.models.personaplex.model import PersonaPlexModel
from personaplex_ui.models.personaplex.runtime.graph import CudaRecorder, Recorder
from personaplex_ui.models.personaplex.runtime.stepper import StepperOptions
from personaplex_ui.models.personaplex.runtime.text import Tokenizer
from personaplex_ui.models.personaplex.zero_gpu import NO_LIVE_CALLS, ZeroGpuModel
from personaplex_ui.voices.library import VoiceLibrary
from personaplex_ui.voices.recording import import_loudness_meter

OFFLOADED_IS_SLOW = (
    "CPU_OFFLOAD keeps the model in host memory, which is too slow for live calls. "
    "Set QUANTIZE=int8 instead, or send a recording."
)

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}
"""dtypes by their setting names, for modules that must not import torch."""


@dataclass(frozen=True, slots=True)
class Source:
    """Which model, and where it runs. ``device``: ``auto``, ``cpu`` or ``cuda``; ``dtype`` None: bfloat16
    on a GPU, float32 on a CPU. ``voices``: the checkpoint's own presets are added to them, and
    ``needed_voices`` must be among them. ``cpu_offload`` keeps the temporal transformer in host memory;
    ``quantize`` its weights and the depth transformer's as int8; ``kv_int8`` the keys and values of calls.
    These two and ``slots`` may be None for auto, see ``plan``. ``pin_persona``: a call longer than the window
    keeps its voice and role. ``zero_gpu``: see ``zero_gpu.ZeroGpuModel``. ``captions``: callers' words are
    recognised in the same ticks, by the model of ``captions_repo``; None: where the GPU has room."""

    repo: str
    revision: str | None = None
    token: str | None = None
    device: str = "auto"
    dtype: torch.dtype | None = None
    slots: int | None = 1
    persona_cache_bytes: int = 1 << 30
    voices: VoiceLibrary = field(default_factory=VoiceLibrary)
    needed_voices: tuple[str, ...] = ()
    cpu_offload: bool = False
    zero_gpu: bool = False
    quantize: bool | None = False
    kv_int8: bool | None = False
    pin_persona: bool = True
    captions: bool | None = False
    captions_repo: str = STT_REPO
    captions_revision: str | None = None


def choose_device(name: str) -> torch.device:
    """``auto`` is the GPU if there is one.

    Raises:
        CheckpointUnusable: a GPU was requested and there is none.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if name.startswith("cuda") and not torch.cuda.is_available():
        raise CheckpointUnusable(
            f"{setting('DEVICE')} asks for a GPU, but PyTorch finds none. Check it with nvidia-smi, or set "
            f"{setting('DEVICE', 'cpu')}."
        )
    device = torch.device(name)
    if ":" in name and device.index >= torch.cuda.device_count():
        raise CheckpointUnusable(
            f"{setting('DEVICE')} is {name}, but PyTorch finds {torch.cuda.device_count()} GPU(s), counted "
            "from cuda:0. Set it to one of them, or to cuda."
        )
    return device


def load_personaplex(source: Source, report: Report) -> PersonaPlexModel:
    """The model, loaded and warmed up.

    Raises:
        CheckpointUnusable: with what is wrong and what to do next.
        InvalidInput: a needed voice is not there, or cannot be used.
    """
    import_loudness_meter()
    device = choose_device(source.device)
    if device.type == "cuda" and not source.zero_gpu:
        torch.cuda.empty_cache()  # memory left by a failed attempt counts as used
    try:
        return _load(source, device, report)
    except torch.OutOfMemoryError as error:
        raise CheckpointUnusable(
            f"The memory of {device} was full after loading the weights. Stop other programs using it, lower "
            f"{setting('MAX_CALLS')}, or use a larger GPU."
        ) from error


def _load(source: Source, device: torch.device, report: Report) -> PersonaPlexModel:
    dtype = source.dtype or (torch.bfloat16 if device.type == "cuda" else torch.float32)

    cpu_offload = source.cpu_offload and not source.zero_gpu

    def plan_for(config: Config) -> Plan:
        return _plan(source, config, device, dtype)

    # Asked before the download, since a model without room for it would be fetched for nothing.
    files = find_checkpoint(source.repo, source.revision, Hub(token=source.token), report, plan_for)
    captions = _find_captions(source, files.config, plan_for(files.config), device, dtype, report)
    source.voices.offer_files_only(_unpacked_presets(files))
    _check_voices(source, language_model_sizes(files.config).arguments["dim"])
    warnings = int8_warnings(captions.plan, device, dtype)
    lm = load_language_model(files, device, dtype, report, cpu_offload, captions.plan.quantize)
    mimi = load_codec(files, device)
    recogniser = captions.load(files.mimi.name, mimi, device, dtype, report)
    plan = captions.plan
    kind = ZeroGpuModel if source.zero_gpu else PersonaPlexModel
    model = kind(
        lm,
        mimi,
        cast(Tokenizer, load_tokenizer(files)),
        source.voices,
        StepperOptions(plan.slots, plan.kv_int8, source.pin_persona),
        source.persona_cache_bytes,
        files.licence_note,
        _clips_only(source),
        recogniser,
    )
    del mimi  # the model has copies of what it needs of it
    report("Warming up the model.", 1.0)
    if isinstance(model, ZeroGpuModel):
        model.begin()
    else:
        warm_up(model)
    if device.type == "cuda" and not model.clips_only:
        model.capacity_report = _tuned(model, captions, CudaRecorder(device), source.slots, report)
    else:
        model.capacity_report = unmeasured_capacity(plan, source.slots)
    runs = "chosen when a GPU is lent", "PyTorch or Triton, whatever the lent GPU has"
    if not source.zero_gpu:
        runs = _graphs_of(model), _kernels_on(device)
    warnings += captions.warnings
    model.runtime_report = runtime_report(captions.plan, runs, _name(dtype), source.pin_persona, warnings)
    log_reports(model.runtime_report, model.capacity_report)
    return model


def _plan(source: Source, config: Config, device: torch.device, dtype: torch.dtype) -> Plan:
    gpu = read_gpu(device) if device.type == "cuda" and not source.zero_gpu else None
    return make_plan(_wishes(source), model_bytes(config, dtype), gpu, _name(dtype))


def _wishes(source: Source) -> Wishes:
    if source.zero_gpu:
        # That GPU has room for all weights, is not there yet, and answers one clip at a time.
        return Wishes(quantize=False, kv_int8=False, slots=1)
    return Wishes(
        source.quantize, source.kv_int8, source.slots, source.persona_cache_bytes, source.cpu_offload
    )


def _find_captions(
    source: Source, config: Config, plan: Plan, device: torch.device, dtype: torch.dtype, report: Report
) -> Captions:
    captions = Captions(source.captions, plan)
    if source.captions is False:
        return captions
    if source.zero_gpu or (source.captions is None and _clips_only(source)):
        captions.leave_out(f"{LEFT_OUT}: clips need none.")
        return captions
    if source.captions is None and device.type != "cuda":
        captions.leave_out(f"{LEFT_OUT}: there is no GPU for it.")
        return captions

    def plan_with(sizes: SttSizes) -> Plan:
        gpu = read_gpu(device) if device.type == "cuda" else None
        reader, demanded = reader_bytes(sizes, dtype), source.captions is True
        sums = model_bytes(config, dtype)
        return plan_captions(plan, _wishes(source), sums, gpu, _name(dtype), reader, demanded)

    hub = Hub(token=source.token)
    captions.find(source.captions_repo, source.captions_revision, hub, plan_with, report)
    return captions


def _tuned(
    model: PersonaPlexModel, captions: Captions, recorder: Recorder, as_set: int | None, report: Report
) -> CapacityReport:
    """See ``tune``. Captions that turn out to be too slow for the wanted calls are left out again."""
    capacity = tune(model, recorder, captions.plan.by_memory, as_set, report)
    if captions.are_too_slow(capacity, as_set):
        captions.leave_out(TOO_SLOW)
        model.forget_recogniser()
        model.resize(captions.plan.slots)
        torch.cuda.empty_cache()
        capacity = tune(model, recorder, captions.plan.by_memory, as_set, report)
    return capacity


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def _graphs_of(model: PersonaPlexModel) -> str:
    trouble = "clips need none" if model.clips_only else model.stepper.graphs.trouble
    return f"eager: {trouble}" if trouble else "captured as CUDA graphs"


def _kernels_on(device: torch.device) -> str:
    trouble = triton_trouble(device)
    return f"PyTorch: {trouble.removesuffix('.')}" if trouble else "Triton"


def _clips_only(source: Source) -> str:
    if source.zero_gpu:
        return NO_LIVE_CALLS
    return OFFLOADED_IS_SLOW if source.cpu_offload else ""


def _unpacked_presets(files: CheckpointFiles) -> Path | None:
    if files.voices is None:
        return None
    # Some megabytes, unpacked at each start, because the checkpoint's folder may be read-only.
    folder = Path(tempfile.mkdtemp(prefix="personaplex-voices-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    unpack_voices(files.voices, folder / "voices")
    return folder / "voices"


def _check_voices(source: Source, dim: int) -> None:
    # Checked before the weights, which take minutes to load.
    for voice in source.needed_voices:
        try:
            path = source.voices.path_of(voice)
        except InvalidInput:
            names = source.voices.names()
            offered = f"There are: {listed(names)}." if names else "There are none; name a file."
            raise InvalidInput("voice", f"There is no voice {voice}. {offered}") from None
        if not source.voices.is_recording(voice):
            load_preset(path, dim)
