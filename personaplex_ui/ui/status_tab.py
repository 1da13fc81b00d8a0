"""The status tab: how the server does, asked for only while somebody looks at it."""

# Gradio is typed in part only:
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from collections.abc import Callable
from typing import Any

import gradio as gr

from personaplex_ui.ui.persona_form import QUIET
from personaplex_ui.ui.status_view import status_view_html
from personaplex_ui.web.server_stats import ServerStats

SHOWN_EVERY_SEC = 2.0


def build_status_tab(tab: Any, other_tabs: list[Any], figures: Callable[[], ServerStats]) -> None:
    """``other_tabs``: when one of them is chosen, nothing is asked for any more."""

    # Asynchronous, so that they run on the event loop, where the figures are.
    async def show() -> str:
        return status_view_html(figures())

    async def look() -> tuple[Any, str]:
        return gr.Timer(active=True), await show()

    async def look_away() -> Any:
        return gr.Timer(active=False)

    shown = gr.HTML("", elem_id="server-status")
    clock = gr.Timer(SHOWN_EVERY_SEC, active=False)
    clock.tick(show, None, [shown], **QUIET)
    tab.select(look, None, [clock, shown], **QUIET)
    for other in other_tabs:
        other.select(look_away, None, [clock], **QUIET)
