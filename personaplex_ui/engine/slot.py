"""A caller's place in the engine: what a call may do with its slot, from the event loop."""

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from personaplex_ui.audio.frames import Frame
from personaplex_ui.engine.speech_model import Answer, Sampling
from personaplex_ui.errors import EngineFailure, PersonaplexError
from personaplex_ui.logs.call_context import current_call

if TYPE_CHECKING:
    from personaplex_ui.engine.thread import ModelThread

Deliver = Callable[[Answer | PersonaplexError], None]


class Slot:
    """Made by ``Engine.take_seat``; its owner must ``leave``."""

    def __init__(
        self,
        thread: "ModelThread",
        slot: int,
        sampling: Sampling,
        deliver: Deliver,
        on_progress: Callable[[float], None],
        joined: "asyncio.Future[None]",
        paced: bool,
    ) -> None:
        self._thread = thread
        self.slot = slot
        self.sampling = sampling
        self.deliver = deliver
        self.on_progress = on_progress
        self.paced = paced
        self.call = current_call.get()
        """For the log: the call that took this seat."""
        self._joined = joined

    def has_joined(self) -> None:
        if not self._joined.done():
            self._joined.set_result(None)

    def refuse(self, error: PersonaplexError) -> None:
        """It will not join. Whoever has joined, or does not wait any more, hears nothing of it."""
        if not self._joined.done():
            self._joined.set_exception(error)

    def fail(self, error: PersonaplexError) -> None:
        """The model cannot serve this seat: whoever waits to join, or the call, gets the error."""
        if self._joined.cancelled():
            return
        if self._joined.done():
            self.deliver(error)
        else:
            self._joined.set_exception(error)

    def hear(self, frame: Frame) -> None:
        """Give the model the next frame, shape ``[1920]``. Never waits; see ``FrameQueue``."""
        self._thread.hear(self.slot, frame)

    def samples_to_skip(self, chunk_samples: int) -> int | None:
        return self._thread.samples_to_skip(chunk_samples)

    def waiting_frames(self) -> tuple[int, int, float]:
        return self._thread.waiting_frames(self.slot)

    def change_sampling(self, sampling: Sampling) -> None:
        self._thread.command(lambda: self._thread.change_sampling(self.slot, sampling))

    async def speak(self, text: str) -> None:
        """Have the voice say ``text``.

        Raises:
            SpeakQueueFull: ten texts wait already.
            EngineFailure: the model is being restarted.
        """
        error = EngineFailure("The speech model is being restarted. Please call again in a minute.")
        await self._ask(lambda: self._thread.speak(self.slot, text), error)

    async def leave(self) -> None:
        """Free the slot; returns when the model has let go of it, or when nobody waits for the model any
        more. A second time changes nothing."""
        await self._ask(lambda: self._thread.free(self), None)

    async def _ask(self, function: Callable[[], None], if_given_up: Exception | None) -> None:
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def settle(error: Exception | None) -> None:
            if done.done():
                return
            if error is None:
                done.set_result(None)
            else:
                done.set_exception(error)

        def run() -> None:
            try:
                function()
            except Exception as error:
                self._thread.post_result(lambda error=error: settle(error))
            else:
                self._thread.post_result(lambda: settle(None))

        self._thread.command(run, lambda: settle(if_given_up))
        await done
