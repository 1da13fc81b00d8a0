"""The callbacks of the page's controls: they take component values and return HTML and updates."""

# Gradio and FastRTC are only partly typed:
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from typing import Any

import gradio as gr

from personaplex_ui.calls.manager import CallManager
from personaplex_ui.calls.settings import MAX_PROMPT_CHARACTERS, check_prompt, check_sampling
from personaplex_ui.engine.engine import EngineState, LoadModel
from personaplex_ui.engine.speech_model import Persona, PromptSize
from personaplex_ui.errors import InvalidInput
from personaplex_ui.ui import field_view
from personaplex_ui.ui.own_voice import OwnVoices
from personaplex_ui.ui.page_request import asked_by_operator
from personaplex_ui.voices.library import VoiceLibrary
from personaplex_ui.web.security.operator import IsOperator

SAMPLING_INPUTS = ("text_temperature", "audio_temperature", "text_top_k", "audio_top_k", "seed", "greedy")
CALL_INPUTS = ("voice", "text_prompt", *SAMPLING_INPUTS, "record")
"""The settings of a call that the page's controls hold, in order."""

NO_ROLE = "Without a role the assistant speaks as itself, about anything."


class PageCallbacks:
    """The functions of the page. All visitors share one object, so it keeps no visitor's data.

    ``load`` and ``load_echo``: the two engines that the operator may switch between.
    """

    def __init__(
        self,
        call_manager: CallManager,
        voices: VoiceLibrary,
        load: LoadModel,
        load_echo: LoadModel,
        is_operator: IsOperator,
    ) -> None:
        self.own_voices = OwnVoices(voices)
        self._call_manager = call_manager
        self._voices = voices
        self._load = load
        self._load_echo = load_echo
        self._is_operator = is_operator

    def is_operator(self, request: gr.Request) -> bool:
        """Whether whoever runs this server has the page open."""
        return asked_by_operator(request, self._is_operator)

    async def try_again(self, request: gr.Request) -> None:
        """Load the model again after a failure."""
        if self.is_operator(request):
            self._call_manager.engine.load_again(self._load)

    async def use_echo(self, request: gr.Request) -> None:
        """Take calls with the echo engine, because the model could not be loaded."""
        if self.is_operator(request):
            self._call_manager.engine.load_again(self._load_echo, instead=True)

    def offer_voices(self, voice: str, request: gr.Request) -> object:
        """The voices of the loaded engine; the chosen voice stays if it is among them."""
        choices = self.own_voices.choices(request)
        known = any(name == voice for _, name in choices)
        return gr.update(choices=choices, value=voice if known else self._voices.default)

    def check_role(self, prompt: str, voice: str) -> tuple[str, str]:
        """The counter and the message beside the role."""
        counter = field_view.prompt_counter_html(len(prompt or ""), MAX_PROMPT_CHARACTERS)
        try:
            size = self._prompt_size(Persona(voice, check_prompt(prompt)))
            if size is not None:
                counter = field_view.prompt_counter_html(size.tokens, size.most, "tokens")
                size.check()
        except InvalidInput as error:
            return counter, field_view.field_message_html(str(error))
        hint = "" if (prompt or "").strip() else NO_ROLE
        return counter, field_view.field_message_html(hint, good=True)

    def _prompt_size(self, persona: Persona) -> PromptSize | None:
        engine = self._call_manager.engine
        if engine.state is not EngineState.READY:
            return None
        self._voices.check(persona.voice)  # has a better message for an upload that is no longer stored
        return engine.model.prompt_size(persona)

    @staticmethod
    def check_sampling(*values: Any) -> str:
        """The message beside the advanced settings with these values."""
        try:
            check_sampling(**dict(zip(SAMPLING_INPUTS, values, strict=False)))
        except InvalidInput as error:
            return field_view.field_message_html(str(error))
        return field_view.field_message_html("")
