"""A browser with the page open, as far as the server sees one: Gradio's queue, the offer, WebRTC both ways.

Sound is taken as it arrives, packet by packet: the jitter buffer of aiortc would hold back four packets.
"""

import asyncio
import json
import time
import uuid
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import av
import httpx
import numpy as np
from aiortc import RTCConfiguration, RTCDataChannel, RTCPeerConnection, RTCSessionDescription
from aiortc.codecs.opus import OpusDecoder
from aiortc.jitterbuffer import JitterBuffer, JitterFrame
from aiortc.mediastreams import AudioStreamTrack, MediaStreamTrack
from aiortc.rtp import RtpPacket

from benchmarks.soak.address import Server
from benchmarks.soak.impairment import Impairment
from benchmarks.soak.listening import LOUD, Listening
from benchmarks.soak.live_caller import say
from benchmarks.soak.relay import Relay
from benchmarks.soak.speaking import Speaker
from personaplex_ui.calls.snapshot import CallStats, Transport
from personaplex_ui.errors import PersonaplexError

RATE_HZ = 48_000
PACKET_SEC = 0.02
PACKET_SAMPLES = 960
ASKED_WITHIN_SEC = 30.0
"""For anything over HTTP: the page itself is the slowest."""

Values = dict[str, Any]


class WebRtcCaller:
    """See ``LiveCaller``. It is told no figures. ``record``: whether its call is recorded. ``relay``: the bad
    network that its sound goes through, if any."""

    kind = Transport.BROWSER

    def __init__(self, server: Server, seed: int, record: bool, impairment: Impairment | None = None) -> None:
        self.relay = Relay(impairment, seed) if impairment else None
        self.speaker = Speaker(RATE_HZ, PACKET_SEC, seed)
        self.listening = Listening()
        self.live = asyncio.Event()
        self.figures: list[CallStats] = []
        self._server = server
        self._record = record
        self._decoder = OpusDecoder()

    async def run(self) -> None:
        timeout = httpx.Timeout(ASKED_WITHIN_SEC, read=None)
        async with (
            httpx.AsyncClient(base_url=self._server.url, timeout=timeout, trust_env=False) as http,
            asyncio.TaskGroup() as tasks,
        ):
            page = Page(http, tasks, {"voice": self._server.voice, "record": self._record})
            await page.open()
            peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
            try:
                await self._talk(page, peer)
            finally:
                await peer.close()
                page.leave()
                if self.relay is not None:
                    self.relay.close()

    async def _talk(self, page: "Page", peer: RTCPeerConnection) -> None:
        """Connect; returns when the server has ended the call."""
        over = asyncio.Event()
        webrtc_id = uuid.uuid4().hex[:11]
        peer.addTrack(Microphone(self.speaker, self.listening))
        channel = peer.createDataChannel("text")
        self._obey(channel, page, webrtc_id, over)

        @peer.on("track")
        def came(track: MediaStreamTrack) -> None:
            for transceiver in peer.getTransceivers():
                receiver: Any = transceiver.receiver  # no public way leads past its jitter buffer
                receiver._RTCRtpReceiver__jitter_buffer = Arrivals(self._hear)

        @peer.on("connectionstatechange")
        def changed() -> None:
            if peer.connectionState in ("failed", "closed"):
                over.set()

        await peer.setLocalDescription(await peer.createOffer())
        offer = peer.localDescription
        if self.relay is None:
            answer = await page.offer(webrtc_id, offer)
        else:
            answer = await page.offer(webrtc_id, await self.relay.toward_server(offer))
            answer = self.relay.toward_client(answer)
        await peer.setRemoteDescription(answer)
        await over.wait()

    def _obey(self, channel: RTCDataChannel, page: "Page", webrtc_id: str, over: asyncio.Event) -> None:
        """Do on the data channel what the page does."""

        @channel.on("open")
        def opened() -> None:
            channel.send("handshake")

        @channel.on("message")
        def received(message: str) -> None:
            match json.loads(message)["type"]:
                case "send_input":
                    page.trigger_later("tick", webrtc_id)
                case "fetch_output":
                    page.trigger_later("state_change", webrtc_id)
                case "end_stream":
                    over.set()
                case _:
                    pass

    def _hear(self, payload: bytes, timestamp: int) -> None:
        arrived_at = time.monotonic()
        for decoded in self._decoder.decode(JitterFrame(payload, timestamp)):
            assert isinstance(decoded, av.AudioFrame)
            left = decoded.to_ndarray().reshape(-1, 2)[:, 0].astype(np.float32) / 32768.0
            self.listening.hear(arrived_at, left, RATE_HZ)
            if not self.live.is_set() and np.max(np.abs(left)) > LOUD:
                self.live.set()  # the greeting; until then it is silence


class Arrivals(JitterBuffer):
    """Hands each packet over at once, and nothing to aiortc's own decoder."""

    def __init__(self, arrived: Callable[[bytes, int], None]) -> None:
        super().__init__(capacity=16)
        self._arrived = arrived

    def add(self, packet: RtpPacket) -> tuple[bool, JitterFrame | None]:
        self._arrived(packet._data, packet.timestamp)  # type: ignore[attr-defined]  # pyright: ignore
        return False, None


class Microphone(AudioStreamTrack):
    """20 ms packets in real time."""

    def __init__(self, speaker: Speaker, listening: Listening) -> None:
        super().__init__()
        self._speaker = speaker
        self._listening = listening
        self._due = 0.0
        self._sent = 0

    async def recv(self) -> av.AudioFrame:
        self._due = (self._due or time.monotonic()) + PACKET_SEC
        await asyncio.sleep(max(0.0, self._due - time.monotonic()))
        spoken = self._speaker.next_packet()
        say(spoken, self._listening)
        sound = np.clip(spoken.samples * 32768.0, -32768, 32767).astype(np.int16)
        frame = av.AudioFrame.from_ndarray(sound[np.newaxis], "s16", "mono")
        frame.sample_rate = RATE_HZ
        frame.pts = self._sent * PACKET_SAMPLES
        frame.time_base = Fraction(1, RATE_HZ)
        self._sent += 1
        return frame


class Page:
    """The open page: its session in Gradio's queue. ``chosen``: values of inputs by their ``elem_id``."""

    def __init__(self, http: httpx.AsyncClient, tasks: asyncio.TaskGroup, chosen: Values) -> None:
        self._http = http
        self._tasks = tasks
        self._chosen = chosen
        self._session = uuid.uuid4().hex[:11]
        self._config: Values = {}
        self._component = 0
        self._background: set[asyncio.Task[None]] = set()
        self._listening: asyncio.Task[None] | None = None

    async def open(self) -> None:
        (await self._http.get("/")).raise_for_status()
        self._config = (await self._http.get("/config")).json()
        self._component = next(c["id"] for c in self._config["components"] if c["type"] == "webrtc")
        self._begin(self._beat())
        dependencies: list[Values] = self._config["dependencies"]
        loads = [d for d in dependencies if d["targets"] and d["targets"][0][1] == "load"]
        load = next(d for d in loads if len(d["outputs"]) == 3)  # owner, address, history
        await self._trigger(load, [])

    def leave(self) -> None:
        """Stop all that goes on in the background."""
        for task in self._background:
            task.cancel()

    async def offer(self, webrtc_id: str, offer: RTCSessionDescription) -> RTCSessionDescription:
        """Raises PersonaplexError when it is refused."""
        body = {
            "data": {"sdp": offer.sdp, "type": offer.type, "webrtc_id": webrtc_id},
            "component_id": self._component,
            "fn_name": "offer",
            "session_hash": self._session,
        }
        answered = await self._http.post("/gradio_api/component_server", json=body)
        answer: Values = answered.raise_for_status().json()
        if "sdp" not in answer:
            raise PersonaplexError(f"The offer was refused: {json.dumps(answer)[:200]}")
        return RTCSessionDescription(answer["sdp"], answer["type"])

    def trigger_later(self, event: str, webrtc_id: str) -> None:
        """What the component dispatches: ``tick`` sends the inputs, ``state_change`` follows the call."""
        target = [self._component, event]
        dependency = next(d for d in self._config["dependencies"] if target in d["targets"])
        components = {component["id"]: component for component in self._config["components"]}
        others = [self._value_of(components[id]) for id in dependency["inputs"][1:]]
        self._begin(self._trigger(dependency, [webrtc_id, *others]))

    def _value_of(self, component: Values) -> Any:
        if component["type"] == "state":
            return None  # the server knows it
        props: Values = component["props"]
        return self._chosen.get(props.get("elem_id") or "", props.get("value"))

    async def _trigger(self, dependency: Values, values: list[Any]) -> None:
        event = {"data": values, "fn_index": dependency["id"], "session_hash": self._session}
        (await self._http.post("/gradio_api/queue/join", json=event)).raise_for_status()
        if self._listening is None or self._listening.done():
            self._listening = self._begin(self._listen())

    async def _beat(self) -> None:
        """A request that stays open as long as the page does."""
        await self._drain(f"/gradio_api/heartbeat/{self._session}")

    async def _listen(self) -> None:
        """What changes on the page; it ends with the last event."""
        await self._drain(f"/gradio_api/queue/data?session_hash={self._session}")

    async def _drain(self, path: str) -> None:
        async with self._http.stream("GET", path) as content:
            async for _ in content.aiter_raw():
                pass

    def _begin(self, coroutine: Any) -> asyncio.Task[None]:
        task: asyncio.Task[None] = self._tasks.create_task(coroutine)
        self._background.add(task)
        task.add_done_callback(self._background.discard)
        return task
