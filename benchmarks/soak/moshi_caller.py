"""A Moshi client: one websocket, Ogg/Opus both ways, as the official one in Python but for its microphone."""

import asyncio
import time
from collections.abc import Mapping
from typing import Any, cast
from urllib.parse import urlencode

import numpy as np
import sphn
from websockets.asyncio.client import ClientConnection, connect

from benchmarks.soak.address import Server
from benchmarks.soak.listening import Listening
from benchmarks.soak.live_caller import WELCOME_WITHIN_SEC, speak
from benchmarks.soak.speaking import Speaker
from personaplex_ui.audio.frames import SAMPLE_RATE_HZ, Samples
from personaplex_ui.calls.snapshot import CallStats, Transport
from personaplex_ui.channels.moshi import protocol as moshi
from personaplex_ui.errors import PersonaplexError

PACKET_SEC = 0.04
"""What ``sphn`` puts into one Opus packet."""


class MoshiCaller:
    """See ``LiveCaller``."""

    kind = Transport.MOSHI

    def __init__(self, server: Server, seed: int) -> None:
        persona = {"voice_prompt": f"{server.voice}.pt", "text_prompt": "You listen."}
        query = urlencode({**persona, "seed": seed, "state": 1})
        self._url = f"{server.websocket_url}/api/chat?{query}"
        self.speaker = Speaker(SAMPLE_RATE_HZ, PACKET_SEC, seed)
        self.listening = Listening()
        self.live = asyncio.Event()
        self.figures: list[CallStats] = []
        self._reader: Any = sphn.OpusStreamReader(SAMPLE_RATE_HZ)

    async def run(self) -> None:
        async with connect(self._url, proxy=None, open_timeout=WELCOME_WITHIN_SEC) as websocket:
            speaking: asyncio.Task[None] | None = None
            try:
                async for message in websocket:
                    arrived_at = time.monotonic()
                    match moshi.parse(message):
                        case moshi.Handshake() if speaking is None:
                            self.live.set()
                            speaking = asyncio.create_task(self._speak(websocket))
                        case moshi.Audio(ogg):
                            self._hear(arrived_at, ogg)
                        case moshi.Metadata(values):
                            self._note(values)
                        case moshi.Error(sentence):
                            raise PersonaplexError(sentence)
                        case _:
                            pass
            finally:
                if speaking is not None:
                    speaking.cancel()

    async def _speak(self, websocket: ClientConnection) -> None:
        writer: Any = sphn.OpusStreamWriter(SAMPLE_RATE_HZ)

        async def send(samples: Samples) -> None:
            ogg = bytes(writer.append_pcm(samples))
            if ogg:
                await websocket.send(moshi.build(moshi.Audio(ogg)))

        await speak(self.speaker, self.listening, PACKET_SEC, send)

    def _hear(self, arrived_at: float, ogg: bytes) -> None:
        samples = np.asarray(self._reader.append_bytes(ogg), dtype=np.float32)
        if len(samples):
            self.listening.hear(arrived_at, samples, SAMPLE_RATE_HZ)

    def _note(self, values: Mapping[str, object]) -> None:
        figures = values.get("figures")
        if isinstance(figures, dict):
            told = cast(dict[str, int], figures)
            self.figures.append(CallStats(told["dropped_heard"], told["dropped_said"], told["lag_frames"]))
