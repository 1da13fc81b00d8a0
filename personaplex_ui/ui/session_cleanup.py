"""Forgets Gradio's sessions and events that nobody will come back to.

Gradio keeps a configuration of the whole page, some 100 KB, for each of up to 10,000 sessions, and programs
that call the API make one each; besides, it keeps every event there ever was, 30 KB each. Knows these two.
"""

# Gradio is typed in part only:
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportPrivateUsage=false

import asyncio
from datetime import datetime, timedelta

import gradio as gr
from gradio.queueing import Queue

LOOK_EVERY_SEC = 30.0
OF_PROGRAMS_KEPT = timedelta(minutes=2)
"""Sessions in which no page was opened: they hold nothing."""

CLOSED_KEPT = timedelta(hours=1)
"""Of pages that were left; so long Gradio means to remember them for who comes back."""

EVENTS_NOTED = 100
"""Each with its request and what it answered. A program may still ask for the answer of a new one."""


async def forget_idle_sessions(page: gr.Blocks) -> None:
    """Look again and again; to be cancelled at the end."""
    while True:
        await asyncio.sleep(LOOK_EVERY_SEC)
        forget(page, datetime.now())


def forget(page: gr.Blocks, now: datetime) -> None:
    """Remove what is idle ``now`` (local time, as Gradio notes it). Open pages stay, however idle."""
    holder = page.state_holder
    for session, state in list(holder.session_data.items()):
        idle = now - holder.time_last_used.get(session, now)
        kept = CLOSED_KEPT if state.is_closed else OF_PROGRAMS_KEPT if not state.state_data else None
        if kept is not None and idle > kept:
            with holder.lock:
                holder.session_data.pop(session, None)
            holder.time_last_used.pop(session, None)
    _forget_events(page._queue)


def _forget_events(queue: Queue) -> None:
    """All but the newest, and those that are being served or wait to be."""
    noted, known = queue.event_analytics, queue.event_ids_to_events
    for event_id in list(noted)[:-EVENTS_NOTED]:
        del noted[event_id]
    at_work = {event._id for job in queue.active_jobs if job for event in job}
    at_work |= {
        event._id for waiting in queue.event_queue_per_concurrency_id.values() for event in waiting.queue
    }
    for event_id in list(known)[:-EVENTS_NOTED]:
        if event_id not in at_work:
            del known[event_id]
