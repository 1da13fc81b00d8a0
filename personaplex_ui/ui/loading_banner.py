"""What stands above the tabs: how the engine's loading goes, and two buttons for when it has failed."""

# Gradio is typed in part only:
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import gradio as gr

from personaplex_ui.ui.callbacks import PageCallbacks
from personaplex_ui.ui.persona_form import QUIET, PersonaForm


@dataclass(frozen=True, slots=True)
class LoadingBanner:
    """``outputs`` in the order ``PageCallbacks.watch_engine`` tells them."""

    outputs: list[Any]
    try_again: gr.Button
    use_echo: gr.Button


def build_loading_banner() -> LoadingBanner:
    says = gr.HTML(elem_id="engine")
    with gr.Row(visible=False, elem_id="engine-help") as ways_out:
        try_again = gr.Button("Try again", size="sm", elem_id="try-again")
        use_echo = gr.Button("Use the echo engine meanwhile", size="sm", elem_id="use-echo")
    return LoadingBanner([says, ways_out], try_again, use_echo)


def watch_engine(page: gr.Blocks, bar: LoadingBanner, callbacks: PageCallbacks, persona: PersonaForm) -> None:
    """Follow the engine's loading, the first and each later one."""
    for event in (
        page.load,
        bar.try_again.click(callbacks.try_again, **QUIET).then,
        bar.use_echo.click(callbacks.use_echo, **QUIET).then,
    ):
        _watch_loading(event, bar, callbacks, persona)


def _watch_loading(
    event: Callable[..., Any], bar: LoadingBanner, callbacks: PageCallbacks, persona: PersonaForm
) -> None:
    """Once the engine is there: offer the voices it has, and count the role in its tokens."""
    watched = event(callbacks.watch_engine, outputs=bar.outputs, concurrency_limit=None, **QUIET)
    offered = watched.then(callbacks.offer_voices, [persona.voice], [persona.voice], **QUIET)
    offered.then(callbacks.check_role, [persona.role, persona.voice], persona.role_says, **QUIET)
