"""The endpoints for ``gradio_client``: /voices, /presets and /converse. Their docstrings are the manual."""

# Gradio and FastRTC are only partly typed:
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

import asyncio
import functools
import math
import secrets
from dataclasses import replace
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.components.api_component import Api
from gradio.events import api
from gradio.utils import get_upload_folder

from personaplex_ui.audio.files.clip_file import decode_clip, write_wav
from personaplex_ui.audio.frames import Samples
from personaplex_ui.calls.manager import CallManager
from personaplex_ui.calls.settings import CallSettings, check_settings
from personaplex_ui.calls.snapshot import Phase, Snapshot
from personaplex_ui.calls.transcript import to_records
from personaplex_ui.channels.clips.answer import ClipAnswer, converse
from personaplex_ui.compat.gradio import while_wanted
from personaplex_ui.engine.speech_model import Sampling
from personaplex_ui.errors import InvalidInput, PersonaplexError
from personaplex_ui.ui.page_request import address_of, connection_of
from personaplex_ui.ui.presets import PRESETS
from personaplex_ui.voices.library import VoiceLibrary
from personaplex_ui.web.security.visitors import VisitorOf

USUAL = Sampling()
DECODED_AT_ONCE = 2
"""Even a small file can take long to decode, and the threads are shared."""


class PageApi:
    """The API for programs. Values are checked here and not earlier, so that every error is a sentence."""

    def __init__(
        self, call_manager: CallManager, voices: VoiceLibrary, max_clip_sec: float, visitor_of: VisitorOf
    ) -> None:
        self._call_manager = call_manager
        self._voices = voices
        self._max_clip_sec = max_clip_sec
        self._visitor_of = visitor_of
        self._decoding = asyncio.Semaphore(DECODED_AT_ONCE)

    def add_endpoints(self) -> None:
        """Add the endpoints to the ``gr.Blocks`` being built."""

        def voices() -> list[dict[str, str]]:
            """The voices to choose from: name, group and label of each."""
            return [{"name": v.name, "group": v.group, "label": v.label} for v in self._voices.offered()]

        def presets() -> list[dict[str, str]]:
            """Roles to start from: title, group and text prompt of each."""
            return [{"title": p.title, "group": p.group, "text_prompt": p.text_prompt} for p in PRESETS]

        api(voices, api_name="voices")
        api(presets, api_name="presets")
        audio = gr.Audio(type="filepath", visible=False, label="audio")
        answer = gr.Audio(type="filepath", visible=False, label="answer")
        # Gradio types a schema as dict[str, str], though it takes any JSON schema.
        schema: dict[str, Any] = {
            "name": {"anyOf": [{"type": "string"}, {"type": "null"}]},
            "seed": {"anyOf": [{"type": "integer"}, {"type": "null"}]},
            "array": {"type": "array", "items": {"type": "object"}},
        }
        values = [
            Api(None, schema["name"], "voice"),
            Api("", {"type": "string"}, "text_prompt"),
            Api(USUAL.text_temperature, {"type": "number"}, "text_temperature"),
            Api(USUAL.audio_temperature, {"type": "number"}, "audio_temperature"),
            Api(USUAL.text_top_k, {"type": "integer"}, "text_top_k"),
            Api(USUAL.audio_top_k, {"type": "integer"}, "audio_top_k"),
            Api(None, schema["seed"], "seed"),
            Api(False, {"type": "boolean"}, "greedy"),
        ]
        transcript = Api(None, schema["array"], "transcript")
        gr.Button(visible=False).click(
            self.converse, [audio, *values], [answer, transcript], api_name="converse", concurrency_limit=None
        )

    async def converse(
        self,
        audio: str | None,
        voice: Any = None,
        text_prompt: Any = "",
        text_temperature: Any = USUAL.text_temperature,
        audio_temperature: Any = USUAL.audio_temperature,
        text_top_k: Any = USUAL.text_top_k,
        audio_top_k: Any = USUAL.audio_top_k,
        seed: Any = None,
        greedy: Any = False,
        request: gr.Request | None = None,
        progress: gr.Progress = gr.Progress(),  # noqa: B008  how Gradio finds it
    ) -> tuple[str, list[dict[str, Any]]]:
        """Talk to the assistant with a recording: it hears the file, and its answer comes back.

        The answer is a WAV file (24 kHz, mono) of the same length as the clip, on the same clock. The
        transcript lists what the assistant said and, where the server finds it, what the clip said, in the
        order of time: {"start_sec", "end_sec", "text", "speaker"}, the speaker assistant or caller. The call
        waits for a free line like any other call. Without a voice, the default voice speaks. Without a seed,
        every answer differs; greedy always takes the most likely token. None, which is null in JSON, stands
        for the default of every value but the audio.
        """
        try:
            if not audio:
                raise InvalidInput(
                    "audio", "There is no audio file. Please send a recording of what you say."
                )
            settings = check_settings(
                self._voices,
                voice=self._voices.default if voice is None or voice == "" else voice,
                text_prompt=text_prompt,
                seed=seed,
                greedy=_check_greedy(greedy),
                record=False,
                **_given(
                    text_temperature=text_temperature,
                    audio_temperature=audio_temperature,
                    text_top_k=text_top_k,
                    audio_top_k=audio_top_k,
                ),
            )
            answer = await self._call_manager.unless_closed(
                self._answer(Path(audio), settings, request, progress)
            )
        except PersonaplexError as error:
            raise gr.Error(str(error), print_exception=False) from error
        path = await asyncio.to_thread(_keep, answer.samples)
        return path, to_records(answer.utterances)

    async def _answer(
        self, clip: Path, settings: CallSettings, request: gr.Request | None, progress: gr.Progress
    ) -> ClipAnswer:
        """Raises PersonaplexError if the clip cannot be used, or its call was refused or interrupted."""
        address = address_of(request) if request else ""
        connection = connection_of(request) if request else None
        visitor = self._visitor_of(connection) if connection else None
        # Checked again when the call is opened; here it avoids decoding for an address that would be refused.
        self._call_manager.limits.check(address)
        self._call_manager.allowance.check(visitor)
        async with self._decoding:
            heard = await asyncio.to_thread(decode_clip, clip, self._max_clip_sec)
        report = functools.partial(_report, progress)
        answer = await while_wanted(
            converse(heard.samples, settings, self._call_manager, report, address, visitor)
        )
        return replace(answer, samples=answer.samples[: heard.length_samples])


def _given(**values: object) -> dict[str, Any]:
    """Drop the None values, which the JavaScript client sends for missing ones."""
    return {name: value for name, value in values.items() if value is not None}


def _check_greedy(value: object) -> bool:
    if value is not None and not isinstance(value, bool):
        raise InvalidInput("greedy", "Greedy must be true or false.")
    return value is True


def _keep(samples: Samples) -> str:
    # Gradio serves files from its cache unchanged, and deletes them after a day.
    folder = Path(get_upload_folder()) / secrets.token_hex(16)
    folder.mkdir(parents=True)
    write_wav(folder / "answer.wav", samples)
    return str(folder / "answer.wav")


def _report(progress: gr.Progress, snapshot: Snapshot, part: float) -> None:
    match snapshot.phase:
        case Phase.WAITING:
            progress(0.0, desc=f"Waiting: place {snapshot.place} of {snapshot.waiting}")
        case Phase.PREPARING:
            progress(0.0, desc="Preparing the voice and role")
        case Phase.LIVE | Phase.ENDED:
            progress(min(1.0, math.floor(part * 100) / 100), desc="Talking")
