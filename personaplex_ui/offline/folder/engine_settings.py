"""All that decides what a recording of a folder is answered."""

import os

from personaplex_ui.config.settings import EngineChoice, Settings
from personaplex_ui.offline.engines import Voice
from personaplex_ui.offline.folder import answered
from personaplex_ui.offline.folder.arguments import FolderRequest


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


def _parts_of_cascade() -> dict[str, object]:
    """What the environment says about its parts, without addresses and keys."""
    settings = Settings.from_mapping(os.environ)
    names = ("stt_model", "llm_model", "tts_model", "tts_voice")  # each is needed where there is a server
    told: dict[str, object] = {name: model for name in names if (model := getattr(settings, name))}
    paths = {"documents": settings.documents_dir, "tools": settings.tools_file}
    return told | {name: str(path) for name, path in paths.items() if path}
