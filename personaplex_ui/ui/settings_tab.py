"""The settings tab: what is kept of a call, and how the model draws its words."""

# Gradio is only partly typed:
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from typing import Any

import gradio as gr

from personaplex_ui.engine.speech_model import MAX_AUDIO_TOP_K, MAX_TEMPERATURE, MAX_TEXT_TOP_K, Sampling
from personaplex_ui.ui import field_view, stage
from personaplex_ui.ui.callbacks import PageCallbacks
from personaplex_ui.ui.persona_form import QUIET


def build_settings_tab(callbacks: PageCallbacks) -> list[Any]:
    """The controls in the order of ``callbacks.CALL_INPUTS``, without voice and role."""
    with gr.Column(elem_id="settings"):
        gr.HTML("<h2>Your calls</h2>")
        record = gr.Checkbox(
            True,
            label="Record my calls, so that I can listen back",
            info="Only this browser can play them.",
            elem_id="record",
        )
        sampling = _sampling(callbacks)
        gr.HTML(stage.kept_html(), elem_id="kept")
        gr.HTML(stage.operator_html(), elem_id="operator-entry")
    return [*sampling, record]


def _sampling(callbacks: PageCallbacks) -> list[Any]:
    usual = Sampling()
    with gr.Accordion("Advanced: how PersonaPlex draws its words", open=False, elem_id="advanced"):
        fields: list[Any] = [
            gr.Slider(0.05, MAX_TEMPERATURE, usual.text_temperature, step=0.05, label="Text temperature"),
            gr.Slider(0.05, MAX_TEMPERATURE, usual.audio_temperature, step=0.05, label="Audio temperature"),
            gr.Slider(1, MAX_TEXT_TOP_K, usual.text_top_k, step=1, label="Text top-k"),
            gr.Slider(1, MAX_AUDIO_TOP_K, usual.audio_top_k, step=1, label="Audio top-k"),
            gr.Textbox(
                "", label="Seed", info="Empty: a new one for each call.", max_length=12, elem_id="seed"
            ),
        ]
        greedy = gr.Checkbox(
            False, label="Greedy: always the most likely token; overrides the five above", elem_id="greedy"
        )
        message = gr.HTML(field_view.field_message_html(""), elem_id="sampling-message")
    gr.on([field.change for field in fields], callbacks.check_sampling, fields, [message], **QUIET)
    return [*fields, greedy]
