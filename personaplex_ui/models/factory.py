"""Chooses the speech model by the settings and this machine's hardware, and loads it.

Torch and moshi are imported here and no earlier, so that the page is up long before.
"""

import ctypes
from typing import TYPE_CHECKING

from personaplex_ui.config.settings import EngineChoice, Settings, revealed
from personaplex_ui.engine.engine import ReportLoading
from personaplex_ui.engine.speech_model import SpeechModel
from personaplex_ui.models.echo.model import EchoModel
from personaplex_ui.models.personaplex.gpu_driver import GPU_DRIVER
from personaplex_ui.voices.library import VoiceLibrary

if TYPE_CHECKING:
    from personaplex_ui.models.personaplex.loading.load import Source


def load_speech_model(settings: Settings, voices: VoiceLibrary, report: ReportLoading) -> SpeechModel:
    """The model of ``settings``, ready for calls. Runs in the engine's thread.

    Raises:
        PersonaplexError: it cannot be loaded; the sentence says why and what to do.
    """
    match settings.engine:
        case EngineChoice.ECHO:
            return load_echo(settings, voices, report)
        case EngineChoice.AUTO if not _has_gpu(settings):
            return load_echo(settings, voices, report)
        case EngineChoice.AUTO | EngineChoice.PERSONAPLEX:
            return _load_personaplex(settings, voices, report)


def load_echo(settings: Settings, voices: VoiceLibrary, report: ReportLoading) -> SpeechModel:
    """The echo engine, which every machine can run."""
    report("Starting the echo engine.", 0.0)
    voices.offer_catalogue()
    return EchoModel(settings.expected_calls)


def _has_gpu(settings: Settings) -> bool:
    """Whether there is a GPU for PersonaPlex. Torch, which takes seconds and 200 MB, is asked only if there
    is a driver."""
    if settings.device == "cpu":
        return False
    if settings.spaces_zero_gpu:
        return True
    if not has_gpu_driver():
        return False
    from personaplex_ui.models.personaplex.loading.load import choose_device

    return choose_device("auto").type == "cuda"


def has_gpu_driver() -> bool:
    """Whether NVIDIA's driver is installed; there may still be no GPU, or one that torch cannot use."""
    try:
        ctypes.CDLL(GPU_DRIVER)
    except OSError:
        return False
    return True


def _load_personaplex(settings: Settings, voices: VoiceLibrary, report: ReportLoading) -> SpeechModel:
    report("Starting PersonaPlex.", 0.0)
    from personaplex_ui.models.personaplex.loading.load import load_personaplex

    return load_personaplex(personaplex_source(settings, voices), report)


def personaplex_source(settings: Settings, voices: VoiceLibrary) -> "Source":
    """What to load for ``settings``, whatever they say about the engine. Imports torch."""
    from personaplex_ui.models.personaplex.loading.load import Source

    return Source(
        settings.hf_repo,
        settings.hf_revision,
        revealed(settings.hf_token),
        settings.device,
        slots=settings.max_calls,
        persona_cache_bytes=settings.persona_cache_mb * 1_000_000,
        voices=voices,
        cpu_offload=settings.cpu_offload,
        zero_gpu=settings.spaces_zero_gpu,
        quantize=settings.quantize.wanted,
        kv_int8=settings.kv_cache.wanted,
        pin_persona=settings.pin_persona,
    )
