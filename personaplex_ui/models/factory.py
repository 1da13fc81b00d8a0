"""Chooses the speech model by the settings and this machine's hardware, and loads it.

Torch and moshi are imported here and no earlier, so that the page is up long before.
"""

import ctypes
import logging
from typing import TYPE_CHECKING

from pydantic import SecretStr

from personaplex_ui.config.settings import EngineChoice, Settings, revealed
from personaplex_ui.engine.engine import ReportLoading
from personaplex_ui.engine.speech_model import SpeechModel
from personaplex_ui.errors import PersonaplexError
from personaplex_ui.models.echo.model import EchoModel
from personaplex_ui.models.echo.sentences import GREETING
from personaplex_ui.models.personaplex.gpu_driver import GPU_DRIVER
from personaplex_ui.speech.documents.folder import read_documents
from personaplex_ui.speech.loading import Endpoint, Sources, SpeechParts
from personaplex_ui.speech.tools.description import read_tools
from personaplex_ui.voices.library import VoiceLibrary

if TYPE_CHECKING:
    from personaplex_ui.models.personaplex.loading.load import Source

log = logging.getLogger(__name__)


def load_speech_model(
    settings: Settings, voices: VoiceLibrary, speech: SpeechParts, report: ReportLoading
) -> SpeechModel:
    """The model of ``settings``, ready for calls. Runs in the engine's thread.

    Raises:
        PersonaplexError: it cannot be loaded; the sentence says why and what to do.
    """
    match settings.engine:
        case EngineChoice.ECHO:
            return load_echo(settings, voices, report)
        case EngineChoice.CASCADE:
            return _load_cascade(settings, voices, speech, report)
        case EngineChoice.AUTO if not _has_gpu(settings):
            return _load_without_gpu(settings, voices, speech, report)
        case EngineChoice.AUTO | EngineChoice.PERSONAPLEX:
            return _load_personaplex(settings, voices, report)


def load_echo(
    settings: Settings, voices: VoiceLibrary, report: ReportLoading, instead_because: str = ""
) -> SpeechModel:
    """The echo engine, which every machine can run. ``instead_because``: why no other one answers."""
    report("Starting the echo engine.", 0.0)
    voices.offer_catalogue()
    return EchoModel(settings.expected_calls, GREETING, instead_because)


def _load_without_gpu(
    settings: Settings, voices: VoiceLibrary, speech: SpeechParts, report: ReportLoading
) -> SpeechModel:
    """The cascade if it can be had, else the echo, which says why."""
    try:
        return _load_cascade(settings, voices, speech, report)
    except PersonaplexError as error:
        why = str(error)
    except Exception:  # a library that is missing or broken must not close the lines
        log.exception("The cascade engine could not be loaded.")
        why = "it could not be loaded; the server's log says why."
    because = f"The cascade engine cannot answer, so the echo engine repeats what it hears: {why}"
    log.warning("%s", because)
    return load_echo(settings, voices, report, because)


def _load_cascade(
    settings: Settings, voices: VoiceLibrary, speech: SpeechParts, report: ReportLoading
) -> SpeechModel:
    from personaplex_ui.models.cascade.load import load_cascade

    model = load_cascade(speech, settings.expected_calls, report)
    voices.offer_catalogue()
    return model


def speech_sources(settings: Settings) -> Sources:
    """Where the parts of conversations come from, by ``settings``. Reads documents and tools.

    Raises:
        SettingsError: they cannot be used.
    """

    def endpoint(base_url: str | None, api_key: SecretStr | None, *names: str | None) -> Endpoint | None:
        if base_url is None:
            return None
        return Endpoint(base_url, revealed(api_key) or "", *(name or "" for name in names))

    secrets = {name: value.get_secret_value() for name, value in settings.tool_secrets.items()}
    return Sources(
        settings.expected_calls,
        settings.speech_weights_dir,
        stt=endpoint(settings.stt_base_url, settings.stt_api_key, settings.stt_model),
        llm=endpoint(settings.llm_base_url, settings.llm_api_key, settings.llm_model),
        tts=endpoint(settings.tts_base_url, settings.tts_api_key, settings.tts_model, settings.tts_voice),
        documents=read_documents(settings.documents_dir) if settings.documents_dir else None,
        tools=read_tools(settings.tools_file, secrets) if settings.tools_file else (),
    )


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
        captions=settings.captions.of_personaplex,
        captions_repo=settings.captions_repo,
        captions_revision=settings.captions_revision,
    )
