"""The controls of voice and role, under the stage: Gradio's own, beside persona.mjs' cards and chips."""

# Gradio is only partly typed:
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from dataclasses import dataclass
from typing import Any

import gradio as gr

from personaplex_ui.calls.settings import MAX_PROMPT_CHARACTERS
from personaplex_ui.ui import field_view, stage
from personaplex_ui.ui.callbacks import PageCallbacks
from personaplex_ui.ui.own_voice import CONSENT, choices_of
from personaplex_ui.ui.voice_dropdown import voice_dropdown
from personaplex_ui.voices.library import VoiceLibrary
from personaplex_ui.voices.recording import LONGEST_SEC, SHORTEST_SEC

SHOW = "() => ({ __type__: 'update', visible: true })"
"""For one output, without asking the server."""

QUIET: dict[str, Any] = {"show_progress": "hidden", "api_name": False}


@dataclass(frozen=True, slots=True)
class PersonaForm:
    """``role_messages``: outputs of ``check_role``."""

    voice: Any
    role: Any
    role_messages: list[Any]


def build_persona_form(callbacks: PageCallbacks, voices: VoiceLibrary, default_prompt: str) -> PersonaForm:
    with gr.Column(elem_id="persona"):
        gr.HTML(stage.roles_html(), elem_id="roles")
        role, role_messages = _role(default_prompt)
        gr.HTML(stage.voices_html(), elem_id="voices")
        voice = _voice(callbacks, voices)
    for changed in (role.change, voice.change):
        changed(callbacks.check_role, [role, voice], role_messages, trigger_mode="always_last", **QUIET)
    return PersonaForm(voice, role, role_messages)


def _role(default_prompt: str) -> tuple[Any, list[Any]]:
    with gr.Column(elem_id="role-text"):
        role = gr.Textbox(
            default_prompt,
            label="Role",
            info="Who the assistant is, what it knows, how it speaks. Change it as you like.",
            lines=2,
            max_lines=12,
            elem_id="prompt",
        )
        with gr.Row(elem_id="prompt-foot"):
            message = gr.HTML(field_view.field_message_html(""), elem_id="prompt-message")
            counter = gr.HTML(
                field_view.prompt_counter_html(len(default_prompt), MAX_PROMPT_CHARACTERS),
                elem_id="prompt-counter",
            )
    return role, [counter, message]


def _voice(callbacks: PageCallbacks, voices: VoiceLibrary) -> Any:
    voice = voice_dropdown(
        choices_of(voices.offered()), value=voices.default, label="Voice", elem_id="voice", filterable=True
    )
    # The recorder and its player are 250 kB, which are fetched once they are visible.
    with (
        gr.Accordion("Record or upload a voice", open=False, elem_id="own-voice") as fold,
        gr.Column(visible=False) as content,
    ):
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
        message = gr.HTML(field_view.field_message_html(""), elem_id="own-message")
    fold.expand(None, None, [content], js=SHOW, **QUIET)
    own = callbacks.own_voices
    shown = [voice, message, recording]
    use.click(own.use, [recording, consent], shown, api_name=False, show_progress="minimal")
    forget.click(own.forget, None, shown, **QUIET)
    return voice
