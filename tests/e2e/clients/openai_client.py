# pyright: basic, reportMissingImports=false
"""Calls through the ``openai`` package's own client. Runs in .venv-clients.

``openai_client.py URL SCENE FOLDER``: writes ``events.json``, all events as they came, each with what the
package's class for it has to say, and ``heard.wav``. A key is taken from the variable ``KEY``.
"""

import asyncio
import base64
import json
import os
import sys
import typing
import wave
from pathlib import Path

import numpy as np
from openai import AsyncOpenAI
from openai.types.realtime import RealtimeServerEvent
from pydantic import BaseModel, ValidationError

RATE_HZ = 24_000
TONE_HZ, TONE_AMPLITUDE, TONE_SEC = 440.0, 0.3, 1.5
WITHIN_SEC = 40.0

CLASSES = {
    typing.get_args(kind.model_fields["type"].annotation)[0]: kind
    for kind in typing.get_args(typing.get_args(RealtimeServerEvent)[0])
}


def complaints(values: dict) -> list[str]:
    """What the class of an event has against it: that it cannot be read, or has fields that are not in it."""
    kind = CLASSES.get(values["type"])
    if kind is None:
        return [f"no class for {values['type']}"]
    try:
        return unknown_fields(kind.model_validate(values, strict=True), values["type"])
    except ValidationError as error:
        return [str(error)]


def unknown_fields(value: object, where: str) -> list[str]:
    if isinstance(value, BaseModel):
        found = [f"{where}.{name}" for name in value.model_extra or {}]
        inside = [(f"{where}.{name}", getattr(value, name)) for name in type(value).model_fields]
        return found + [each for at, inner in inside for each in unknown_fields(inner, at)]
    if isinstance(value, list):
        return [each for inner in value for each in unknown_fields(inner, where)]
    return []


def silence(sec: float) -> np.ndarray:
    return np.zeros(round(sec * RATE_HZ), dtype=np.float32)


def tone(sec: float = TONE_SEC) -> np.ndarray:
    time_sec = np.arange(round(sec * RATE_HZ)) / RATE_HZ
    return (TONE_AMPLITUDE * np.sin(2 * np.pi * TONE_HZ * time_sec)).astype(np.float32)


WEATHER = {
    "type": "function",
    "name": "weather",
    "description": "The weather in a town.",
    "parameters": {"type": "object", "properties": {"town": {"type": "string"}}},
}


class Talk:
    """One connection and what came over it."""

    def __init__(self, connection) -> None:
        self.connection = connection
        self.events: list[dict] = []
        self.sound = b""
        self.grew = asyncio.Event()
        self.closed = None

    async def read(self) -> None:
        try:
            while True:
                values = json.loads(await self.connection.recv_bytes())
                if values["type"] == "response.output_audio.delta":
                    self.sound += base64.b64decode(values["delta"])
                self.events.append({**values, "complaints": complaints(values)})
                self.grew.set()
        except Exception as closed:
            self.closed = str(closed)
            self.grew.set()

    def of(self, kind: str) -> list[dict]:
        return [event for event in self.events if event["type"] == kind]

    async def until(self, kind: str, count: int = 1, true=lambda event: True) -> dict:
        """The ``count``-th event of a kind, once it has come."""
        async with asyncio.timeout(WITHIN_SEC):
            while len(found := [event for event in self.of(kind) if true(event)]) < count:
                if self.closed:
                    raise RuntimeError(f"closed before {kind}: {self.closed}")
                self.grew.clear()
                await self.grew.wait()
        return found[count - 1]

    async def say(self, *sounds: np.ndarray) -> None:
        """All at once, like a file."""
        pcm = (np.concatenate(sounds) * 32_767).astype("<i2").tobytes()
        await self.connection.input_audio_buffer.append(audio=base64.b64encode(pcm).decode())

    async def silent(self, done: int) -> None:
        """Until so many responses are done, and none is under way."""
        await self.until("response.done", done)


async def ask_for_weather(talk: Talk) -> None:
    """In writing; the answer takes a function of ours."""
    connection = talk.connection
    text = [{"type": "input_text", "text": "What is the weather in Rome?"}]
    await connection.conversation.item.create(item={"type": "message", "role": "user", "content": text})
    await connection.response.create()
    wanted = await talk.until("response.function_call_arguments.done")
    output = {"type": "function_call_output", "call_id": wanted["call_id"], "output": '{"sky": "blue"}'}
    await connection.conversation.item.create(item=output)
    await connection.response.create()
    await talk.until("response.done", true=lambda event: "blue" in json.dumps(event))


async def echo(talk: Talk, client: AsyncOpenAI) -> None:
    """The whole protocol, on an engine that repeats what it hears."""
    connection = talk.connection
    output = {"voice": "SAMEPITCH"}
    session = {"type": "realtime", "instructions": "Be kind.", "audio": {"output": output}}
    await connection.session.update(session=session)
    await talk.until("session.updated")
    await talk.say(silence(0.3), tone(), silence(1.0))
    await talk.until("input_audio_buffer.committed")
    await talk.until("response.done", true=lambda event: "dBFS" in json.dumps(event))

    await connection.session.update(session={"type": "realtime", "tools": [WEATHER]})
    await talk.until("session.updated", 2)
    await ask_for_weather(talk)

    await connection.response.create(response={"extra": {"say": "one two three four five six seven"}})
    await talk.until("response.output_audio_transcript.delta", true=lambda event: "two" in event["delta"])
    await connection.response.cancel()
    await talk.until("response.done", true=lambda event: event["response"]["status"] == "cancelled")

    message = {"type": "message", "role": "system", "content": [{"type": "input_text", "text": "Note this."}]}
    await connection.conversation.item.create(item={"id": "note", **message})
    await talk.until("conversation.item.done", true=lambda event: event["item"]["id"] == "note")
    await connection.conversation.item.retrieve(item_id="note")
    await talk.until("conversation.item.retrieved")
    said = talk.of("response.output_item.done")[0]["item"]["id"]
    await connection.conversation.item.truncate(item_id=said, content_index=0, audio_end_ms=500)
    await talk.until("conversation.item.truncated")
    await connection.conversation.item.delete(item_id="note")
    await talk.until("conversation.item.deleted")
    await connection.input_audio_buffer.clear()
    await talk.until("input_audio_buffer.cleared")

    await connection.send({"type": "session.wish", "event_id": "wish"})
    await connection.session.update(event_id="late", session={"type": "realtime", "instructions": "Be rude."})
    await connection.session.update(
        event_id="voice", session={"type": "realtime", "audio": {"output": {"voice": "nobody"}}}
    )
    await connection.response.cancel(event_id="none")
    await talk.until("error", 4)
    await connection.session.update(session={"type": "realtime", "extra": {"text_temperature": 0.5}})
    await talk.until("session.updated", 3)
    models = await client.models.list()
    talk.events.append({"type": "models", "complaints": [], "ids": [model.id for model in models.data]})


async def cascade(talk: Talk, client: AsyncOpenAI) -> None:
    """A question in sound, one in writing, and a function, on an engine that finds its answers in words."""
    connection = talk.connection
    heard = {"turn_detection": {"type": "server_vad", "silence_duration_ms": 400}}
    await connection.session.update(
        session={
            "type": "realtime",
            "instructions": "Ann of the bakery.",
            "audio": {"input": heard},
            "tools": [WEATHER],
        }
    )
    await talk.until("session.updated")
    await talk.say(tone())
    await talk.until("conversation.item.input_audio_transcription.completed")
    await talk.until("response.done", true=lambda event: "bread" in json.dumps(event))

    await ask_for_weather(talk)


async def tiny(talk: Talk, client: AsyncOpenAI) -> None:
    """A model that speaks all the time."""
    connection = talk.connection
    voice = {"output": {"voice": "NATM1"}}
    sampling = {"seed": 1, "greedy": True}
    await connection.session.update(
        session={"type": "realtime", "instructions": "You enjoy talking.", "audio": voice, "extra": sampling}
    )
    await talk.say(silence(0.2), tone(), silence(0.5))
    await talk.until("input_audio_buffer.speech_stopped")
    await talk.until("response.output_audio.delta", 30)
    await connection.response.cancel()
    await talk.until("response.done", true=lambda event: event["response"]["status"] == "cancelled")
    deltas = len(talk.of("response.output_audio.delta"))
    await connection.response.create()
    await talk.until("response.output_audio.delta", deltas + 5)


async def main(url: str, scene: str, folder: Path) -> None:
    client = AsyncOpenAI(api_key=os.environ.get("KEY", "none"), base_url=f"{url}/v1")
    async with client.realtime.connect(model="gpt-realtime") as connection:
        talk = Talk(connection)
        reading = asyncio.create_task(talk.read())
        try:
            await {"echo": echo, "cascade": cascade, "tiny": tiny}[scene](talk, client)
        finally:
            reading.cancel()
            (folder / "events.json").write_text(json.dumps(talk.events))
            with wave.open(str(folder / "heard-1.wav"), "wb") as file:
                file.setnchannels(1)
                file.setsampwidth(2)
                file.setframerate(RATE_HZ)
                file.writeframes(talk.sound)


asyncio.run(main(sys.argv[1], sys.argv[2], Path(sys.argv[3])))
