"""What a page is told of its call: plain facts, the same over a data channel, a websocket and HTTP.

Pure: depends on snapshots and lines, not on a transport. docs/PROTOCOLS.md lists the fields.
"""

import math
from collections.abc import Iterable
from typing import Any, TypeAlias

from personaplex_ui.calls.conversation import Conversation
from personaplex_ui.calls.conversation_lines import Line
from personaplex_ui.calls.snapshot import Snapshot

WAIT_STEP_SEC = 5
"""A guess of the wait is told in such steps: more would be pretended."""

WAIT_TOLD_EVERY_SEC = 5.0
"""A waiting page is told at least so often: the guess changes with time, the call only with its place."""

Facts: TypeAlias = dict[str, Any]


def facts_of(snapshot: Snapshot, lines: Iterable[Line], wait_sec: float | None = None, seq: int = 0) -> Facts:
    """A message about a call now. ``wait_sec``: how long it is expected to wait."""
    return {
        "type": "facts",
        "seq": seq,
        "call_id": snapshot.call_id,
        "phase": snapshot.phase.value,
        "place": snapshot.place,
        "waiting": snapshot.waiting,
        "wait_sec": None if wait_sec is None else math.ceil(wait_sec / WAIT_STEP_SEC) * WAIT_STEP_SEC,
        "progress": round(snapshot.preparing_progress, 2),
        "elapsed_sec": round(snapshot.elapsed_sec, 1),
        "max_sec": snapshot.max_sec,
        "answer_sec": None if snapshot.answer_sec is None else round(snapshot.answer_sec, 2),
        "reason": snapshot.reason,
        "end": snapshot.end.value if snapshot.end else None,
        "notes": list(snapshot.notes),
        "lines": [line.record() for line in lines],
    }


class FactsFeed:
    """Tells one reader what has changed. A message has the lines that are new or changed since the last."""

    def __init__(self) -> None:
        self._seq = 0
        self._last: Facts = {}
        self._version = 0

    def news(
        self, snapshot: Snapshot, conversation: Conversation | None = None, wait_sec: float | None = None
    ) -> Facts | None:
        """The next message, or None if nothing has changed but fractions of a second.

        What it returns counts as told, so call it only when the message can be sent.
        """
        lines = conversation.changed_since(self._version) if conversation is not None else ()
        facts = facts_of(snapshot, lines, wait_sec)
        told: Facts = {**facts, "lines": [], "elapsed_sec": math.floor(facts["elapsed_sec"])}
        if not lines and told == self._last:
            return None
        self._last = told
        self._version = conversation.version if conversation is not None else 0
        self._seq += 1
        return {**facts, "seq": self._seq}
