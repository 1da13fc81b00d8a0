"""Sends what Gradio and FastRTC print to ``logging`` instead, without the content of requests.

They print the traceback of every failed event, and its last line often quotes the input: roles, keys,
numbers. Depends on the modules that print; ``logs`` formats the records.
"""

import logging
import sys
import traceback
from types import ModuleType, TracebackType

from fastrtc import utils as fastrtc_handlers
from gradio import queueing, routes

from personaplex_ui.logs.formats import is_raised_by_us, place_of

log = logging.getLogger(__name__)

PRINT_TRACEBACKS = (queueing, routes, fastrtc_handlers)
PRINT_LINES = (queueing, routes)
"""They print headers, paths and exception messages, never anything an operator needs."""


def log_what_libraries_print() -> None:
    """Applies to the whole process; idempotent."""
    said = ModuleType("traceback", traceback.__doc__)
    vars(said).update(vars(traceback), print_exc=_log_exception)
    for module in PRINT_TRACEBACKS:
        vars(module)["traceback"] = said
    for module in PRINT_LINES:
        vars(module)["print"] = _print_nothing


def _log_exception(*_: object, **__: object) -> None:
    """Replaces ``traceback.print_exc``: logs our own errors in full, all others by kind and place."""
    error = sys.exception()
    if error is None:
        return
    function = _function_of(error.__traceback__)
    if is_raised_by_us(error):
        log.error("%s failed.", function, exc_info=error)
    else:
        log.warning("%s failed: %s at %s.", function, type(error).__name__, place_of(error))


def _function_of(raised: TracebackType | None) -> str:
    """The endpoint or function of the event; Gradio, which catches the exception, holds it as ``fn``."""
    function = raised.tb_frame.f_locals.get("fn") if raised else None
    # Both come from the page that was built, not from the request.
    name = getattr(function, "api_name", None) or getattr(function, "name", None)
    return f"The event {name!r}" if isinstance(name, str) else "An event"


def _print_nothing(*_: object, **__: object) -> None:
    pass
