"""From a request to its files. Errors are looked for before the model is loaded; torch is imported only
then.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tqdm import tqdm

from personaplex_ui.audio.files.clip_file import DecodedClip, decode_clip
from personaplex_ui.config.settings import Quantize
from personaplex_ui.engine import clip_batch
from personaplex_ui.engine.speech_model import Persona
from personaplex_ui.errors import InvalidInput
from personaplex_ui.offline.answer_files import check_outputs, write_answer
from personaplex_ui.offline.arguments import Clip, PersonaAndModel, Request
from personaplex_ui.voices.catalogue import CATALOGUE_PATH
from personaplex_ui.voices.library import VoiceLibrary
from personaplex_ui.voices.names import canonical_voice_name

if TYPE_CHECKING:
    from personaplex_ui.models.personaplex.model import PersonaPlexModel

LONGEST_INPUT_SEC = 3_600.0

PERSONA_CACHE_BYTES = 1 << 32
"""The persona is prepared only once, however long it is."""


def answer_files(request: Request) -> None:
    """Read, answer and write all recordings. Raises PersonaplexError; answers completed by then are
    written."""
    voices, voice = find_voice(request)
    for clip in request.clips:
        check_outputs(clip)
    recordings = [_read(clip) for clip in request.clips]
    model = load_model(request, voices, voice, slots=min(request.batch, len(request.clips)))
    _answer(request, model, voice, recordings)


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


def _read(clip: Clip) -> DecodedClip:
    if not clip.input.is_file():
        raise InvalidInput("audio", f"There is no file {clip.input}. Correct --input-wav.")
    try:
        return decode_clip(clip.input, LONGEST_INPUT_SEC)
    except InvalidInput as error:
        raise InvalidInput("audio", f"{clip.input}: {error}") from error


def load_model(request: PersonaAndModel, voices: VoiceLibrary, voice: str, slots: int) -> "PersonaPlexModel":
    """The model, showing how far it is on a terminal. Raises PersonaplexError."""
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

        return load_personaplex(source, report)


def _answer(
    request: Request, model: "PersonaPlexModel", voice: str, recordings: Sequence[DecodedClip]
) -> None:
    from personaplex_ui.models.personaplex.clip_batch import each_answer

    persona = Persona(voice, request.text_prompt)
    clips = [clip_batch.Clip(recording.samples, persona, request.sampling) for recording in recordings]
    with tqdm(total=sum(clip.frames for clip in clips), unit="frame", disable=None) as bar:

        def count(done: int, total: int) -> None:
            bar.update(done - bar.n)

        for number, answer in each_answer(model, clips, count):
            samples = answer.samples[: recordings[number].length_samples]
            write_answer(request.clips[number], samples, answer.tokens, answer.pieces)
