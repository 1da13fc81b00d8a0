"""``bench proxy``: what HAProxy, with the configuration of deploy/haproxy, adds to a request and to a call.

One process of the app, whose model says back at once what it hears, is asked by itself and through HAProxy in
turn: requests in pairs, calls over the Moshi websocket one after the other. So what else the machine does
meanwhile is in both.
"""

import argparse
import asyncio
import contextlib
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import AsyncGenerator
from pathlib import Path
from statistics import median

import httpx
import numpy as np

from benchmarks.proxy_report import Pair, ProxyReport
from personaplex_ui.audio.frames import FRAME_SAMPLES, Samples
from personaplex_ui.errors import PersonaplexError
from tests.support.app_process import ROOT, AppProcess
from tests.support.clients.moshi import chat
from tests.support.haproxy import NAMES, OPEN, PROGRAM_PLACES, running_haproxy

SUMMARY = "the latency that HAProxy adds to a request and to a call"

NO_HAPROXY = "This measures HAProxy, which is not installed: scripts/install-test-tools.sh."
AS_IT_IS = {**OPEN, "ASK_EVERY_MS": "500", "CHECK_EVERY": "1s"}
NOBODY = "127.0.0.1:9"
"""Nothing listens on the port of discard."""

WARM_UP_REQUESTS = 50
MARKS = 40
MARK_STEP = 1 / 64
"""Amplitudes far enough apart to be known from each other after 16 bits; so many frames are in no delay."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--requests", type=int, default=1_000, help="pairs of requests, of each kind (1000)")
    parser.add_argument("--rounds", type=int, default=10, help="pairs of calls (10)")
    parser.add_argument("--seconds", type=float, default=4.0, help="how long each call is (4)")


async def measure(given: argparse.Namespace) -> ProxyReport:
    """Raises PersonaplexError: HAProxy is not installed, or the app does not start."""
    version = haproxy_version()
    async with _both() as (direct, proxied):
        kept = await _requests(direct, proxied, given.requests, keeps=True)
        new = await _requests(direct, proxied, given.requests, keeps=False)
        calls = await _calls(direct, proxied, given.rounds, given.seconds)
    return ProxyReport(version, (kept, new, calls))


def haproxy_version() -> str:
    """Raises PersonaplexError: it is not installed."""
    program = shutil.which("haproxy", path=PROGRAM_PLACES)
    if program is None:
        raise PersonaplexError(NO_HAPROXY)
    told = subprocess.run([program, "-v"], capture_output=True, text=True, check=True).stdout
    found = re.search(r"version (\S+)", told)
    return found[1] if found else "of an unknown version"


@contextlib.asynccontextmanager
async def _both() -> AsyncGenerator[tuple[str, str]]:
    """The URLs of the app and of HAProxy before it."""
    script = ROOT / "tests" / "support" / "repeating_app.py"
    with tempfile.TemporaryDirectory(prefix="proxy-", ignore_cleanup_errors=True) as name:
        limits = {"CALLS_PER_MINUTE": "0", "MAX_CALLS_PER_ADDRESS": "0", "MAX_CALLS": "2"}
        app = AppProcess(Path(name), script, INSTANCE_PATH=f"/{NAMES[0]}", **limits)
        try:
            try:
                await asyncio.to_thread(app.wait_until_ready)
            except AssertionError as error:
                raise PersonaplexError(str(error)) from None
            with running_haproxy(Path(name), [f"127.0.0.1:{app.port}", NOBODY, NOBODY], **AS_IT_IS) as proxy:
                yield app.url, proxy.url
        finally:
            await asyncio.to_thread(app.close)


async def _requests(direct: str, proxied: str, pairs: int, keeps: bool) -> Pair:
    """``keeps``: over connections that stay open, as a browser's do; else over a new one each."""
    limits = httpx.Limits(max_keepalive_connections=None if keeps else 0)
    async with contextlib.AsyncExitStack() as stack:
        clients = [
            await stack.enter_async_context(httpx.AsyncClient(base_url=url, limits=limits, trust_env=False))
            for url in (direct, proxied)
        ]
        for _ in range(WARM_UP_REQUESTS):
            for client in clients:
                await _timed_request(client)
        times = [[await _timed_request(client) for client in clients] for _ in range(pairs)]
    what = "a request" if keeps else "a request over a new connection"
    return Pair(what, [one for one, _ in times], [other for _, other in times])


async def _timed_request(client: httpx.AsyncClient) -> float:
    """Seconds."""
    began = time.perf_counter()
    (await client.get("/visitor")).raise_for_status()
    return time.perf_counter() - began


async def _calls(direct: str, proxied: str, rounds: int, seconds: float) -> Pair:
    """The median of each call; one in turn, since two at once would wait for each other's frames."""
    await echo_delays(direct, 1.0)
    medians = [[median(await echo_delays(url, seconds)) for url in (direct, proxied)] for _ in range(rounds)]
    return Pair(
        "a frame of a call, there and back", [one for one, _ in medians], [other for _, other in medians]
    )


async def echo_delays(url: str, seconds: float) -> list[float]:
    """How long it takes until each frame of one call comes back, in seconds."""
    marks = Marks()
    query = {"audio": "pcm16"}
    async with chat(url, query, next_frame=marks.next_frame, hear=marks.hear, tells_state=False) as client:
        await client.until(lambda: client.ready or client.closed)
        await asyncio.sleep(seconds)
    if not marks.delays_sec:
        raise PersonaplexError(f"Nothing came back: {client}")
    return marks.delays_sec


class Marks:
    """Frames with one loud sample each, known by its amplitude, and when they came back."""

    def __init__(self) -> None:
        self.delays_sec: list[float] = []
        self._sent_at: dict[int, float] = {}
        self._sent = 0

    def next_frame(self) -> Samples:
        frame = np.zeros(FRAME_SAMPLES, dtype=np.float32)
        mark = self._sent % MARKS + 1
        frame[FRAME_SAMPLES // 2] = mark * MARK_STEP
        self._sent += 1
        self._sent_at[mark] = time.monotonic()
        return frame

    def hear(self, arrived_at: float, sound: Samples) -> None:
        for mark in np.rint(sound[sound > MARK_STEP / 2] / MARK_STEP).astype(int).tolist():
            sent_at = self._sent_at.pop(mark, None)
            if sent_at is not None:
                self.delays_sec.append(arrived_at - sent_at)
