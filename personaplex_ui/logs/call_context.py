"""Which call a record of the log belongs to: set in the task of a call, read by the log's format."""

from contextvars import ContextVar

ID_LETTERS = 6
"""The part of a call's id that is logged: enough to tell calls apart, too little to fetch a recording."""

current_call: ContextVar[str] = ContextVar("current_call", default="")
"""The beginning of the call's id, or an empty text outside of calls."""


def enter_call(call_id: str) -> None:
    """Everything the current task logs from now on belongs to this call."""
    current_call.set(call_id[:ID_LETTERS])
