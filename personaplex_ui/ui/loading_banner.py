"""The banner above the tabs: the engine's loading progress, and two buttons in case it failed."""

# Gradio is only partly typed:
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from collections.abc import Callable
from typing import Any

import gradio as gr

from personaplex_ui.ui.callbacks import PageCallbacks
from personaplex_ui.ui.persona_form import QUIET, PersonaForm


class LoadingBanner:
    """Create it at its place in the page being built."""

    def __init__(self) -> None:
        message = gr.HTML(elem_id="engine")
        with gr.Row(visible=False, elem_id="engine-help") as buttons:
            self._try_again = gr.Button("Try again", size="sm", elem_id="try-again")
            self._use_echo = gr.Button("Use the echo engine for now", size="sm", elem_id="use-echo")
        self._outputs = [message, buttons]

    def watch_engine(self, page: gr.Blocks, callbacks: PageCallbacks, persona: PersonaForm) -> None:
        """Follow each loading of the engine, then offer its voices and count the role's tokens."""
        loads: tuple[Callable[..., Any], ...] = (
            page.load,
            self._try_again.click(callbacks.try_again, **QUIET).then,
            self._use_echo.click(callbacks.use_echo, **QUIET).then,
        )
        for load in loads:
            watched = load(callbacks.watch_engine, outputs=self._outputs, concurrency_limit=None, **QUIET)
            offered = watched.then(callbacks.offer_voices, [persona.voice], [persona.voice], **QUIET)
            offered.then(callbacks.check_role, [persona.role, persona.voice], persona.role_messages, **QUIET)
