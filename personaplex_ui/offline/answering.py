"""From a request to its files. Errors are looked for before the model is loaded; torch is imported only
then.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from personaplex_ui.audio.files.clip_file import DecodedClip, decode_clip
from personaplex_ui.audio.frames import Samples
from personaplex_ui.config.settings import EngineChoice
from personaplex_ui.engine import clip_batch
from personaplex_ui.engine.speech_model import Persona, SpeechModel, check_persona
from personaplex_ui.errors import InvalidInput
from personaplex_ui.offline.answer_files import check_outputs, write_answer
from personaplex_ui.offline.arguments import Clip, Request
from personaplex_ui.offline.engines import load, voice_of

LONGEST_INPUT_SEC = 3_600.0


def answer_files(request: Request) -> None:
    """Read, answer and write all recordings. Raises PersonaplexError; answers completed by then are
    written."""
    voice = voice_of(request)
    for clip in request.clips:
        check_outputs(clip)
    recordings = [_read(clip) for clip in request.clips]
    model = load(request, voice, slots=min(request.batch, len(request.clips)))
    persona = Persona(voice.name, request.text_prompt)
    check_persona(model, persona)
    _answer(request, model, persona, recordings)


def _read(clip: Clip) -> DecodedClip:
    if not clip.input.is_file():
        raise InvalidInput("audio", f"There is no file {clip.input}. Correct --input-wav.")
    try:
        return decode_clip(clip.input, LONGEST_INPUT_SEC)
    except InvalidInput as error:
        raise InvalidInput("audio", f"{clip.input}: {error}") from error


def _answer(
    request: Request, model: SpeechModel, persona: Persona, recordings: Sequence[DecodedClip]
) -> None:
    clips = [clip_batch.Clip(recording.samples, persona, request.sampling) for recording in recordings]
    with tqdm(total=sum(clip.frames for clip in clips), unit="frame", disable=None) as bar:

        def count(frames: int) -> None:
            bar.update(frames)

        for number, answer in _each_answer(request, model, clips, count):
            samples = answer.samples[: recordings[number].length_samples]
            write_answer(request.clips[number], samples, answer.tokens, answer.pieces)


@dataclass(frozen=True, slots=True, eq=False)
class _Answer:
    """``tokens``: None where the engine has none."""

    samples: Samples
    tokens: npt.NDArray[np.int32] | None
    pieces: clip_batch.Pieces


def _each_answer(
    request: Request,
    model: SpeechModel,
    clips: Sequence[clip_batch.Clip],
    on_step: Callable[[int], None],
) -> Iterator[tuple[int, _Answer]]:
    if request.engine is not EngineChoice.PERSONAPLEX:
        for given in clip_batch.each_answer(model, clips, on_step):
            yield given.number, _Answer(given.samples, None, given.pieces)
        return
    from personaplex_ui.models.personaplex.clip_batch import each_answer
    from personaplex_ui.models.personaplex.model import PersonaPlexModel

    assert isinstance(model, PersonaPlexModel)
    counted = 0

    def count(done: int, total: int) -> None:
        nonlocal counted
        on_step(done - counted)
        counted = done

    for number, answer in each_answer(model, clips, count):
        yield number, _Answer(answer.samples, answer.tokens, answer.pieces)
