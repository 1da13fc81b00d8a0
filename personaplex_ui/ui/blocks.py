"""The page: left who speaks, right the call. Layout and wiring only; what happens is in ``callbacks``."""

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr

from personaplex_ui.calls.call_settings import MAX_PROMPT_CHARACTERS
from personaplex_ui.presets import PRESETS
from personaplex_ui.transports import webrtc_component
from personaplex_ui.transports.turn import IceServers
from personaplex_ui.transports.webrtc import BrowserCall
from personaplex_ui.ui import render
from personaplex_ui.ui.api import PageApi
from personaplex_ui.ui.callbacks import PageCallbacks
from personaplex_ui.ui.theme import build_theme, page_css, page_head
from personaplex_ui.voices import Voice

OWN_ROLE = "My own"


@dataclass(frozen=True, slots=True)
class PageOptions:
    """What the page shows at first. ``max_connections``: WebRTC connections, waiting ones included."""

    voices: Sequence[Voice]
    default_voice: str
    default_prompt: str
    max_connections: int
    ice_servers: IceServers


def build_page(callbacks: PageCallbacks, api: PageApi, options: PageOptions) -> gr.Blocks:
    """Assemble the page. Every function but the API's is hidden from ``view_api``."""
    with gr.Blocks(
        title="Talk with PersonaPlex",
        theme=build_theme(),
        css=page_css(),
        head=page_head(),
        analytics_enabled=False,
        fill_width=True,
        delete_cache=(3600, 86_400),
    ) as page:
        owner = gr.State("")
        gr.HTML(
            "<h1>Talk with PersonaPlex</h1><p>Choose a voice, write the role, speak.</p>", elem_id="header"
        )
        engine = gr.HTML(elem_id="engine")
        with gr.Row(elem_id="columns"):
            with gr.Column(scale=5, min_width=320, elem_id="persona"):
                gr.HTML("<h2>Who answers</h2>")
                persona_inputs = _persona_column(callbacks, options)
            with gr.Column(scale=6, min_width=320, elem_id="conversation"):
                gr.HTML("<h2>The call</h2>")
                component = webrtc_component.build_component(options.max_connections, options.ice_servers)
                gr.HTML('<div id="mic-message" role="alert"></div>', elem_id="mic-message-holder")
                status = gr.HTML(render.status_html(None), elem_id="status")
                transcript = gr.HTML(render.transcript_html((), False), elem_id="transcript")
                result = gr.HTML("", elem_id="result")
        with gr.Accordion("Your earlier calls", open=False, elem_id="history-fold"):
            history = gr.HTML(render.history_html(()), elem_id="history")

        close_peer = functools.partial(webrtc_component.close_peer, component)
        handler = BrowserCall(callbacks.calls, callbacks.read_settings, close_peer)
        webrtc_component.attach(component, handler, [owner, *persona_inputs], options.max_connections)
        component.state_change(
            callbacks.follow,
            inputs=[component, owner],
            outputs=[status, transcript, result, history],
            show_progress="hidden",
            concurrency_limit=None,
            trigger_mode="multiple",
            api_name=False,
        )
        page.load(callbacks.load, outputs=[owner, history], show_progress="hidden", api_name=False)
        page.load(
            callbacks.watch_engine,
            outputs=[engine],
            show_progress="hidden",
            concurrency_limit=None,
            api_name=False,
        )
        api.add_endpoints()
    webrtc_component.hide_internal_functions(page)
    page.queue(default_concurrency_limit=None, max_size=200)
    return page


def _persona_column(callbacks: PageCallbacks, options: PageOptions) -> list[Any]:
    """Voice, role, advanced; returns the inputs of a call in the order ``read_settings`` takes them."""
    with gr.Row(elem_id="voice-row"):
        voice = gr.Dropdown(
            [(f"{voice.label} · {voice.name}", voice.name) for voice in options.voices],
            value=options.default_voice,
            label="Voice",
            elem_id="voice",
            scale=3,
        )
        preview_button = gr.Button("Listen", elem_id="preview-button", scale=1, min_width=90)
    preview = gr.HTML("", elem_id="preview")
    preset_titles = [(f"{preset.group}: {preset.title}", preset.title) for preset in PRESETS]
    first = next((p.title for p in PRESETS if p.text_prompt == options.default_prompt), OWN_ROLE)
    preset = gr.Dropdown(
        [*preset_titles, ("Write my own", OWN_ROLE)],
        value=first,
        label="Role to start from",
        elem_id="preset",
    )
    prompt = gr.Textbox(
        options.default_prompt,
        label="Role",
        info="Who the assistant is, what it knows, how it speaks.",
        lines=6,
        max_lines=14,
        max_length=MAX_PROMPT_CHARACTERS,
        elem_id="prompt",
    )
    counter = gr.HTML(
        render.prompt_counter_html(len(options.default_prompt), MAX_PROMPT_CHARACTERS),
        elem_id="prompt-counter",
    )
    prompt_message = gr.HTML(render.field_message_html(""), elem_id="prompt-message")
    with gr.Accordion("Advanced", open=False, elem_id="advanced"):
        text_temp = gr.Slider(0.05, 2.0, 0.7, step=0.05, label="Text temperature")
        audio_temp = gr.Slider(0.05, 2.0, 0.8, step=0.05, label="Audio temperature")
        text_k = gr.Slider(1, 500, 25, step=1, label="Text top-k")
        audio_k = gr.Slider(1, 2048, 250, step=1, label="Audio top-k")
        seed = gr.Textbox(
            "", label="Seed", info="Empty: a new one for each call.", max_length=12, elem_id="seed"
        )
        sampling_message = gr.HTML(render.field_message_html(""), elem_id="sampling-message")
    record = gr.Checkbox(True, label="Record the call, so that I can listen back", elem_id="record")

    hidden: dict[str, Any] = {"show_progress": "hidden", "api_name": False}
    preview_button.click(callbacks.preview, [voice], [preview], api_name=False, show_progress="minimal")
    voice.input(lambda: "", None, [preview], **hidden)
    preset.input(callbacks.choose_preset, [preset], [prompt], **hidden)
    prompt.change(
        callbacks.check_role, [prompt], [counter, prompt_message], trigger_mode="always_last", **hidden
    )
    sampling: list[Any] = [text_temp, audio_temp, text_k, audio_k, seed]
    gr.on(
        [field.change for field in sampling], callbacks.check_sampling, sampling, [sampling_message], **hidden
    )
    return [voice, prompt, *sampling, record]
