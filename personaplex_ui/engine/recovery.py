"""What is done about an engine in trouble: restarted once, and when that does not help, given up.

Pure: times come in. What giving up means is for the process to say.
"""

import enum

from personaplex_ui.engine.watch import Trouble, Work

HELD_SEC = 600.0
"""A restart has helped when there was no trouble for so long."""


class Remedy(enum.Enum):
    """``KEEP_MODEL``: another thread for the same model. ``LOAD_AGAIN``: another thread and another model.
    ``WAIT``: what loads may yet come. ``GIVE_UP``: nothing in this process helps."""

    KEEP_MODEL = enum.auto()
    LOAD_AGAIN = enum.auto()
    WAIT = enum.auto()
    GIVE_UP = enum.auto()


class Recovery:
    def __init__(self) -> None:
        self._restarted_at: float | None = None

    def remedy(self, trouble: Trouble, now: float, has_model: bool, can_be_tried: bool) -> Remedy:
        """``can_be_tried``: there is a voice and role to try the restarted engine with. Where that goes well,
        those that failed were at fault and not the engine, so it may be restarted as often as they come."""
        if trouble.hung_in is Work.LOAD:
            return Remedy.WAIT
        recently = self._restarted_at is not None and now - self._restarted_at < HELD_SEC
        counts = trouble.of_steps or not can_be_tried
        if trouble.hung_in is Work.RELOAD or (recently and counts):
            return Remedy.GIVE_UP
        if counts:
            self._restarted_at = now
        return Remedy.KEEP_MODEL if has_model and trouble.hung_in is None else Remedy.LOAD_AGAIN

    def forget(self) -> None:
        """Somebody loads another model: what happened before tells nothing of it."""
        self._restarted_at = None
