"""Forgets Gradio's sessions that nobody will come back to.

Gradio keeps a configuration of the whole page, some 100 KB, for each of up to 10,000 sessions, and a program
that calls the API makes a session each time; besides, it notes every event there ever was. Knows these two.
"""

# Gradio is typed in part only:
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

import asyncio
from datetime import datetime, timedelta

import gradio as gr

LOOK_EVERY_SEC = 30.0
OF_PROGRAMS_KEPT = timedelta(minutes=2)
"""Sessions in which no page was opened: they hold nothing."""

CLOSED_KEPT = timedelta(hours=1)
"""Of pages that were left; so long Gradio means to remember them for who comes back."""

EVENTS_NOTED = 1_000


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
    events = page._queue.event_analytics  # pyright: ignore[reportPrivateUsage]
    for event in list(events)[:-EVENTS_NOTED]:
        del events[event]
