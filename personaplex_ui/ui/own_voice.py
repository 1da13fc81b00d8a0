"""A visitor's own voice: checked, offered only to their page, and deleted when they leave it."""

# Gradio is only partly typed:
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

import asyncio
import contextlib
from collections.abc import Sequence
from pathlib import Path

import gradio as gr

from personaplex_ui.errors import InvalidInput
from personaplex_ui.ui import field_view
from personaplex_ui.voices.catalogue import Voice
from personaplex_ui.voices.library import VoiceLibrary

LABEL = "Your own voice"
CONSENT = "It is my voice, or the speaker agreed that I may use it here."
NO_CONSENT = "Please tick the box first: a voice may only be used with the consent of its owner."
NO_RECORDING = "Please record or upload 3 to 30 seconds of one person speaking."
READY = "Your voice is ready and selected above. It is kept until you leave this page."
FORGOTTEN = "Your voice has been deleted."

OwnVoiceView = tuple[object, str, object]
"""Updates of the voice list, the message and the recorder."""


class OwnVoices:
    """Visitors' recordings by Gradio session, which is one open page."""

    def __init__(self, voices: VoiceLibrary) -> None:
        self._voices = voices
        self._names: dict[str, str] = {}
        self._checking: set[str] = set()

    def choices(self, request: gr.Request) -> list[tuple[str, str]]:
        """Labels and names of all voices this page may choose, its own voice first."""
        own = self._names.get(str(request.session_hash))
        return [*([(LABEL, own)] if own else []), *choices_of(self._voices.offered())]

    async def use(self, path: str | None, consent: bool, request: gr.Request) -> OwnVoiceView:
        """Check the recording at ``path`` and select it as the voice."""
        unchanged: object = gr.skip()
        session = str(request.session_hash)
        try:
            if not consent:
                raise InvalidInput("consent", NO_CONSENT)
            if not path:
                raise InvalidInput("voice_file", NO_RECORDING)
            self._checking.add(session)
            name = await asyncio.to_thread(self._keep, Path(path))
        except InvalidInput as error:
            self._checking.discard(session)
            return unchanged, field_view.field_message_html(str(error)), unchanged
        if session not in self._checking:  # the visitor left the page meanwhile
            self._voices.forget_upload(name)
            return unchanged, field_view.field_message_html(""), None
        self._checking.discard(session)
        self._forget(request)
        self._names[session] = name
        chosen = gr.update(choices=self.choices(request), value=name)
        return chosen, field_view.field_message_html(READY, good=True), None

    def forget(self, request: gr.Request) -> OwnVoiceView:
        """Delete the visitor's voice at their request."""
        self._checking.discard(str(request.session_hash))
        if not self._forget(request):
            return gr.skip(), field_view.field_message_html(""), None
        chosen = gr.update(choices=self.choices(request), value=self._voices.default)
        return chosen, field_view.field_message_html(FORGOTTEN, good=True), None

    def _keep(self, path: Path) -> str:
        name = self._voices.keep_upload(path)
        with contextlib.suppress(OSError):
            path.unlink()  # otherwise Gradio keeps it for a day
        return name

    def leave(self, request: gr.Request) -> None:
        """The page was closed or reloaded."""
        self._checking.discard(str(request.session_hash))
        self._forget(request)

    def _forget(self, request: gr.Request) -> bool:
        name = self._names.pop(str(request.session_hash), None)
        if name is not None:
            self._voices.forget_upload(name)
        return name is not None


def choices_of(voices: Sequence[Voice]) -> list[tuple[str, str]]:
    """Labels and names for a dropdown."""
    return [(_choice(voice), voice.name) for voice in voices]


def _choice(voice: Voice) -> str:
    """``NATF2 · Nora, natural female 2``: NVIDIA's code first, which is what people know."""
    if voice.label == voice.name:
        return voice.name
    described = voice.label[:1].lower() + voice.label[1:]
    return f"{voice.name} · {voice.person}, {described}" if voice.person else f"{voice.name} · {described}"
