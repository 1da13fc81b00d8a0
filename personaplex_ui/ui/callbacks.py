"""The callbacks of the page's controls: they take component values and return HTML."""

# Gradio and FastRTC are only partly typed:
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any
from urllib.parse import quote

import gradio as gr

from personaplex_ui.calls.settings import (
    MAX_PROMPT_CHARACTERS,
    CallSettings,
    check_prompt,
    check_sampling,
    check_settings,
)
from personaplex_ui.calls.snapshot import Phase, Snapshot
from personaplex_ui.channels.browser.handler import BrowserCalls
from personaplex_ui.channels.clips.preview import Previews
from personaplex_ui.engine.engine import EngineState, LoadModel
from personaplex_ui.engine.speech_model import Persona, PromptSize
from personaplex_ui.errors import InvalidInput, PersonaplexError
from personaplex_ui.ui import talk_view
from personaplex_ui.ui.own_voice import OwnVoices
from personaplex_ui.ui.page_request import address_of
from personaplex_ui.ui.presets import PRESETS
from personaplex_ui.voices.library import VoiceLibrary, shown_voice
from personaplex_ui.web.security.session_cookie import session_key

ENGINE_WATCHED_EVERY_SEC = 0.5
NAME = "PersonaPlex"
NOT_LOADED = "The page was not ready yet. Please wait a second and call again, or reload it."
SAMPLING_INPUTS = ("text_temperature", "audio_temperature", "text_top_k", "audio_top_k", "seed", "greedy")
CALL_INPUTS: tuple[Any, ...] = ("voice", "text_prompt", *SAMPLING_INPUTS, "record")
"""The arguments of ``check_settings`` that the page's inputs supply, in order."""

SHOWN, HIDDEN = gr.update(visible=True), gr.update(visible=False)

CallView = tuple[str, str, object, object]
"""HTML of the status, the transcript, the call's result and the earlier calls; ``gr.skip()`` leaves a part
unchanged."""


class PageCallbacks:
    """The functions of the page. All visitors share one object, so it keeps no visitor's data."""

    def __init__(
        self,
        calls: BrowserCalls,
        previews: Previews,
        voices: VoiceLibrary,
        load: LoadModel,
        load_echo: LoadModel,
    ) -> None:
        self.calls = calls
        self.own_voices = OwnVoices(voices)
        self._call_manager = calls.call_manager
        self._previews = previews
        self._voices = voices
        self._load = load
        self._load_echo = load_echo

    def read_settings(self, values: Sequence[object]) -> tuple[CallSettings, str, str]:
        """The settings, owner and address of a call, read from owner, address and ``CALL_INPUTS``.

        Raises:
            InvalidInput: a value cannot be used.
        """
        owner, address, *chosen = values
        if not isinstance(address, str):  # ``load`` must run before a call: it tells whose limits count
            raise InvalidInput("page", NOT_LOADED)
        settings = check_settings(self._voices, **dict(zip(CALL_INPUTS, chosen, strict=True)))
        return settings, str(owner), address

    def load(self, request: gr.Request) -> tuple[str, str, str]:
        """When the page opens: the visitor's key, address and earlier calls."""
        cookies: dict[str, str] = request.cookies
        owner = session_key(cookies)
        return owner, address_of(request), self._history(owner)

    async def watch_engine(self) -> AsyncIterator[tuple[str, object]]:
        """The banner about the engine until it is ready or has failed, and whether to show the help
        buttons."""
        engine = self._call_manager.engine
        while engine.state in (EngineState.LOADING, EngineState.DEGRADED):
            kind = "loading" if engine.state is EngineState.LOADING else "failed"
            yield talk_view.engine_html(kind, NAME, engine.health.message, engine.health.progress), HIDDEN
            await asyncio.sleep(ENGINE_WATCHED_EVERY_SEC)
        if engine.state is not EngineState.READY:
            yield talk_view.engine_html("failed", NAME, engine.health.message), SHOWN
        elif engine.model.name == "echo":
            yield (
                talk_view.engine_html("echo", NAME, engine.health.failure),
                SHOWN if engine.health.failure else HIDDEN,
            )
        else:
            model = engine.model
            note = " ".join(note for note in (model.clips_only, model.licence_note) if note)
            yield talk_view.engine_html("ready", NAME, note), HIDDEN

    async def try_again(self) -> None:
        """Load the model again after a failure."""
        self._call_manager.engine.load_again(self._load)

    async def use_echo(self) -> None:
        """Take calls with the echo engine, because the model could not be loaded."""
        self._call_manager.engine.load_again(self._load_echo, instead=True)

    def offer_voices(self, voice: str, request: gr.Request) -> object:
        """The voices of the loaded engine; the chosen voice stays if it is among them."""
        choices = self.own_voices.choices(request)
        known = any(name == voice for _, name in choices)
        return gr.update(choices=choices, value=voice if known else self._voices.default)

    async def follow(self, webrtc_id: str, owner: str) -> AsyncIterator[CallView]:
        """Everything ``owner`` sees of their call, from its start until its recording can be fetched."""
        connection = self.calls.of(webrtc_id)
        call = connection.call if connection.owner == owner else None
        if call is None:
            reason = connection.refusal or "The call could not begin."
            ended = Snapshot(webrtc_id, Phase.ENDED, reason=reason)
            yield talk_view.status_html(ended), talk_view.transcript_html((), False), gr.skip(), gr.skip()
            return
        yield talk_view.status_html(call.snapshot()), talk_view.transcript_html((), True), "", gr.skip()
        async for snapshot in call.watch():
            live = snapshot.phase is not Phase.ENDED
            yield (
                talk_view.status_html(snapshot),
                talk_view.transcript_html(snapshot.utterances, live),
                gr.skip(),
                gr.skip(),
            )
        await self._call_manager.ended(call)
        kept = self._call_manager.store.get(owner, call.call_id)
        snapshot = call.snapshot()
        yield (
            talk_view.status_html(snapshot),
            talk_view.transcript_html(snapshot.utterances, False),
            talk_view.result_html(kept) if kept else "",
            self._history(owner),
        )

    def _history(self, owner: str) -> str:
        return talk_view.history_html(self._call_manager.store.calls_of(owner) if owner else ())

    async def preview(self, voice: str) -> str:
        """A player for a few seconds of ``voice``."""
        if not voice:
            return talk_view.field_message_html("Please choose a voice first.")
        try:
            await self._previews.wav_of(voice)
        except PersonaplexError as error:
            return talk_view.field_message_html(str(error))
        return talk_view.preview_html(
            f"voices/{quote(voice, safe='')}/preview.wav", f"Preview of {shown_voice(voice)}"
        )

    @staticmethod
    def choose_preset(title: str) -> object:
        """The text of a preset; "My own" leaves the box unchanged."""
        unchanged: object = gr.skip()
        return next((preset.text_prompt for preset in PRESETS if preset.title == title), unchanged)

    def check_role(self, prompt: str, voice: str) -> tuple[str, str]:
        """The counter and the message beside the role."""
        counter = talk_view.prompt_counter_html(len(prompt or ""), MAX_PROMPT_CHARACTERS)
        try:
            size = self._prompt_size(Persona(voice, check_prompt(prompt)))
            if size is not None:
                counter = talk_view.prompt_counter_html(size.tokens, size.most, "tokens")
                size.check()
        except InvalidInput as error:
            return counter, talk_view.field_message_html(str(error))
        return counter, talk_view.field_message_html("")

    def _prompt_size(self, persona: Persona) -> PromptSize | None:
        engine = self._call_manager.engine
        if engine.state is not EngineState.READY:
            return None
        self._voices.check(persona.voice)  # has a better message for an upload that is no longer stored
        return engine.model.prompt_size(persona)

    @staticmethod
    def check_sampling(*values: object) -> str:
        """The message beside the advanced settings with these values."""
        try:
            check_sampling(**dict(zip(SAMPLING_INPUTS, values, strict=False)))
        except InvalidInput as error:
            return talk_view.field_message_html(str(error))
        return talk_view.field_message_html("")
