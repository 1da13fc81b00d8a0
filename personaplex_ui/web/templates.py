"""The pages that are not Gradio's: the login, refusals for browsers, the description of the HTTP routes."""

from collections.abc import Mapping

from jinja2 import Environment, PackageLoader
from starlette.responses import HTMLResponse

_environment = Environment(
    loader=PackageLoader("personaplex_ui.web"), autoescape=True, trim_blocks=True, lstrip_blocks=True
)


def page(template: str, values: Mapping[str, object], status: int = 200) -> HTMLResponse:
    """``templates/<template>.html`` with ``values``, which are escaped."""
    return HTMLResponse(_environment.get_template(f"{template}.html").render(values), status)
