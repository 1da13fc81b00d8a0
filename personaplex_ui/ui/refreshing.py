"""HTML that refreshes itself, but only while its tab is open."""

# Gradio is only partly typed:
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from collections.abc import Callable
from typing import Any

import gradio as gr

from personaplex_ui.ui.persona_form import QUIET


def refresh_while_open(
    tab: Any, other_tabs: list[Any], output: gr.HTML, show: Callable[[gr.Request], str], every_sec: float
) -> None:
    """``show`` is given the browser's request and runs on the event loop. ``other_tabs``: selecting one of
    them stops the refreshing."""

    async def refresh(request: gr.Request) -> str:
        return show(request)

    async def open_tab(request: gr.Request) -> tuple[Any, str]:
        return gr.Timer(active=True), show(request)

    async def leave_tab() -> Any:
        return gr.Timer(active=False)

    timer = gr.Timer(every_sec, active=False)
    timer.tick(refresh, None, [output], **QUIET)
    tab.select(open_tab, None, [timer, output], **QUIET)
    for other in other_tabs:
        other.select(leave_tab, None, [timer], **QUIET)
