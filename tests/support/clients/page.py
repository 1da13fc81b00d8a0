"""Browsers in Python: a process that makes calls through Gradio and FastRTC as the page does.

``CallerProcess`` is the test's end: it starts the process, reads what it reports and tells it how to end. The
process speaks the page's protocol: Gradio's queue over server-sent events, the offer through
``component_server``, and the data channel "text" with its ``send_input`` and ``fetch_output``.
"""

import asyncio
import json
import os
import queue
import signal
import subprocess
import sys
import threading
import uuid
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import httpx

from tests.support.password import let_http_clients_know_it

ROOT = Path(__file__).parents[3]
REPORT_WITHIN_SEC = 40.0

LIVE = "live"
"""Sound that is not silence has arrived: the greeting."""
WAITING = "waiting"
"""The page says the place in the queue."""
GOODBYE = "goodbye"
"""The server ended the call with a sentence, which follows."""


@dataclass(frozen=True, slots=True)
class Report:
    """``call``: which of the process's callers. ``kind``: one of the above. ``text``: a sentence."""

    call: int
    kind: str
    text: str = ""


class CallerProcess:
    """``count`` browsers that call at once. A ``deaf`` one ignores what the server asks for."""

    def __init__(self, url: str, count: int = 1, deaf: bool = False) -> None:
        self.count = count
        self.reports: list[Report] = []
        self._new: queue.Queue[Report] = queue.Queue()
        self._process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "tests.support.clients.page",
                url,
                str(count),
                "deaf" if deaf else "polite",
            ],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def wait_for(self, *kinds: str, calls: int | None = None) -> list[Report]:
        """Wait until so many callers (None: all) have reported one of ``kinds``; returns those reports."""

        def found() -> list[Report]:
            return [report for report in self.reports if report.kind in kinds]

        while len({report.call for report in found()}) < (self.count if calls is None else calls):
            try:
                self.reports.append(self._new.get(timeout=REPORT_WITHIN_SEC))
            except queue.Empty:
                reported = [(report.call, report.kind) for report in self.reports]
                raise AssertionError(f"Waited in vain for {kinds}; reported: {reported}") from None
        return found()

    def owner_cookie(self, call: int = 0) -> dict[str, str]:
        return json.loads(next(r.text for r in self.wait_for("cookies", calls=1) if r.call == call))

    def start(self) -> None:
        """Let them call; until then they have only opened the page."""
        self.wait_for("page open")
        self._tell("call")

    def hang_up(self) -> None:
        """All press the button, and the process ends."""
        self._tell("hang up")
        self._end()

    def leave(self) -> None:
        """The process exits and closes nothing."""
        self._tell("leave")
        self._end()

    def freeze(self) -> None:
        """As when the network is gone: nothing answers any more, nothing is closed."""
        self._process.send_signal(signal.SIGSTOP)

    def kill(self) -> None:
        self._process.kill()
        self._end()

    def close(self) -> None:
        """Whatever happened before, nothing is left of it."""
        if self._process.poll() is None:
            self.kill()

    def _tell(self, what: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{what}\n")
        self._process.stdin.flush()

    def _end(self) -> None:
        self._process.wait(REPORT_WITHIN_SEC)
        self._reader.join(REPORT_WITHIN_SEC)
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.stdout.close()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._new.put(Report(**json.loads(line)))


# The process ---------------------------------------------------------------------------------------


@dataclass(slots=True)
class Page:
    """One browser with the page open: its cookies, its session in Gradio's queue."""

    number: int
    http: httpx.AsyncClient
    session: str = field(default_factory=lambda: uuid.uuid4().hex[:11])
    dependencies: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    component: int = 0
    inputs: list[Any] = field(default_factory=list[Any])
    """What the page's inputs hold, the voice first; the component, owner and address (which Gradio knows) are
    left out."""
    listening: "asyncio.Task[None] | None" = None
    heartbeat: "asyncio.Task[None] | None" = None

    def report(self, kind: str, text: str = "") -> None:
        print(json.dumps({"call": self.number, "kind": kind, "text": text}), flush=True)

    async def open(self) -> None:
        (await self.http.get("/")).raise_for_status()
        config = (await self.http.get("/config")).json()
        self.dependencies = config["dependencies"]
        components = {component["id"]: component for component in config["components"]}
        self.component = next(id for id, shown in components.items() if shown["type"] == "webrtc")
        tick = self._dependency("tick")
        self.inputs = [components[id]["props"].get("value") for id in tick["inputs"][3:]]
        self.heartbeat = asyncio.create_task(self._beat())
        # As the page does once it knows the voices of the model.
        self.inputs[0] = (await self.http.get("/voices")).json()["default"].removesuffix(".pt")
        loads = [d for d in self.dependencies if d["targets"] and d["targets"][0][1] == "load"]
        load = next(d for d in loads if len(d["outputs"]) == 3)  # owner, address, history
        await self.trigger(load, [])
        self.report("cookies", json.dumps(dict(self.http.cookies)))
        self.report("page open")

    async def trigger_of_component(self, event: str, webrtc_id: str) -> None:
        """What the component dispatches: ``tick`` sends the inputs, ``state_change`` follows the call."""
        dependency = self._dependency(event)
        values = [webrtc_id, None, None, *self.inputs][: len(dependency["inputs"])]
        await self.trigger(dependency, values)

    async def trigger(self, dependency: dict[str, Any], values: list[Any]) -> None:
        event = {"data": values, "fn_index": dependency["id"], "session_hash": self.session}
        (await self.http.post("/gradio_api/queue/join", json=event)).raise_for_status()
        if self.listening is None or self.listening.done():
            self.listening = asyncio.create_task(self._listen())

    async def offer(self, webrtc_id: str, sdp: str, kind: str) -> dict[str, Any]:
        body = {
            "data": {"sdp": sdp, "type": kind, "webrtc_id": webrtc_id},
            "component_id": self.component,
            "fn_name": "offer",
            "session_hash": self.session,
        }
        answer = await self.http.post("/gradio_api/component_server", json=body)
        return answer.raise_for_status().json()

    def _dependency(self, event: str) -> dict[str, Any]:
        return next(d for d in self.dependencies if [self.component, event] in d["targets"])

    async def _beat(self) -> None:
        """A request that stays open as long as the page does."""
        async with self.http.stream("GET", f"/gradio_api/heartbeat/{self.session}") as beats:
            async for _ in beats.aiter_lines():
                pass

    async def _listen(self) -> None:
        """Gradio sends what changes on the page until all events of the session are done."""
        waiting = False
        parameters = {"session_hash": self.session}
        async with self.http.stream("GET", "/gradio_api/queue/data", params=parameters) as events:
            async for line in events.aiter_lines():
                if "Waiting: place" in line and not waiting:
                    waiting = True
                    self.report(WAITING, line)


async def call(page: Page, deaf: bool) -> Any:
    """Connect with a microphone that says a tone now and then; returns the peer connection."""
    from aiortc import MediaStreamError, RTCConfiguration, RTCPeerConnection, RTCSessionDescription

    peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    peer.addTrack(_microphone())
    channel = peer.createDataChannel("text")
    webrtc_id = uuid.uuid4().hex[:11]
    tasks: set[asyncio.Task[None]] = set()

    def do(coroutine: Any) -> None:
        task = asyncio.create_task(coroutine)
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    @channel.on("open")
    def opened() -> None:
        channel.send("handshake")

    @channel.on("message")
    def received(message: str) -> None:
        asked = json.loads(message)
        if asked["type"] == "send_input" and not deaf:
            do(page.trigger_of_component("tick", webrtc_id))
        if asked["type"] == "fetch_output":
            do(page.trigger_of_component("state_change", webrtc_id))
        if asked["type"] == "end_stream":
            page.report(GOODBYE, str(asked["data"]))

    @peer.on("connectionstatechange")
    def changed() -> None:
        page.report(peer.connectionState)

    @peer.on("track")
    def came(track: Any) -> None:
        do(listen(track))

    async def listen(track: Any) -> None:
        live = False
        while True:
            try:
                frame = await track.recv()
            except MediaStreamError:
                return
            if not live and abs(frame.to_ndarray()).max() > 500:
                live = True
                page.report(LIVE)

    await peer.setLocalDescription(await peer.createOffer())
    answer = await page.offer(webrtc_id, peer.localDescription.sdp, peer.localDescription.type)
    if "sdp" in answer:
        await peer.setRemoteDescription(RTCSessionDescription(answer["sdp"], answer["type"]))
    else:
        page.report("refused", json.dumps(answer))
    return peer


def _microphone() -> Any:
    import av
    import numpy as np
    from aiortc.mediastreams import AudioStreamTrack

    class Microphone(AudioStreamTrack):
        """A second of a tone, two of silence, and so on: 20 ms frames at 48 kHz."""

        async def recv(self) -> av.AudioFrame:
            silence = await super().recv()  # paced, 8 kHz
            assert isinstance(silence, av.AudioFrame)
            assert silence.pts is not None
            start_sec = silence.pts / silence.sample_rate
            time_sec = start_sec + np.arange(960) / 48_000
            tone = 8_000 * np.sin(2 * np.pi * 300 * time_sec) * (start_sec % 3 < 1)
            frame = av.AudioFrame.from_ndarray(tone.astype(np.int16)[np.newaxis], "s16", "mono")
            frame.sample_rate = 48_000
            frame.pts = round(start_sec * 48_000)
            frame.time_base = Fraction(1, 48_000)
            return frame

    return Microphone()


async def main(url: str, count: int, deaf: bool) -> None:
    loop = asyncio.get_running_loop()

    async def told() -> str:
        return (await loop.run_in_executor(None, sys.stdin.readline)).strip()

    import aiortc  # noqa: F401  # pyright: ignore[reportUnusedImport]  not at the top: the test's own process has no use for it

    let_http_clients_know_it()
    pages = [Page(number, httpx.AsyncClient(base_url=url, timeout=None)) for number in range(count)]
    await asyncio.gather(*(page.open() for page in pages))
    peers: list[Any] = []
    if await told() == "call":
        peers = await asyncio.gather(*(call(page, deaf) for page in pages))
        if await told() == "hang up":
            await asyncio.gather(*(peer.close() for peer in peers))
    os._exit(0)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), sys.argv[3] == "deaf"))
