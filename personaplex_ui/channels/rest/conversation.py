"""One turn: a sound is heard, answered and the answer said, whole or sentence by sentence."""

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from personaplex_ui.audio.files.clip_file import DecodedClip, decode_open_file
from personaplex_ui.audio.frames import SAMPLE_RATE_HZ, Samples
from personaplex_ui.channels.rest.admission import ANSWERED, FAILED, Admitted
from personaplex_ui.channels.rest.events import event, failure_event, wav_in_base64
from personaplex_ui.channels.rest.films import Films
from personaplex_ui.channels.rest.kept_answers import KeptAnswers
from personaplex_ui.channels.rest.loaded_parts import LoadedParts
from personaplex_ui.channels.rest.places import Place
from personaplex_ui.channels.rest.values import (
    MAX_AUDIO_SEC,
    MAX_MESSAGE_CHARACTERS,
    TokenBudget,
    check_language,
    check_max_tokens,
    check_message,
    check_role,
    check_yes_or_no,
    history_in_form,
)
from personaplex_ui.channels.rest.work import RequestWork, Spoken
from personaplex_ui.errors import InvalidInput, PersonaplexError
from personaplex_ui.speech.parts import Recognised, Turn
from personaplex_ui.voices.library import VoiceLibrary

log = logging.getLogger(__name__)

DECODED_AT_ONCE = 2
"""Even a small file can take long to decode, and the threads are shared."""

NO_WORDS = (
    "audio: no words could be heard in this recording. Please record it again, closer to the microphone."
)
UNEXPECTED = "This failed unexpectedly. Please try again; the server's log has the details."


@dataclass(frozen=True, slots=True)
class TurnRequest:
    """What a client asked for, checked."""

    voice: str
    role: str
    language: str
    history: tuple[Turn, ...]
    max_tokens: int
    video: bool


def heard_as(text: str) -> str:
    """``text`` as a turn of the caller. Raises InvalidInput: there is none."""
    if not text:
        raise InvalidInput("audio", NO_WORDS)
    return check_message(text[:MAX_MESSAGE_CHARACTERS], "audio")


class Conversations:
    """Answers turns. ``role``: of those who give none. ``instance_path``: below which their files are found
    among several servers."""

    def __init__(
        self,
        parts: LoadedParts,
        voices: VoiceLibrary,
        role: str,
        kept: KeptAnswers,
        films: Films,
        instance_path: str = "",
    ) -> None:
        self._instance_path = instance_path
        self.parts = parts
        self._voices = voices
        self._role = role
        self._kept = kept
        self._films = films
        self._decoding = asyncio.Semaphore(DECODED_AT_ONCE)

    def read(self, fields: Mapping[str, str]) -> TurnRequest:
        """Raises InvalidInput: the first value that cannot be used."""
        voice = fields.get("voice")
        return TurnRequest(
            self._voices.check(voice) if voice else self._voices.default,
            self.role_of(fields.get("text_prompt")),
            check_language(fields.get("language")),
            history_in_form(fields.get("conversation_history", "")),
            check_max_tokens(fields.get("max_tokens") or None),
            check_yes_or_no("video", fields.get("video")),
        )

    async def decode(self, sound: BinaryIO) -> DecodedClip:
        """Raises InvalidInput: it is not sound, or too long."""
        async with self._decoding:
            return await asyncio.to_thread(decode_open_file, sound, MAX_AUDIO_SEC)

    def role_of(self, value: object) -> str:
        """Raises InvalidInput: no role, and not left out."""
        return check_role(value, self._role)

    async def events(
        self, asked: TurnRequest, samples: Samples, admitted: Admitted, place: Place
    ) -> AsyncGenerator[tuple[str, dict[str, Any]]]:
        """What happens in a turn: ``waiting``, ``user_text``, each ``sentence``, with its sound in
        ``spoken``, and ``done``.

        Raises:
            PersonaplexError: it cannot be answered.
        """
        if place.number:
            yield "waiting", {"place": place.number}
        await place.taken()
        began = time.monotonic()
        work = RequestWork(self.parts, asked.role, asked.voice)
        admitted.spent_sec += len(samples) / SAMPLE_RATE_HZ
        heard = await work.recognise(samples, asked.language)
        said = heard_as(heard.text)
        times = {"transcribe_time": _rounded(time.monotonic() - began)}
        yield "user_text", {"text": said, "language": heard.language, **times}
        lines: list[Spoken] = []
        answer = work.spoken((*asked.history, Turn("caller", said)), TokenBudget(asked.max_tokens))
        try:
            async for line in answer:
                lines.append(line)
                seconds = len(line.samples) / SAMPLE_RATE_HZ
                admitted.spent_sec += seconds
                about = {"n": len(lines), "text": line.text, "duration": _rounded(seconds)}
                yield "sentence", {**about, "spoken": line.samples}
        finally:
            await answer.aclose()
        times |= {
            "llm_time": _rounded(work.reply_sec),
            "tts_time": _rounded(sum(line.made_in_sec for line in lines)),
        }
        yield "done", await self._kept_turn(asked, Recognised(said, heard.language), lines, times, began)

    async def _kept_turn(
        self,
        asked: TurnRequest,
        heard: Recognised,
        lines: list[Spoken],
        times: dict[str, float],
        began: float,
    ) -> dict[str, Any]:
        samples = np.concatenate([np.zeros(0, dtype=np.float32), *(line.samples for line in lines)])
        job_id, video_began = self._kept.new_id(), time.monotonic()

        async def film(path: Path) -> bool:
            return await self._films.make(path, samples)

        kept = await self._kept.keep(job_id, samples, film if asked.video and len(samples) else None)
        folder = f"{self._instance_path}/api/v1/jobs/{job_id}"
        video_sec = time.monotonic() - video_began if asked.video else 0.0
        sound_sec = len(samples) / SAMPLE_RATE_HZ
        factor = {"video_real_time_factor": _rounded(video_sec / sound_sec)} if kept.video else {}
        return {
            "job_id": job_id,
            "user_text": heard.text,
            "language": heard.language,
            "response_text": " ".join(line.text for line in lines),
            "audio_url": f"{folder}/audio.wav",
            "video_url": f"{folder}/video.mp4" if kept.video else None,
            "times": {
                **times,
                "video_time": _rounded(video_sec),
                "total": _rounded(time.monotonic() - began),
                **factor,
            },
        }

    async def whole(
        self, asked: TurnRequest, samples: Samples, admitted: Admitted, place: Place
    ) -> dict[str, Any]:
        """The data of ``done``. Raises as ``events`` does."""
        told: dict[str, Any] = {}
        events = self.events(asked, samples, admitted, place)
        try:
            async for name, data in events:
                if name == "done":
                    told = data
        finally:
            await events.aclose()
        return told

    async def stream(
        self, asked: TurnRequest, samples: Samples, admitted: Admitted, place: Place
    ) -> AsyncGenerator[bytes]:
        """``events`` as server-sent events; a failure is the last of them."""
        events = self.events(asked, samples, admitted, place)
        try:
            async for name, data in events:
                spoken = data.pop("spoken", None)
                if spoken is not None:
                    data["audio"] = wav_in_base64(spoken)
                yield event(name, data)
            admitted.outcome = ANSWERED
        except PersonaplexError as error:
            admitted.outcome = FAILED
            yield failure_event(error)
        except Exception:
            admitted.outcome = FAILED
            log.exception("A request to /api/v1/conversation/stream failed.")
            yield event("error", {"detail": UNEXPECTED, "error": "error"})
        finally:
            await events.aclose()
            place.leave()  # not only when a slow client has read it all


def _rounded(seconds: float) -> float:
    return round(seconds, 3)
