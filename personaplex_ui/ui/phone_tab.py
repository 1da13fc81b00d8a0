"""The phone tab: layout and wiring only; ``phone_callbacks`` does the work."""

# Gradio is only partly typed:
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from typing import Any

import gradio as gr

from personaplex_ui.ui.persona_form import QUIET, PersonaForm
from personaplex_ui.ui.phone_callbacks import NumberCallbacks, PhoneCallbacks
from personaplex_ui.ui.refreshing import refresh_while_open

NUMBER_SHOWN_EVERY_SEC = 5.0


def build_phone_tab(tab: Any, other_tabs: list[Any], callbacks: PhoneCallbacks, persona: PersonaForm) -> None:
    """``persona``: the voice and role of the talk tab, for outbound calls. ``other_tabs``: while one of them
    is selected, this tab does not refresh."""
    gr.HTML("<h2>Your own number</h2>")
    setup = gr.HTML("", elem_id="phone-setup")
    tab.select(callbacks.show_setup, None, [setup], **QUIET)
    key: Any = None
    if callbacks.can_dial:
        gr.HTML("<h2>Let the assistant call somebody</h2>")
        key = _key_box()
        _calling(tab, callbacks, persona, key)
    if callbacks.number is not None:
        gr.HTML(
            "<h2>A number for a demo</h2><p>FastRTC lends a number with a code, for some minutes a month.</p>"
        )
        _lent_number(tab, other_tabs, callbacks, callbacks.number, key or _key_box())


def _key_box() -> Any:
    return gr.Textbox(
        "",
        type="password",
        label="API key",
        info="The API_KEY of this server. Only its owner may use what costs money or minutes.",
        max_length=200,
        elem_id="phone-key",
    )


def _calling(tab: Any, callbacks: PhoneCallbacks, persona: PersonaForm, key: Any) -> None:
    call_sid = gr.State("")
    number = gr.Textbox(
        "",
        label="Number to call",
        info="With its country code, such as +15551234567. Voice and role are those chosen under Talk.",
        type="text",
        max_length=40,
        elem_id="phone-number",
    )
    with gr.Row():
        call = gr.Button("Call", variant="primary", elem_id="phone-call")
        hang_up = gr.Button("End this call", elem_id="phone-hang-up")
    progress = gr.HTML("", elem_id="phone-progress")
    left = gr.HTML("", elem_id="phone-left")
    tab.select(callbacks.show_left, None, [left], **QUIET)
    inputs = [key, number, persona.voice, persona.role]
    call.click(callbacks.call, inputs, [call_sid, progress, left], concurrency_limit=None, **QUIET)
    hang_up.click(callbacks.hang_up, [key, call_sid], [progress], **QUIET)


def _lent_number(
    tab: Any, other_tabs: list[Any], callbacks: PhoneCallbacks, number: NumberCallbacks, key: Any
) -> None:
    shown = gr.HTML("", elem_id="lent-number")
    with gr.Row():
        get = gr.Button("Get a number", elem_id="number-get")
        give_back = gr.Button("Give it back", elem_id="number-give-back")
    message = gr.HTML("", elem_id="number-says")
    outputs = [shown, message]
    get.click(number.get, [key], outputs, concurrency_limit=None, **QUIET)
    give_back.click(number.give_back, [key], outputs, **QUIET)
    # Runs on the event loop, like the calls that use up the minutes.
    refresh_while_open(tab, other_tabs, shown, callbacks.show_number, NUMBER_SHOWN_EVERY_SEC)
