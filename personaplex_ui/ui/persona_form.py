"""The persona form: voice, own voice, role, and sampling settings."""

from dataclasses import dataclass
from typing import Any

import gradio as gr

from personaplex_ui.calls.settings import MAX_PROMPT_CHARACTERS
from personaplex_ui.engine.speech_model import MAX_AUDIO_TOP_K, MAX_TEMPERATURE, MAX_TEXT_TOP_K, Sampling
from personaplex_ui.ui import talk_view
from personaplex_ui.ui.callbacks import PageCallbacks
from personaplex_ui.ui.own_voice import CONSENT, choices_of
from personaplex_ui.ui.presets import PRESETS
from personaplex_ui.ui.voice_dropdown import voice_dropdown
from personaplex_ui.voices.library import VoiceLibrary
from personaplex_ui.voices.recording import LONGEST_SEC, SHORTEST_SEC

OWN_ROLE = "My own"
QUIET: dict[str, Any] = {"show_progress": "hidden", "api_name": False}


@dataclass(frozen=True, slots=True)
class PersonaForm:
    """``call_inputs``: in the order of ``callbacks.CALL_INPUTS``. ``role_messages``: outputs of
    ``check_role``."""

    voice: Any
    role: Any
    role_messages: list[Any]
    call_inputs: list[Any]


def build_persona_form(callbacks: PageCallbacks, voices: VoiceLibrary, default_prompt: str) -> PersonaForm:
    voice = _voice(callbacks, voices)
    role, role_messages = _role(default_prompt)
    for changed in (role.change, voice.change):
        changed(callbacks.check_role, [role, voice], role_messages, trigger_mode="always_last", **QUIET)
    sampling = _sampling(callbacks)
    record = gr.Checkbox(True, label="Record the call, so that I can listen back", elem_id="record")
    return PersonaForm(voice, role, role_messages, [voice, role, *sampling, record])


def _voice(callbacks: PageCallbacks, voices: VoiceLibrary) -> Any:
    with gr.Row(elem_id="voice-row"):
        voice = voice_dropdown(
            choices_of(voices.offered()), value=voices.default, label="Voice", elem_id="voice", scale=3
        )
        preview_button = gr.Button("Listen", elem_id="preview-button", scale=1, min_width=90)
    preview = gr.HTML("", elem_id="preview")
    preview_button.click(callbacks.preview, [voice], [preview], api_name=False, show_progress="minimal")
    voice.input(lambda: "", None, [preview], **QUIET)
    with gr.Accordion("Use your own voice", open=False, elem_id="own-voice"):
        recording = gr.Audio(
            sources=["microphone", "upload"],
            type="filepath",
            label=f"{SHORTEST_SEC:g} to {LONGEST_SEC:g} seconds of one person speaking",
            show_download_button=False,
            show_share_button=False,
            elem_id="own-recording",
        )
        consent = gr.Checkbox(False, label=CONSENT, elem_id="own-consent")
        with gr.Row():
            use = gr.Button("Use this voice", size="sm", elem_id="own-use")
            forget = gr.Button("Delete my voice", size="sm", elem_id="own-forget")
        message = gr.HTML(talk_view.field_message_html(""), elem_id="own-message")
    own = callbacks.own_voices
    shown = [voice, message, recording]
    use.click(own.use, [recording, consent], shown, api_name=False, show_progress="minimal")
    forget.click(own.forget, None, shown, **QUIET)
    return voice


def _role(default_prompt: str) -> tuple[Any, list[Any]]:
    preset_titles = [(f"{preset.group}: {preset.title}", preset.title) for preset in PRESETS]
    first = next((p.title for p in PRESETS if p.text_prompt == default_prompt), OWN_ROLE)
    preset = gr.Dropdown(
        [*preset_titles, ("Write my own", OWN_ROLE)],
        value=first,
        label="Role to start from",
        elem_id="preset",
    )
    role = gr.Textbox(
        default_prompt,
        label="Role",
        info="Who the assistant is, what it knows, how it speaks.",
        lines=6,
        max_lines=14,
        max_length=MAX_PROMPT_CHARACTERS,
        elem_id="prompt",
    )
    counter = gr.HTML(
        talk_view.prompt_counter_html(len(default_prompt), MAX_PROMPT_CHARACTERS), elem_id="prompt-counter"
    )
    message = gr.HTML(talk_view.field_message_html(""), elem_id="prompt-message")
    preset.input(PageCallbacks.choose_preset, [preset], [role], **QUIET)
    return role, [counter, message]


def _sampling(callbacks: PageCallbacks) -> list[Any]:
    usual = Sampling()
    with gr.Accordion("Advanced", open=False, elem_id="advanced"):
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
        message = gr.HTML(talk_view.field_message_html(""), elem_id="sampling-message")
    gr.on([field.change for field in fields], callbacks.check_sampling, fields, [message], **QUIET)
    return [*fields, greedy]
