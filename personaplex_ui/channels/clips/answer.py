"""A clip as a caller: a file's sound goes in as fast as the engine takes it, as much sound comes out."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from personaplex_ui.audio.frames import FRAME_SAMPLES, Frame, Samples, pad_to_frames
from personaplex_ui.calls.call import Call
from personaplex_ui.calls.manager import CallManager
from personaplex_ui.calls.settings import CallSettings
from personaplex_ui.calls.snapshot import End, Phase, Snapshot, Transport
from personaplex_ui.calls.transcript import Utterance, utterances_of
from personaplex_ui.engine.speech_model import OfflineModel
from personaplex_ui.errors import CallOver, EngineFailure, EngineUnavailable, PersonaplexError

log = logging.getLogger(__name__)

FRAMES_AHEAD = 2
"""Frames given before their answers are asked for: the engine never waits for us, nor is anything dropped."""

ANSWER_WITHIN_SEC = 60.0
LENT_ANSWER_WITHIN_SEC = 900.0
"""A lent GPU is waited for, too."""

FAILED = "The speech model failed on our side. Please try again; the server's log has the details."
NO_ANSWER = "The speech engine stopped answering. Please try again in a minute."
NOTHING: Samples = np.zeros(0, dtype=np.float32)


@dataclass(frozen=True, slots=True)
class ClipAnswer:
    """``samples`` of the clip's own length, and what was said, on the same clock."""

    samples: Samples
    lines: tuple[Utterance, ...]


async def converse(
    samples: Samples,
    settings: CallSettings,
    call_manager: CallManager,
    on_progress: Callable[[Snapshot, float], None] = lambda snapshot, part: None,
    address: str = "",
) -> ClipAnswer:
    """Hold a conversation in which the caller says ``samples`` (mono, 24 kHz, shape ``[n]``).

    Waits for a line like everyone. ``on_progress`` gets the call's state and the part of the clip that was
    heard. ``address``: where the clip comes from. On cancellation the line is freed.

    Raises:
        PersonaplexError: the call was refused or ended before the clip did; the text says why.
    """
    model = call_manager.engine.model
    if isinstance(model, OfflineModel):
        return await _ask(model, samples, settings)
    call = call_manager.open(settings, paced=False, transport=Transport.CLIP, address=address)
    try:
        async for snapshot in call.watch():
            on_progress(snapshot, 0.0)
            if snapshot.phase is not Phase.WAITING and snapshot.phase is not Phase.PREPARING:
                break
        if not call.live.is_set():
            raise EngineUnavailable(call.reason)
        frames = pad_to_frames(samples).reshape(-1, FRAME_SAMPLES)
        answers = await _exchange(call, list(frames), on_progress)
        said = np.concatenate([*answers, NOTHING])[: len(samples)]
        return ClipAnswer(said, call.transcript.lines)
    except CallOver as over:
        raise EngineUnavailable(str(over)) from over
    finally:
        call.hang_up("The clip is over.")


async def _ask(model: OfflineModel, samples: Samples, settings: CallSettings) -> ClipAnswer:
    """The answer of a model that has no calls, and so no line and no watch over it."""
    try:
        async with asyncio.timeout(LENT_ANSWER_WITHIN_SEC):
            said, pieces = await asyncio.to_thread(
                model.answer_clip, samples, settings.persona, settings.sampling
            )
    except PersonaplexError:
        raise
    except TimeoutError:
        log.error("A clip was not answered within %.0f s.", LENT_ANSWER_WITHIN_SEC)
        raise EngineUnavailable(NO_ANSWER) from None
    except Exception as error:
        log.exception("The speech model failed to answer a clip.")
        raise EngineFailure(FAILED) from error
    return ClipAnswer(said, utterances_of(pieces))


async def _exchange(
    call: Call, frames: list[Frame], on_progress: Callable[[Snapshot, float], None]
) -> list[Frame]:
    answers: list[Frame] = []
    for number in range(len(frames) + FRAMES_AHEAD):
        if number < len(frames):
            call.hear(frames[number])
        if number >= FRAMES_AHEAD:
            answer = await call.next_answer(ANSWER_WITHIN_SEC)
            if answer is None:
                call.hang_up(NO_ANSWER, End.FAILED)
                raise EngineUnavailable(NO_ANSWER)
            answers.append(answer)
            if number % 12 == 0:
                on_progress(call.snapshot(), len(answers) / len(frames))
    return answers
