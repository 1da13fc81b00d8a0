"""A ``gr.Dropdown`` whose choices change while the page is open.

If a browser sent a voice just before it received the new choices, Gradio would refuse it with a traceback and
no message; ``VoiceLibrary.check`` checks each value anyway. Uploads are still checked by Gradio, since only
the page that uploaded one has it among its choices.
"""

from abc import ABCMeta
from typing import Any

import gradio as gr

from personaplex_ui.voices.library import UPLOAD_PREFIX


def _preprocess(dropdown: gr.Dropdown, payload: Any) -> Any:
    if isinstance(payload, str) and payload.startswith(UPLOAD_PREFIX):
        return gr.Dropdown.preprocess(dropdown, payload)
    return payload if isinstance(payload, str) else ""


# Not a class statement, because Gradio's metaclass would write a .pyi file beside this one.
voice_dropdown: Any = ABCMeta.__new__(
    type(gr.Dropdown),
    "VoiceDropdown",
    (gr.Dropdown,),
    {"is_template": True, "preprocess": _preprocess},  # a template: to the browser it is a Dropdown
)
