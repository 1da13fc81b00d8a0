# pyright: basic, reportMissingImports=false
"""Twilio's part of a call through Pipecat's Twilio serializer, with a ``Person`` on the telephone. Runs in
.venv-clients.

``pipecat_peer.py URL START HEARD_WAV``: START is the message ``start`` as JSON. Pipecat writes ``media``
without track and time, sends ``clear``, which is the other side's, and returns no marks. Prints the code that
the stream was closed with.
"""

import asyncio
import json
import sys
import time
from pathlib import Path
from types import SimpleNamespace

from pipecat.frames.frames import AudioRawFrame, InputAudioRawFrame, InterruptionFrame
from pipecat.serializers.twilio import TwilioFrameSerializer
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from tests.e2e.clients.person import Person, pcm_of, sound_of

RATE_HZ = 16_000
CHUNK_SAMPLES = 320


async def talk(websocket, serializer, person: Person) -> None:
    due = time.monotonic()
    await websocket.send(await serializer.serialize(InterruptionFrame()))
    while not person.done.is_set():
        sound = pcm_of(person.say(CHUNK_SAMPLES))
        message = await serializer.serialize(AudioRawFrame(sound, RATE_HZ, 1))
        if message is not None:
            await websocket.send(message)
        due += CHUNK_SAMPLES / RATE_HZ
        await asyncio.sleep(max(0.0, due - time.monotonic()))
    await websocket.send(json.dumps({"event": "stop"}))


async def listen(websocket, serializer, person: Person) -> None:
    try:
        while True:
            frame = await serializer.deserialize(await websocket.recv())
            if isinstance(frame, InputAudioRawFrame):
                person.hear(sound_of(frame.audio))
    except ConnectionClosed:
        pass


async def main(url: str, start: dict, heard_wav: Path) -> None:
    options = TwilioFrameSerializer.InputParams(auto_hang_up=False, sample_rate=RATE_HZ)
    serializer = TwilioFrameSerializer(start["streamSid"], params=options)
    await serializer.setup(SimpleNamespace(audio_in_sample_rate=RATE_HZ))
    person = Person(RATE_HZ)
    async with connect(url, proxy=None) as websocket:
        await websocket.send(json.dumps({"event": "connected", "protocol": "Call", "version": "1.0.0"}))
        await websocket.send(json.dumps({"event": "start", "start": start}))
        await asyncio.gather(talk(websocket, serializer, person), listen(websocket, serializer, person))
    person.keep(heard_wav)
    print(websocket.close_code)


asyncio.run(main(sys.argv[1], json.loads(sys.argv[2]), Path(sys.argv[3])))
