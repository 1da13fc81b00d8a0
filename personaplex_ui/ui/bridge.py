"""The bridge between Gradio's controls and the page's state: events that only the browser sees.

gradio.mjs holds its other end, ``window.personaplexBridge``. What a control holds is told to it at each
change; what a card, a chip, a link or the browser's storage has chosen comes back when it clicks a hidden
button. An event before the modules were loaded is no loss: they begin with what the page was built with.
"""

# Gradio is only partly typed:
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from typing import Any

import gradio as gr

from personaplex_ui.ui.callbacks import PageCallbacks
from personaplex_ui.ui.persona_form import QUIET, PersonaForm

TELL_CHANGE = "(...values) => { window.personaplexBridge?.changed(values); }"
TELL_TYPING = "(text) => { window.personaplexBridge?.typed(text); }"
VALUES = "() => window.personaplexBridge.values()"
CHOSEN_VOICE = "() => window.personaplexBridge.chosenVoice()"


def build_bridge(callbacks: PageCallbacks, persona: PersonaForm, settings: list[Any]) -> None:
    """``settings``: the controls of the settings tab, so that all come in the order of ``CALL_INPUTS``."""
    controls = [persona.voice, persona.role, *settings]
    gr.on([each.change for each in controls], None, controls, None, js=TELL_CHANGE, **QUIET)
    persona.role.input(None, [persona.role], None, js=TELL_TYPING, **QUIET)
    put = gr.Button("Put", visible="hidden", elem_id="bridge-put")
    put.click(None, None, controls, js=VALUES, **QUIET)
    ready = gr.Button("Ready", visible="hidden", elem_id="bridge-ready")
    offered = ready.click(callbacks.offer_voices, [persona.voice], [persona.voice], js=CHOSEN_VOICE, **QUIET)
    offered.then(callbacks.check_role, [persona.role, persona.voice], persona.role_messages, **QUIET)
