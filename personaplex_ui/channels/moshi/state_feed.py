"""The state of its call as a Moshi client is told it that asked for that: the place, the progress, figures.

Depends on the wire and snapshots of the call. A page is told by ``page_channel`` instead.
"""

import contextlib
from collections.abc import AsyncGenerator
from typing import cast

from personaplex_ui.calls.live_call import LiveCall
from personaplex_ui.calls.snapshot import Phase, Snapshot
from personaplex_ui.channels.moshi.input import Hearing
from personaplex_ui.channels.moshi.protocol import Metadata
from personaplex_ui.channels.moshi.websocket import Wire


class StateFeed:
    """``hearing`` knows what was dropped of the client's sound."""

    def __init__(self, wire: Wire, call: LiveCall, hearing: Hearing) -> None:
        self._wire = wire
        self._call = call
        self._hearing = hearing
        self._notes_sent = 0

    async def tell_progress(self) -> None:
        """Until the call is live."""
        told: dict[str, object] = {}
        watched = cast(AsyncGenerator[Snapshot], self._call.watch())
        async with contextlib.aclosing(watched) as snapshots:
            async for snapshot in snapshots:
                if snapshot.phase in (Phase.LIVE, Phase.ENDED):
                    return
                values = _progress(snapshot)
                if values and values != told:
                    await self._wire.send(Metadata(values))
                    told = values

    async def tell(self) -> None:
        """The state of a live call, and its notes that are new."""
        snapshot = self._call.snapshot()
        stats = {
            "dropped_heard": snapshot.stats.dropped_heard,
            "dropped_said": snapshot.stats.dropped_said,
            "lag_frames": snapshot.stats.lag_frames,
            "too_fast_sec": round(self._hearing.too_fast_sec, 2),
        }
        values = {"state": "live", "elapsed_sec": round(snapshot.elapsed_sec, 1), "figures": stats}
        await self._wire.send(Metadata(values))
        for note in snapshot.notes[self._notes_sent :]:
            self._notes_sent += 1
            await self._wire.send(Metadata({"note": note}))


def _progress(snapshot: Snapshot) -> dict[str, object]:
    """What a client is told before its call is live; empty while there is nothing to tell."""
    if snapshot.phase is Phase.PREPARING:
        return {"state": "preparing", "progress": round(snapshot.preparing_progress, 2)}
    if snapshot.place:
        return {"state": "waiting", "place": snapshot.place, "waiting": snapshot.waiting}
    return {}
