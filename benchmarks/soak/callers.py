"""The callers of a soak that stay on one call each: a page, a Moshi client, a telephone.

The transports are the tests' clients. Here a caller speaks now and then, and listens to the answers.
"""

import asyncio
import contextlib
import time
import uuid
from collections.abc import Mapping
from typing import Any, Protocol, cast
from xml.etree import ElementTree

import httpx
from twilio.request_validator import RequestValidator
from websockets.exceptions import ConnectionClosed

from benchmarks.soak.address import Server
from benchmarks.soak.listening import LOUD, Listening
from benchmarks.soak.speaking import Speaker
from personaplex_ui.audio import mu_law
from personaplex_ui.audio.frames import FRAME_SEC, SAMPLE_RATE_HZ, Samples
from personaplex_ui.calls.snapshot import CallStats, Transport
from personaplex_ui.errors import PersonaplexError
from tests.support.clients import browser, moshi, twilio
from tests.support.clients.impairment import Impairment
from tests.support.clients.page import Page
from tests.support.clients.relay import Relay

WEBHOOK = "/twilio/inbound"
PHONE_HZ = 8_000
CALLED, CALLER = "+15550100", "+15550101"
"""Numbers that nobody has."""
ASKED_WITHIN_SEC = 30.0
"""For anything over HTTP: the page itself is the slowest."""


class LiveCaller(Protocol):
    """``live`` is set once the call has begun. ``stats``: what the server told of it, oldest first."""

    kind: Transport
    speaker: Speaker
    listening: Listening
    live: asyncio.Event
    stats: list[CallStats]

    async def run(self) -> None:
        """Call, and stay on the call until cancelled; returns when the server ended it.

        Raises:
            PersonaplexError: the call was not established; the sentence says why.
        """
        ...


class _Caller:
    """Speaks packet by packet and listens. It gets no statistics."""

    def __init__(self, server: Server, rate_hz: int, packet_sec: float, seed: int) -> None:
        self.speaker = Speaker(rate_hz, packet_sec, seed)
        self.listening = Listening()
        self.live = asyncio.Event()
        self.stats: list[CallStats] = []
        self._server = server
        self._rate_hz = rate_hz

    def _say(self) -> Samples:
        """The next packet, which is sent now: the moment its last sample was spoken."""
        spoken = self.speaker.next_packet()
        if spoken.quiet_since_sec is not None:
            self.listening.expect(time.monotonic() - spoken.quiet_since_sec)
        return spoken.samples

    def _hear(self, arrived_at: float, samples: Samples) -> None:
        if len(samples):
            self.listening.hear(arrived_at, samples, self._rate_hz)


class WebRtcCaller(_Caller):
    """A page. ``record``: its call is recorded. ``impairment``: of the network its sound goes through."""

    kind = Transport.BROWSER

    def __init__(self, server: Server, seed: int, record: bool, impairment: Impairment | None = None) -> None:
        super().__init__(server, browser.RATE_HZ, browser.PACKET_SEC, seed)
        self.relay = Relay(impairment, seed) if impairment else None
        self._settings = {"voice": server.voice, "record": record}

    async def run(self) -> None:
        timeout = httpx.Timeout(ASKED_WITHIN_SEC, read=None)
        async with httpx.AsyncClient(base_url=self._server.url, timeout=timeout, trust_env=False) as http:
            page = Page(http, self._settings)
            await page.open()
            call = browser.BrowserCall(page, self._say, self._listen, self.relay)
            try:
                if refused := await call.begin():
                    raise PersonaplexError(f"The offer was refused: {str(refused)[:200]}")
                await call.over.wait()
            finally:
                await call.close()

    def _listen(self, arrived_at: float, samples: Samples) -> None:
        self._hear(arrived_at, samples)
        if not self.live.is_set() and abs(samples).max() > LOUD:
            self.live.set()  # the greeting; until then it is silence


class MoshiCaller(_Caller):
    """A Moshi client like the official one in Python, except for its microphone."""

    kind = Transport.MOSHI

    def __init__(self, server: Server, seed: int) -> None:
        super().__init__(server, SAMPLE_RATE_HZ, FRAME_SEC, seed)
        persona = {"voice_prompt": f"{server.voice}.pt", "text_prompt": "You listen."}
        self._query = {**persona, "seed": str(seed)}

    async def run(self) -> None:
        async with moshi.chat(self._server.url, self._query, next_frame=self._say, hear=self._hear) as client:
            await client.until(lambda: client.ready or client.closed)
            if client.ready:
                self.live.set()
            while not client.closed:
                await client.until(lambda: bool(client.states or client.errors) or client.closed, None)
                for values in client.states:
                    self._note(values)
                client.states.clear()
                client.sound.clear()
                if client.errors:
                    raise PersonaplexError(client.errors[0])

    def _note(self, values: Mapping[str, object]) -> None:
        stats = values.get("figures")
        if isinstance(stats, dict):
            told = cast(dict[str, int], stats)
            self.stats.append(CallStats(told["dropped_heard"], told["dropped_said"], told["lag_frames"]))


class TwilioCaller(_Caller):
    """Twilio, scripted: posts the signed webhook, reads the TwiML, connects the media stream and plays it."""

    kind = Transport.TWILIO

    def __init__(self, server: Server, seed: int) -> None:
        super().__init__(server, PHONE_HZ, twilio.CHUNK_SEC, seed)
        self._call_sid = f"CA{uuid.uuid4().hex}"

    async def run(self) -> None:
        url, parameters = await self._call_webhook()
        address = self._server.websocket_url + httpx.URL(url).raw_path.decode()
        stream_sid = f"MZ{uuid.uuid4().hex}"
        async with twilio.twilio_peer(address, hear=self._listen, stream_sid=stream_sid) as peer:
            await peer.start(parameters, self._call_sid)
            try:
                while True:
                    await peer.say(mu_law.encode(self._say()))
            except ConnectionClosed:
                return
            finally:
                with contextlib.suppress(ConnectionClosed):
                    await peer.stop(self._call_sid)

    def _listen(self, arrived_at: float, sound: bytes) -> None:
        self.live.set()
        self._hear(arrived_at, mu_law.decode(sound))

    async def _call_webhook(self) -> tuple[str, dict[str, str]]:
        """The websocket and the parameters that the TwiML names."""
        fields = {"CallSid": self._call_sid, "From": CALLER, "To": CALLED, "CallStatus": "ringing"}
        validator = cast(Any, RequestValidator(self._server.twilio_auth_token))
        signature = str(validator.compute_signature(self._server.public_url + WEBHOOK, fields))
        async with httpx.AsyncClient(base_url=self._server.url, trust_env=False) as http:
            answer = await http.post(WEBHOOK, data=fields, headers={"X-Twilio-Signature": signature})
        if not answer.is_success:
            raise PersonaplexError(f"The webhook answered {answer.status_code}: {answer.text[:200]}")
        stream = ElementTree.fromstring(answer.text).find(".//Stream")
        if stream is None:
            raise PersonaplexError(f"The TwiML connects no stream: {answer.text[:200]}")
        return stream.attrib["url"], {
            found.attrib["name"]: found.attrib["value"] for found in stream.iter("Parameter")
        }
