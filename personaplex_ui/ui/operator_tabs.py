"""Shows the tabs of whoever runs the server to nobody else, and the buttons that switch its engine."""

# Gradio is only partly typed:
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from typing import Any

import gradio as gr

from personaplex_ui.ui import stage
from personaplex_ui.ui.callbacks import PageCallbacks
from personaplex_ui.ui.persona_form import QUIET


def show_to_operator(page: gr.Blocks, callbacks: PageCallbacks, tabs: list[Any]) -> None:
    """``tabs``: invisible as built. What they show is refused to others by its own functions.

    Also marks the session as that of a page: one without a value in a ``gr.State`` is taken for a program's
    and soon forgotten, with the visitor's own voice among the choices of its list (``compat.gradio.forget``).
    """
    is_page = gr.State(False)

    async def show_operator_tabs(request: gr.Request) -> list[Any]:
        shown = callbacks.is_operator(request)
        return [True, *(gr.update(visible=shown) for _ in tabs)]

    page.load(show_operator_tabs, outputs=[is_page, *tabs], **QUIET)


def build_engine_buttons(callbacks: PageCallbacks) -> None:
    """In the server tab."""
    gr.HTML(stage.engine_help_html(), elem_id="engine-needs")
    with gr.Row(elem_id="engine-help"):
        again = gr.Button("Load PersonaPlex again", size="sm", elem_id="try-again")
        echo = gr.Button("Use the echo engine for now", size="sm", elem_id="use-echo")
    again.click(callbacks.try_again, **QUIET)
    echo.click(callbacks.use_echo, **QUIET)
