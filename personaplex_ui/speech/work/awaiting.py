"""Jobs for asyncio: a coroutine waits for one without asking again and again, and blocks nothing."""

import asyncio
import contextlib
from typing import TypeVar

from personaplex_ui.speech.parts import SpeechPartFailed
from personaplex_ui.speech.work.jobs import CANCELLED, Job

T = TypeVar("T")


async def result_of(job: Job[T]) -> T:
    """What ``job`` has found, once it is done. Cancelling this cancels the job; so does a timeout around it.

    Raises:
        SpeechPartFailed: it could not be done, or was cancelled by somebody else.
    """
    loop = asyncio.get_running_loop()
    settled = loop.create_future()

    def settle() -> None:
        if not settled.done():
            settled.set_result(None)

    def tell_the_loop() -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed, and nobody waits any more
            loop.call_soon_threadsafe(settle)

    job.when_settled(tell_the_loop)
    try:
        await settled
    except asyncio.CancelledError:
        job.cancel()
        raise
    if not job.done:
        raise SpeechPartFailed(CANCELLED)
    return job.result()
