"""Renders the page's HTML from ``templates/``. Text from people, models and services is escaped.

static/css contains the styles. What changes while the page is open is drawn by the modules in static/page.
"""

from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined


def render(template: str, /, **values: Any) -> str:
    """The HTML of ``templates/<template>.html`` with ``values``.

    Raises:
        jinja2.UndefinedError: the template needs a value that is missing.
    """
    return _environment.get_template(f"{template}.html").render(values)


def percent(share: float) -> int:
    """A share as a whole percentage, 0 to 100."""
    return round(100 * min(1.0, max(0.0, share)))


def plural(count: int, noun: str) -> str:
    """``1 packet``, ``1,234 packets``."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


_environment = Environment(
    loader=PackageLoader("personaplex_ui.ui"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_filters: dict[str, Any] = _environment.filters
_filters.update(grouped="{:,}".format)
