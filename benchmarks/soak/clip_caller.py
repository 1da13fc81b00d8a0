"""A program that sends one clip after another, over HTTP as ``gradio_client`` does."""

import asyncio
import io
import json
import time
import uuid
from dataclasses import dataclass
from typing import Any

import httpx
import numpy as np
import soundfile

from benchmarks.soak.address import Server
from benchmarks.soak.listening import LOUD
from benchmarks.soak.speaking import PERIOD_SEC, Speaker
from personaplex_ui.audio.frames import SAMPLE_RATE_HZ
from personaplex_ui.errors import PersonaplexError

CLIP_SEC = 10.0
PACKET_SEC = 0.02
PAUSE_SEC = 2.0
"""Between two clips, which take a fraction of a second: Gradio keeps each, and its answer, for a day."""

ANSWERED_WITHIN_SEC = 120.0


@dataclass(frozen=True, slots=True)
class Answered:
    """A clip's answer arrived at ``at_sec``, ``took_sec`` after the start of its upload."""

    at_sec: float
    took_sec: float


class ClipCaller:
    """``failures``: why clips were not answered, a sentence each."""

    def __init__(self, server: Server, seed: int) -> None:
        self.answered: list[Answered] = []
        self.failures: list[str] = []
        self._server = server
        self._seed = seed
        self._session = uuid.uuid4().hex[:11]
        self._clip = _clip(seed)

    async def run(self) -> None:
        """One clip after the other until cancelled."""
        timeout = httpx.Timeout(ANSWERED_WITHIN_SEC)
        async with httpx.AsyncClient(base_url=self._server.url, timeout=timeout, trust_env=False) as http:
            dependencies = (await http.get("/config")).json()["dependencies"]
            converse = next(d["id"] for d in dependencies if d["api_name"] == "converse")
            while True:
                began = time.monotonic()
                try:
                    await self._converse(http, converse)
                except (PersonaplexError, httpx.HTTPError) as error:
                    self.failures.append(str(error) or type(error).__name__)
                else:
                    self.answered.append(Answered(time.monotonic(), time.monotonic() - began))
                await asyncio.sleep(PAUSE_SEC)

    async def _converse(self, http: httpx.AsyncClient, converse: int) -> None:
        """Send the clip and fetch its answer. Raises PersonaplexError if there is none."""
        uploaded = await http.post("/gradio_api/upload", files={"files": ("clip.wav", self._clip)})
        audio = {"path": uploaded.raise_for_status().json()[0], "meta": {"_type": "gradio.FileData"}}
        values = [audio, self._server.voice, "You listen.", 0.7, 0.8, 25, 250, self._seed, False]
        event = {"data": values, "fn_index": converse, "session_hash": self._session}
        (await http.post("/gradio_api/queue/join", json=event)).raise_for_status()
        told = await http.get("/gradio_api/queue/data", params={"session_hash": self._session})
        answer, transcript = _result(told.raise_for_status().text)
        sound = await http.get(httpx.URL(answer["url"]).raw_path.decode())
        samples, _ = soundfile.read(io.BytesIO(sound.raise_for_status().content), dtype="float32")
        if len(samples) != round(CLIP_SEC * SAMPLE_RATE_HZ):
            raise PersonaplexError("The answer to a clip is not as long as the clip.")
        if np.max(np.abs(samples)) < LOUD or len(transcript) < CLIP_SEC / PERIOD_SEC / 2:
            raise PersonaplexError("What was said in a clip was not answered.")


def _clip(seed: int) -> bytes:
    """A WAV file with somebody who speaks now and then."""
    speaker = Speaker(SAMPLE_RATE_HZ, PACKET_SEC, seed)
    speaker.talk()
    samples = np.concatenate([speaker.next_packet().samples for _ in range(round(CLIP_SEC / PACKET_SEC))])
    file = io.BytesIO()
    soundfile.write(file, samples, SAMPLE_RATE_HZ, format="WAV")
    return file.getvalue()


def _result(events: str) -> list[Any]:
    """The values that came last. Raises PersonaplexError when none came."""
    messages = [json.loads(line.removeprefix("data: ")) for line in events.splitlines() if line]
    completed = next((m for m in messages if m["msg"] == "process_completed"), None)
    if completed is None or not completed["success"]:
        raise PersonaplexError(f"A clip was refused: {json.dumps(completed)[:200]}")
    return completed["output"]["data"]
