"""Stops work for a program that is gone. Gradio notices when one is, but tells it to generators only."""

# Gradio is typed in part only:
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

import gradio as gr
from gradio.context import LocalContext
from gradio.queueing import Event

LOOK_EVERY_SEC = 0.5

T = TypeVar("T")


async def while_wanted(work: Coroutine[Any, Any, T]) -> T:
    """The result of ``work``, which is cancelled when the client of the current Gradio event has gone.

    Raises:
        gr.Error: it has; nobody will read this.
    """
    event = current_event()
    task = asyncio.create_task(work)
    try:
        while not (await asyncio.wait([task], timeout=LOOK_EVERY_SEC))[0]:
            if event is not None and not event.alive:
                raise gr.Error("Nobody waits for this answer any more.", print_exception=False)
        return task.result()
    finally:
        task.cancel()
        await asyncio.wait([task])


def current_event() -> Event | None:
    """Gradio's event that is being served; None outside of one."""
    blocks, event_id = LocalContext.blocks.get(), LocalContext.event_id.get()
    jobs: list[Any] = blocks._queue.active_jobs if blocks is not None else []  # pyright: ignore[reportPrivateUsage]
    return next((event for job in jobs if job for event in job if event._id == event_id), None)
