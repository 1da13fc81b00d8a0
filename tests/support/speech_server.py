"""A stand-in for a server of speech: it recognises, answers as a test tells it to, and speaks in whistles.
OpenAI's API for transcriptions, chat completions and speech, on loopback."""

import io
import json
import wave
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any

import numpy as np

from tests.support.loopback_http import serving_handler

RATE_HZ = 24_000
WORD_SEC = 0.2
SAID_HZ, AMPLITUDE = 330.0, 0.3

Message = Mapping[str, Any]


def says(text: str) -> Message:
    """A language model's answer in words."""
    return {"role": "assistant", "content": text}


def calls(name: str, arguments: Mapping[str, object]) -> Message:
    """A language model's answer that wants a function called."""
    function = {"name": name, "arguments": json.dumps(arguments)}
    return {"role": "assistant", "content": "", "tool_calls": [{"id": "c1", "function": function}]}


@dataclass
class SpeechServer:
    """``heard``: what any sound is recognised as. ``reply``: the answer to a request's body."""

    url: str = ""
    heard: str = "What do you sell?"
    reply: Callable[[dict[str, Any]], Message] = lambda body: says("We sell bread.")
    asked: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])

    @property
    def variables(self) -> dict[str, str]:
        """For an app that uses it for everything."""
        parts = {f"{part}_BASE_URL": self.url for part in ("STT", "LLM", "TTS")}
        models = {f"{part}_MODEL": "stand-in" for part in ("STT", "LLM", "TTS")}
        return {**parts, **models, "TTS_VOICE": "whistle"}

    def answer(self, path: str, content: bytes) -> tuple[str, bytes]:
        """Content type and content."""
        match path.rpartition("/")[2]:
            case "transcriptions":
                return "application/json", json.dumps({"text": self.heard}).encode()
            case "speech":
                return "audio/wav", spoken(json.loads(content)["input"])
            case "completions":
                body: dict[str, Any] = json.loads(content)
                self.asked.append(body)
                message = self.reply(body)
                ended = "tool_calls" if "tool_calls" in message else "stop"
                choice = {"index": 0, "message": message, "finish_reason": ended}
                return "application/json", json.dumps({"choices": [choice]}).encode()
            case _:
                return "application/json", json.dumps({"object": "list", "data": []}).encode()


def spoken(text: str) -> bytes:
    """A whistle of 330 Hz, as WAV, so long as ``text`` has words."""
    time_sec = np.arange(round(len(text.split()) * WORD_SEC * RATE_HZ)) / RATE_HZ
    tone = AMPLITUDE * np.sin(2 * np.pi * SAID_HZ * time_sec)
    file = io.BytesIO()
    with wave.open(file, "wb") as written:
        written.setnchannels(1)
        written.setsampwidth(2)
        written.setframerate(RATE_HZ)
        written.writeframes((tone * 32_767).astype("<i2").tobytes())
    return file.getvalue()


@contextmanager
def speech_server() -> Generator[SpeechServer]:
    machine = SpeechServer()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            content = self.rfile.read(int(self.headers.get("Content-Length", "0")))
            kind, data = machine.answer(self.path, content)
            try:
                self.send_response(200)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)
            except ConnectionError:
                pass  # nobody waits for it any more

        do_GET = do_POST  # noqa: N815  the base class finds it by this name

        def log_message(self, format: str, *args: object) -> None:
            pass

    with serving_handler(Handler) as address:
        machine.url = f"{address}/v1"
        yield machine
