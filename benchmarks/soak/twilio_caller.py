"""Twilio, scripted: posts the signed webhook, reads the TwiML, connects the media stream and plays it.

Plays as Twilio does: what comes is put behind what waits, marks come back when what was before them was
played, and ``clear`` empties the buffer.
"""

import asyncio
import base64
import contextlib
import json
import time
import uuid
from collections import deque
from xml.etree import ElementTree

import httpx
from twilio.request_validator import RequestValidator
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from benchmarks.soak.address import Server
from benchmarks.soak.listening import Listening
from benchmarks.soak.live_caller import WELCOME_WITHIN_SEC, speak
from benchmarks.soak.speaking import Speaker
from personaplex_ui.audio import mu_law
from personaplex_ui.audio.frames import Samples
from personaplex_ui.calls.snapshot import CallStats, Transport
from personaplex_ui.errors import PersonaplexError

WEBHOOK = "/twilio/inbound"
PHONE_HZ = 8_000
PACKET_SEC = 0.02
CALLED, CALLER = "+15550100", "+15550101"
"""Numbers that are nobody's."""


class TwilioCaller:
    """See ``LiveCaller``. It is told no figures."""

    kind = Transport.TWILIO

    def __init__(self, server: Server, seed: int) -> None:
        self._server = server
        self.speaker = Speaker(PHONE_HZ, PACKET_SEC, seed)
        self.listening = Listening()
        self.live = asyncio.Event()
        self.figures: list[CallStats] = []
        self._call_sid = f"CA{uuid.uuid4().hex}"
        self._stream_sid = f"MZ{uuid.uuid4().hex}"
        self._marks: deque[tuple[float, str]] = deque()
        self._played_until = 0.0

    async def run(self) -> None:
        url, parameters = await self._call_webhook()
        local_url = self._server.websocket_url + httpx.URL(url).raw_path.decode()
        async with connect(local_url, proxy=None, open_timeout=WELCOME_WITHIN_SEC) as websocket:
            await websocket.send(json.dumps({"event": "connected", "protocol": "Call", "version": "1.0.0"}))
            await websocket.send(self._start_message(parameters))
            speaking = asyncio.create_task(self._speak(websocket))
            try:
                async for message in websocket:
                    self._take(json.loads(message))
                    await self._return_marks(websocket)
            finally:
                speaking.cancel()
                with contextlib.suppress(ConnectionClosed):
                    await websocket.send(self._message("stop", {"stop": {"callSid": self._call_sid}}))

    async def _call_webhook(self) -> tuple[str, dict[str, str]]:
        """The websocket and the parameters that the TwiML names."""
        fields = {"CallSid": self._call_sid, "From": CALLER, "To": CALLED, "CallStatus": "ringing"}
        validator = RequestValidator(self._server.twilio_auth_token)
        signature = validator.compute_signature(self._server.public_url + WEBHOOK, fields)  # pyright: ignore[reportUnknownVariableType]
        async with httpx.AsyncClient(base_url=self._server.url, trust_env=False) as http:
            answer = await http.post(WEBHOOK, data=fields, headers={"X-Twilio-Signature": str(signature)})  # pyright: ignore[reportUnknownArgumentType]
        if not answer.is_success:
            raise PersonaplexError(f"The webhook answered {answer.status_code}: {answer.text[:200]}")
        stream = ElementTree.fromstring(answer.text).find(".//Stream")
        if stream is None:
            raise PersonaplexError(f"The TwiML connects no stream: {answer.text[:200]}")
        return stream.attrib["url"], {
            found.attrib["name"]: found.attrib["value"] for found in stream.iter("Parameter")
        }

    def _start_message(self, parameters: dict[str, str]) -> str:
        start = {
            "streamSid": self._stream_sid,
            "callSid": self._call_sid,
            "tracks": ["inbound"],
            "customParameters": parameters,
            "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": PHONE_HZ, "channels": 1},
        }
        return self._message("start", {"start": start})

    def _message(self, event: str, content: dict[str, object]) -> str:
        return json.dumps({"event": event, "streamSid": self._stream_sid, **content})

    async def _speak(self, websocket: ClientConnection) -> None:
        async def send(samples: Samples) -> None:
            payload = base64.b64encode(mu_law.encode(samples)).decode()
            await websocket.send(self._message("media", {"media": {"track": "inbound", "payload": payload}}))
            await self._return_marks(websocket)

        with contextlib.suppress(ConnectionClosed):
            await speak(self.speaker, self.listening, PACKET_SEC, send)

    def _take(self, message: dict[str, dict[str, str]]) -> None:
        now = time.monotonic()
        if "media" in message:
            self.live.set()
            samples = mu_law.decode(base64.b64decode(message["media"]["payload"]))
            self.listening.hear(now, samples, PHONE_HZ)
            self._played_until = max(now, self._played_until) + len(samples) / PHONE_HZ
        elif "mark" in message:
            self._marks.append((self._played_until, message["mark"]["name"]))
        else:  # clear
            self._played_until = now
            self._marks = deque((now, name) for _, name in self._marks)

    async def _return_marks(self, websocket: ClientConnection) -> None:
        while self._marks and self._marks[0][0] <= time.monotonic():
            await websocket.send(self._message("mark", {"mark": {"name": self._marks.popleft()[1]}}))
