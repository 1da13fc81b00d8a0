"""The model that answers a folder, and all that decides what it answers."""

import dataclasses
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from personaplex_ui.config.settings import EngineChoice, Settings
from personaplex_ui.engine.speech_model import Persona, SpeechModel, check_persona
from personaplex_ui.offline.answering import find_voice, load_model
from personaplex_ui.offline.folder import answered
from personaplex_ui.offline.folder.arguments import FolderRequest
from personaplex_ui.voices.names import canonical_voice_name

if TYPE_CHECKING:
    from personaplex_ui.voices.library import VoiceLibrary


@dataclass(frozen=True, slots=True)
class Voice:
    """``name``: as the model knows it. ``told``: as a file says it; of a file given by its path, its hash,
    since another one may be there the next time."""

    name: str
    told: str
    library: "VoiceLibrary | None" = None


def voice_of(request: FolderRequest) -> Voice:
    """Raises InvalidInput: there is no such voice, or it cannot be used."""
    if request.engine is not EngineChoice.PERSONAPLEX:
        name = canonical_voice_name(request.voice)
        return Voice(name, name)
    library, name = find_voice(request)
    path = Path(request.voice).expanduser()
    is_path = os.sep in request.voice or path.is_file()
    return Voice(name, f"{path.name} {answered.hash_of(path)[:16]}" if is_path else name, library)


def settings_of(request: FolderRequest, voice: Voice, role: str) -> answered.Settings:
    """All that decides what is answered to a recording."""
    told: dict[str, object] = {
        "engine": request.engine.value,
        "voice": voice.told,
        "role": role,
        "seed": request.sampling.seed,
    }
    if request.engine is EngineChoice.CASCADE:
        told |= _parts_of_cascade()
    if request.engine is EngineChoice.PERSONAPLEX:
        sampling = request.sampling
        told |= {
            "greedy": sampling.greedy,
            "text_temperature": sampling.text_temperature,
            "audio_temperature": sampling.audio_temperature,
            "text_top_k": sampling.text_top_k,
            "audio_top_k": sampling.audio_top_k,
            "model": request.model,
            "revision": request.revision,
            "dtype": request.dtype,
            "quantize": request.quantize,
            "forget_persona": request.forget_persona,
        }
    return told


def load(request: FolderRequest, voice: Voice, slots: int) -> SpeechModel:
    """The model with ``slots`` slots. Raises PersonaplexError."""
    match request.engine:
        case EngineChoice.ECHO:
            from personaplex_ui.models.echo.model import EchoModel

            return EchoModel(slots)
        case EngineChoice.CASCADE:
            return _cascade(slots)
        case _:
            assert voice.library is not None
            model = load_model(request, voice.library, voice.name, slots)
            check_persona(model, Persona(voice.name, ""))
            return model


def _parts_of_cascade() -> dict[str, object]:
    """What the environment says about its parts, without addresses and keys."""
    settings = Settings.from_mapping(os.environ)
    servers = {
        "stt": (settings.stt_base_url, settings.stt_model),
        "llm": (settings.llm_base_url, settings.llm_model),
        "tts": (settings.tts_base_url, f"{settings.tts_model or ''} {settings.tts_voice or ''}".strip()),
    }
    told: dict[str, object] = {part: model or "a server" for part, (url, model) in servers.items() if url}
    paths = {"documents": settings.documents_dir, "tools": settings.tools_file}
    return told | {name: str(path) for name, path in paths.items() if path}


def _cascade(slots: int) -> SpeechModel:
    from personaplex_ui.models.cascade.load import load_cascade
    from personaplex_ui.models.factory import speech_sources
    from personaplex_ui.speech.loading import SpeechParts

    sources = speech_sources(Settings.from_mapping(os.environ))
    parts = SpeechParts(dataclasses.replace(sources, calls=slots))
    return load_cascade(parts, slots, lambda sentence, progress: None)
