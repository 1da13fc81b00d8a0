"""The model that answers recordings, and the voice that it answers with. Torch is imported only with
PersonaPlex."""

import dataclasses
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tqdm import tqdm

from personaplex_ui.config.settings import EngineChoice, Quantize, Settings
from personaplex_ui.engine.speech_model import Persona, SpeechModel, check_persona
from personaplex_ui.errors import InvalidInput
from personaplex_ui.offline.arguments import PersonaAndModel
from personaplex_ui.offline.folder.answered import hash_of
from personaplex_ui.voices.catalogue import CATALOGUE_PATH
from personaplex_ui.voices.library import VoiceLibrary
from personaplex_ui.voices.names import canonical_voice_name

if TYPE_CHECKING:
    from personaplex_ui.models.personaplex.model import PersonaPlexModel

PERSONA_CACHE_BYTES = 1 << 32
"""The persona is prepared only once, however long it is."""

WITHOUT_WEIGHTS = "Or answer with --engine cascade, which needs neither these weights nor a GPU."


@dataclass(frozen=True, slots=True)
class Voice:
    """``name``: as the model knows it. ``told``: as a file says it; of a file given by its path, its hash,
    since another one may be there the next time."""

    name: str
    told: str
    library: VoiceLibrary | None = None


def voice_of(request: PersonaAndModel) -> Voice:
    """Raises InvalidInput: there is no such voice, or it cannot be used."""
    if request.engine is not EngineChoice.PERSONAPLEX:
        name = canonical_voice_name(request.voice)
        return Voice(name, name)
    library, name = find_voice(request)
    path = Path(request.voice).expanduser()
    is_path = os.sep in request.voice or path.is_file()
    return Voice(name, f"{path.name} {hash_of(path)[:16]}" if is_path else name, library)


def find_voice(request: PersonaAndModel) -> tuple[VoiceLibrary, str]:
    """The available voices, and the requested voice's name among them. Raises InvalidInput."""
    folder = request.voice_folder
    if folder is not None and not folder.is_dir():
        raise InvalidInput("voice", f"There is no folder {folder}. Correct --voice-prompt-dir.")
    voices = VoiceLibrary(folders=(*([folder] if folder else []), CATALOGUE_PATH.parent))
    path = Path(request.voice).expanduser()
    if not (os.sep in request.voice or path.is_file()):
        return voices, canonical_voice_name(request.voice)
    name = voices.add_file(path)
    if voices.is_recording(name):
        try:
            voices.recording(name)
        except InvalidInput as error:
            raise InvalidInput("voice", f"{path}: {error}") from error
    return voices, name


def load(request: PersonaAndModel, voice: Voice, slots: int) -> SpeechModel:
    """The model with ``slots`` slots. Raises PersonaplexError."""
    match request.engine:
        case EngineChoice.ECHO:
            from personaplex_ui.models.echo.model import EchoModel

            return EchoModel(slots)
        case EngineChoice.CASCADE:
            return _cascade(slots)
        case _:
            assert voice.library is not None
            model = _personaplex(request, voice.library, voice.name, slots)
            check_persona(model, Persona(voice.name, ""))
            return model


def _personaplex(
    request: PersonaAndModel, voices: VoiceLibrary, voice: str, slots: int
) -> "PersonaPlexModel":
    """The model, showing how far it is on a terminal. Raises PersonaplexError."""
    from personaplex_ui.models.personaplex.loading.checkpoint_files import CheckpointUnusable
    from personaplex_ui.models.personaplex.loading.load import DTYPES, Source, load_personaplex

    source = Source(
        request.model,
        request.revision,
        device=request.device,
        dtype=DTYPES[request.dtype] if request.dtype else None,
        slots=slots,
        persona_cache_bytes=PERSONA_CACHE_BYTES,
        voices=voices,
        needed_voices=(voice,),
        cpu_offload=request.cpu_offload,
        pin_persona=not request.forget_persona,
        quantize=Quantize(request.quantize).wanted,
    )
    with tqdm(total=100, bar_format="{desc} {percentage:3.0f}%|{bar}|", disable=None, leave=False) as bar:

        def report(sentence: str, progress: float) -> None:
            bar.n = round(progress * 100)
            bar.set_description_str(sentence)

        try:
            return load_personaplex(source, report)
        except CheckpointUnusable as error:
            if Path(request.model).expanduser().is_dir():
                raise
            # Its sentence still names settings in the way that ``worded`` replaces.
            raise CheckpointUnusable(f"{error.args[0]} {WITHOUT_WEIGHTS}", error.setting) from error


def _cascade(slots: int) -> SpeechModel:
    from personaplex_ui.models.cascade.load import load_cascade
    from personaplex_ui.models.factory import speech_sources
    from personaplex_ui.speech.loading import SpeechParts

    sources = speech_sources(Settings.from_mapping(os.environ))
    parts = SpeechParts(dataclasses.replace(sources, calls=slots))
    return load_cascade(parts, slots, lambda sentence, progress: None)
