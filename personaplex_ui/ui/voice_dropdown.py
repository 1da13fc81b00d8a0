"""A ``gr.Dropdown`` whose choices change while the page is open.

Gradio would refuse, with a traceback and no words, a voice that the browser sent just before it learned the
new choices; ``VoiceLibrary.check`` looks at each value anyway. An upload is left to the page that gave it,
which alone has it among its choices.
"""

from abc import ABCMeta
from typing import Any

import gradio as gr

from personaplex_ui.voices.library import UPLOAD_PREFIX


def _preprocess(dropdown: gr.Dropdown, payload: Any) -> Any:
    if isinstance(payload, str) and payload.startswith(UPLOAD_PREFIX):
        return gr.Dropdown.preprocess(dropdown, payload)
    return payload if isinstance(payload, str) else ""


# Not by a class statement: Gradio's metaclass would write a .pyi file beside this one.
voice_dropdown: Any = ABCMeta.__new__(
    type(gr.Dropdown),
    "VoiceDropdown",
    (gr.Dropdown,),
    {"is_template": True, "preprocess": _preprocess},  # a template: to the browser it is a Dropdown
)
