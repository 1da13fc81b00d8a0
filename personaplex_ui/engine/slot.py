"""A caller's slot of the engine: what a call may do with it, from the event loop."""

import asyncio
import contextlib
from collections.abc import Callable

import anyio

from personaplex_ui.audio.frames import Frame
from personaplex_ui.engine.model_runner import Caller, ModelRunner
from personaplex_ui.engine.speech_model import Persona, Sampling, TakesTurns
from personaplex_ui.engine.thread import ModelThread
from personaplex_ui.errors import EngineFailure


class Slot:
    """Made by ``Engine.take_slot``; its owner must ``leave``."""

    def __init__(self, thread: ModelThread, caller: Caller) -> None:
        self._thread = thread
        self._submit = thread.commands.submit
        self._caller = caller

    async def join(self, persona: Persona) -> None:
        """Have ``persona`` prepared; returns when the model is ready to hear the first frame.

        Raises:
            InvalidInput: the persona cannot be prepared.
            EngineFailure: the model raised while it prepared, or is being restarted.
        """
        await asyncio.wrap_future(self._submit(lambda runner: runner.begin(self._caller, persona)))
        await asyncio.wrap_future(self._caller.joined)

    def hear(self, frame: Frame) -> None:
        """Give the model the next frame, shape ``[1920]``. Never waits; see ``FrameQueue``."""
        self._thread.hear(self._caller.slot, frame)

    def samples_to_skip(self, chunk_samples: int) -> int | None:
        """See ``TickClock.samples_to_skip``."""
        return self._thread.samples_to_skip(chunk_samples)

    def waiting_frames(self) -> tuple[int, int, float]:
        """See ``Scheduler.waiting_frames``."""
        return self._thread.waiting_frames(self._caller.slot)

    def change_sampling(self, sampling: Sampling) -> None:
        self._submit(lambda runner: runner.model.change_sampling(self._caller.slot, sampling))

    async def speak(self, text: str) -> None:
        """Have the voice say ``text``.

        Raises:
            SpeakQueueFull: ten texts are waiting already.
            EngineFailure: the model is being restarted.
        """
        await asyncio.wrap_future(self._submit(lambda runner: runner.model.speak(self._caller.slot, text)))

    async def read(self, text: str) -> bool:
        """Give the model what the caller wrote. False: it takes in nothing but sound.

        Raises:
            EngineFailure: the model is being restarted.
        """
        return await self._tell(lambda model, slot: model.read(slot, text))

    async def fall_silent(self) -> bool:
        """Have the model say nothing more of its present answer. False: it cannot be told.

        Raises:
            EngineFailure: the model is being restarted.
        """
        return await self._tell(lambda model, slot: model.fall_silent(slot))

    async def answer_with(self, replier: object) -> bool:
        """Have answers found with ``replier``. False: the model finds them itself.

        Raises:
            EngineFailure: the model is being restarted.
        """
        return await self._tell(lambda model, slot: model.answer_with(slot, replier))

    async def _tell(self, what: Callable[[TakesTurns, int], None]) -> bool:
        def tell(runner: ModelRunner) -> bool:
            if not isinstance(runner.model, TakesTurns):
                return False
            what(runner.model, self._caller.slot)
            return True

        return await asyncio.wrap_future(self._submit(tell))

    async def leave(self) -> None:
        """Free the slot; returns when the model has released it, or at once if the model was given up.
        Idempotent. The slot is freed even if this is cancelled meanwhile."""
        left = self._submit(lambda runner: runner.leave(self._caller))
        with contextlib.suppress(EngineFailure), anyio.CancelScope(shield=True):
            await asyncio.shield(asyncio.wrap_future(left))
