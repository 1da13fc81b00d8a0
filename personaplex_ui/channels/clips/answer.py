"""A clip as a caller: a file's sound goes in as fast as the engine takes it, and equally long sound comes
out."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from personaplex_ui.audio.frames import FRAME_SAMPLES, SAMPLE_RATE_HZ, Frame, Samples, pad_to_frames
from personaplex_ui.calls.allowance import Visitor
from personaplex_ui.calls.clip_call import ClipCall
from personaplex_ui.calls.conversation import Conversation
from personaplex_ui.calls.manager import CallManager
from personaplex_ui.calls.record import spoken
from personaplex_ui.calls.settings import CallSettings
from personaplex_ui.calls.snapshot import End, Phase, Snapshot
from personaplex_ui.calls.transcript import Utterance, utterances_of
from personaplex_ui.engine.speech_model import OfflineModel, SpeechModel
from personaplex_ui.errors import CallOver, EngineFailure, EngineUnavailable, PersonaplexError

log = logging.getLogger(__name__)

FRAMES_AHEAD = 2
"""Frames given before their answers are taken: the engine never waits for us, and nothing is dropped."""

ANSWER_WITHIN_SEC = 60.0
OFFLINE_ANSWER_WITHIN_SEC = 900.0
"""Includes the wait for a lent GPU."""

FAILED = "The speech model failed on our side. Please try again; the server's log has the details."
NO_ANSWER = "The speech engine stopped answering. Please try again in a minute."

CLIP_OVER = "The clip is over."

WORDS_WITHIN_SEC, WORDS_WITHIN_SEC_PER_SEC = 10.0, 0.5
"""How long an answer waits for the caller's words, and more for each second of the clip: ten times what they
take on an idle core."""

OnProgress = Callable[[Snapshot, float], None]
"""Gets the state of the clip's call and the fraction of the clip heard so far, in [0, 1]."""


@dataclass(frozen=True, slots=True)
class ClipAnswer:
    """``samples`` has the clip's length; ``utterances``, of both sides, are on the same clock."""

    samples: Samples
    utterances: tuple[Utterance, ...]


async def converse(
    samples: Samples,
    settings: CallSettings,
    call_manager: CallManager,
    on_progress: OnProgress = lambda snapshot, part: None,
    address: str = "",
    visitor: Visitor | None = None,
) -> ClipAnswer:
    """Hold a conversation in which the caller says ``samples`` (mono, 24 kHz, shape ``[n]``).

    Waits for a slot like any call. ``address``: where the clip comes from; ``visitor``: whose
    minutes it uses. Cancellation frees the slot.

    Raises:
        PersonaplexError: the call was refused or ended before the clip did; the message says why.
    """
    call_manager.at_work += 1
    try:
        return await _converse(samples, settings, call_manager, on_progress, address, visitor)
    finally:
        call_manager.at_work -= 1


async def _converse(
    samples: Samples,
    settings: CallSettings,
    call_manager: CallManager,
    on_progress: OnProgress,
    address: str,
    visitor: Visitor | None,
) -> ClipAnswer:
    model = call_manager.engine.model
    sound_sec = len(samples) / SAMPLE_RATE_HZ
    if isinstance(model, OfflineModel):
        call_manager.allowance.check(visitor, sound_sec)
        call_manager.allowance.spend(visitor, sound_sec)
        answer = await _ask(model, samples, settings)
        return await _with_callers_words(answer, Conversation(), model, samples, settings, call_manager)
    call = call_manager.open_clip(settings, address, visitor, sound_sec)
    try:
        async for snapshot in call.watch():
            on_progress(snapshot, 0.0)
            if snapshot.phase not in (Phase.WAITING, Phase.PREPARING):
                break
        if not call.live.is_set():
            raise EngineUnavailable(call.reason)
        frames = pad_to_frames(samples).reshape(-1, FRAME_SAMPLES)
        answers = await _exchange(call, list(frames), on_progress)
    except CallOver as over:
        raise EngineUnavailable(str(over)) from over
    finally:
        call.hang_up(CLIP_OVER)  # others may have its slot while the caller's words are looked for
    said = np.concatenate([*answers, np.zeros(0, dtype=np.float32)])[: len(samples)]
    answer = ClipAnswer(said, call.transcript.utterances)
    return await _with_callers_words(answer, call.conversation, model, samples, settings, call_manager)


async def _with_callers_words(
    answer: ClipAnswer,
    conversation: Conversation,
    model: SpeechModel,
    samples: Samples,
    settings: CallSettings,
    call_manager: CallManager,
) -> ClipAnswer:
    """``answer`` with what the caller said, as far as it is in ``conversation`` or found in bounded time."""
    within_sec = WORDS_WITHIN_SEC + WORDS_WITHIN_SEC_PER_SEC * len(samples) / SAMPLE_RATE_HZ
    role = settings.persona.text_prompt
    await call_manager.captions.find_in_clip(model, samples, role, conversation.hear_words, within_sec)
    return ClipAnswer(answer.samples, spoken(answer.utterances, conversation.lines))


async def _ask(model: OfflineModel, samples: Samples, settings: CallSettings) -> ClipAnswer:
    """The answer of a model that takes no calls and therefore has no slots and no watchdog."""
    try:
        async with asyncio.timeout(OFFLINE_ANSWER_WITHIN_SEC):
            said, pieces = await asyncio.to_thread(
                model.answer_clip, samples, settings.persona, settings.sampling
            )
    except PersonaplexError:
        raise
    except TimeoutError:
        log.error("A clip was not answered within %.0f s.", OFFLINE_ANSWER_WITHIN_SEC)
        raise EngineUnavailable(NO_ANSWER) from None
    except Exception as error:
        log.exception("The speech model failed to answer a clip.")
        raise EngineFailure(FAILED) from error
    return ClipAnswer(said, utterances_of(pieces))


async def _exchange(call: ClipCall, frames: list[Frame], on_progress: OnProgress) -> list[Frame]:
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
