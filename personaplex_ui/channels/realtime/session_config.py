"""What a session is set to, and how it is told in either dialect. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from personaplex_ui.calls.settings import VoiceNames
from personaplex_ui.channels.realtime.items import Dialect, Json
from personaplex_ui.channels.realtime.sound import Format
from personaplex_ui.engine.speech_model import Sampling

SAMPLING = ("text_temperature", "audio_temperature", "text_top_k", "audio_top_k", "seed", "greedy")


class Voices(VoiceNames, Protocol):
    """``names``: those that are offered."""

    @property
    def default(self) -> str: ...

    def names(self) -> Sequence[str]: ...


@dataclass(frozen=True, slots=True)
class TurnDetection:
    """``kind``: ``server_vad`` or ``semantic_vad``, which is the same here. ``threshold``: from 0, which
    hears everything, to 1. Only ``silence_ms`` ends a turn."""

    kind: str = "server_vad"
    threshold: float = 0.5
    padding_ms: int = 300
    silence_ms: int = 500

    def record(self) -> dict[str, Any]:
        told: dict[str, Any] = {"type": self.kind, "create_response": True, "interrupt_response": True}
        if self.kind == "semantic_vad":
            return {**told, "eagerness": "auto"}
        values = {"prefix_padding_ms": self.padding_ms, "silence_duration_ms": self.silence_ms}
        return {**told, "threshold": self.threshold, **values}


@dataclass(frozen=True, slots=True)
class SessionConfig:
    """``turn_detection``: None if the client says where its turns end. ``transcribes``: the caller's words
    are told. ``sounds``: answers are told as sound; else as text only. ``tools``: as the client gave them."""

    voice: str
    instructions: str
    turn_detection: TurnDetection | None = TurnDetection()
    input_format: Format = Format.PCM
    output_format: Format = Format.PCM
    transcribes: bool = True
    sounds: bool = True
    tools: tuple[Json, ...] = ()
    tool_choice: str = "auto"
    sampling: Sampling = Sampling()

    def record(self, dialect: Dialect, session_id: str, model: str) -> dict[str, Any]:
        """As a client gets it."""
        about = {"id": session_id, "object": "realtime.session", "model": model}
        sampling = {name: getattr(self.sampling, name) for name in SAMPLING}
        turns = self.turn_detection.record() if self.turn_detection else None
        transcription = {"model": "whisper-1"} if self.transcribes else None
        told: dict[str, Any] = {
            "instructions": self.instructions,
            "tools": [dict(tool) for tool in self.tools],
            "tool_choice": self.tool_choice,
            "extra": sampling,
        }
        if dialect is Dialect.BETA:
            return {
                **about,
                **told,
                "modalities": ["audio", "text"] if self.sounds else ["text"],
                "voice": self.voice,
                "input_audio_format": self.input_format.beta_name,
                "output_audio_format": self.output_format.beta_name,
                "input_audio_transcription": transcription,
                "turn_detection": turns,
                "temperature": self.sampling.text_temperature,
                "max_response_output_tokens": "inf",
            }
        heard = {
            "format": self.input_format.record(),
            "noise_reduction": None,
            "transcription": transcription,
            "turn_detection": turns,
        }
        said = {"format": self.output_format.record(), "voice": self.voice, "speed": 1.0}
        modalities = ["audio"] if self.sounds else ["text"]
        audio = {"input": heard, "output": said}
        more = {"output_modalities": modalities, "audio": audio, "max_output_tokens": "inf"}
        return {"type": "realtime", **about, **told, **more}
