# pyright: basic, reportMissingImports=false
"""LiveKit's PersonaPlex plugin as an agent uses it, with a ``Person`` in the room. Runs in .venv-clients.

``livekit_client.py URL VOICE FOLDER``: a call, then other instructions, upon which the plugin connects anew,
and a second call. FOLDER gets ``heard-1.wav`` and ``heard-2.wav``. Prints one JSON object: ``texts`` of the
calls, ``errors`` (as ``[sentence, recoverable]``), and whether the plugin ``gave_up``.
"""

import asyncio
import contextlib
import json
import sys
import time
from pathlib import Path

import aiohttp
from livekit import rtc
from livekit.plugins.nvidia.experimental.realtime import RealtimeModel

from tests.e2e.clients.person import Person, pcm_of, sound_of

RATE_HZ = 24_000
CHUNK_SAMPLES = 480
KEEPS_TRYING_SEC = 4.0
"""For so long it is watched after its first error: it begins anew after one second, if it does."""


class Agent:
    def __init__(self, session) -> None:
        self.session = session
        self.texts = [""]
        self.errors = []
        self.person = Person(RATE_HZ)
        self._tasks = set()
        session.on("generation_created", self._begin_generation)
        session.on("error", lambda event: self.errors.append([str(event.error), event.recoverable]))

    @property
    def gave_up(self) -> bool:
        return self.session._main_atask.done()

    async def call(self, heard_wav: Path) -> None:
        due = time.monotonic()
        while not self.person.done.is_set() and not self.errors:
            sound = pcm_of(self.person.say(CHUNK_SAMPLES))
            self.session.push_audio(rtc.AudioFrame(sound, RATE_HZ, 1, CHUNK_SAMPLES))
            due += CHUNK_SAMPLES / RATE_HZ
            await asyncio.sleep(max(0.0, due - time.monotonic()))
        self.person.keep(heard_wav)

    def _begin_generation(self, event) -> None:
        task = asyncio.create_task(self._take(event))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _take(self, event) -> None:
        async for message in event.message_stream:
            await asyncio.gather(self._listen(message.audio_stream), self._read(message.text_stream))

    async def _listen(self, frames) -> None:
        async for frame in frames:
            self.person.hear(sound_of(frame.data))

    async def _read(self, pieces) -> None:
        async for piece in pieces:
            self.texts[-1] += piece


async def main(url: str, voice: str, folder: Path) -> None:
    async with aiohttp.ClientSession() as http:
        model = RealtimeModel(
            base_url=url, voice=voice, text_prompt="You are kind.", seed=7, http_session=http
        )
        agent = Agent(model.session())
        await agent.call(folder / "heard-1.wav")
        if not agent.errors:
            agent.person = Person(RATE_HZ)
            agent.texts.append("")
            await agent.session.update_instructions("You are wise.")
            await agent.call(folder / "heard-2.wav")
        else:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(asyncio.shield(agent.session._main_atask), KEEPS_TRYING_SEC)
        print(json.dumps({"texts": agent.texts, "errors": agent.errors, "gave_up": agent.gave_up}))
        await agent.session.aclose()


asyncio.run(main(sys.argv[1], sys.argv[2], Path(sys.argv[3])))
