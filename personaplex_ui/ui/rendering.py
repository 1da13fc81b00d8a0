"""Renders the page's HTML from ``templates/``. Text from people, models and services is escaped.

page.css contains the styles. Text for screen readers is marked ``data-announce``, and page.js announces it
through one permanent live region, since Gradio replaces this HTML at every update.
"""

from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, PackageLoader, StrictUndefined


def render(template: str, /, **values: Any) -> str:
    """The HTML of ``templates/<template>.html`` with ``values``.

    Raises:
        jinja2.UndefinedError: the template needs a value that is missing.
    """
    return _environment.get_template(f"{template}.html").render(values)


def clock(sec: float) -> str:
    """``0:07``, ``12:34``, ``1:02:03``."""
    minutes, seconds = divmod(int(max(0.0, sec)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


def percent(share: float) -> int:
    """A share as a whole percentage, 0 to 100."""
    return round(100 * min(1.0, max(0.0, share)))


def plural(count: int, noun: str) -> str:
    """``1 packet``, ``1,234 packets``."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def _utc(epoch_sec: float) -> datetime:
    return datetime.fromtimestamp(epoch_sec, UTC)


def _path_segment(text: str) -> str:
    return quote(text, safe="")


_environment = Environment(
    loader=PackageLoader("personaplex_ui.ui"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_filters: dict[str, Any] = _environment.filters
_filters.update(
    clock=clock, percent=percent, plural=plural, utc=_utc, path_segment=_path_segment, grouped="{:,}".format
)
