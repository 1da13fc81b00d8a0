"""The app as a process of its own, as a user starts it, and what it costs: memory, CPU, dropped frames.

Memory and CPU are read from ``/proc``, so it needs Linux.
"""

import asyncio
import contextlib
import os
import secrets
import sys
import tempfile
from collections.abc import AsyncGenerator
from pathlib import Path

import httpx
from prometheus_client.parser import text_string_to_metric_families

from benchmarks.soak.address import Server
from benchmarks.soak.observed import Usage
from personaplex_ui.calls.snapshot import PacketCounts
from personaplex_ui.errors import PersonaplexError
from tests.support.app_process import AppProcess

ROOT = Path(__file__).parents[2]
APP = ROOT / "app.py"
ANSWERS_WITHIN_SEC = 20.0
LOG_SHOWN_CHARACTERS = 2_000

VOICE = "SOAK"
"""Not of the catalogue: so the echo keeps the pitch, and what it says back begins as it was said."""

PUBLIC_URL = "https://soak.example"
"""What the webhooks are signed for; nothing is asked there."""

DROPPED_METRIC = "personaplex_frames_dropped_total"
PACKETS_METRIC = "personaplex_inbound_packets_total"


class ServerProcess:
    """Ready for calls. Made by ``running_server``."""

    def __init__(self, app: AppProcess, server: Server, api_key: str) -> None:
        self.server = server
        self._app = app
        headers = {"Authorization": f"Bearer {api_key}"}
        # A connection kept open would be asked again just when the server closes it, which it does after 5 s.
        limits = httpx.Limits(max_keepalive_connections=0)
        self._http = httpx.AsyncClient(
            base_url=server.url, headers=headers, timeout=ANSWERS_WITHIN_SEC, limits=limits, trust_env=False
        )

    @property
    def exceptions(self) -> int:
        """Tracebacks in its log."""
        return self._app.log.count("Traceback (most recent call last)")

    async def usage(self, at_sec: float) -> Usage:
        """What it has used by now, which is ``at_sec``. Raises PersonaplexError when it is gone."""
        if self._app.process.poll() is not None:
            raise self._failed("ended in the middle")
        process = Path(f"/proc/{self._app.process.pid}")
        resident_bytes = int((process / "statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
        # Fields 14 and 15 of proc(5); the second one, the name, may hold spaces and ends with a bracket.
        fields = (process / "stat").read_text().rpartition(")")[2].split()
        cpu_sec = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        metrics = await self._metrics()
        dropped = _sums(metrics, DROPPED_METRIC, "direction")
        packets = _sums(metrics, PACKETS_METRIC, "outcome")
        counts = PacketCounts(**{name: packets.get(name, 0) for name in ("lost", "late", "concealed")})
        return Usage(at_sec, resident_bytes, cpu_sec, sum(dropped.values()) if dropped else None, counts)

    async def close(self) -> None:
        await self._http.aclose()

    def _failed(self, what: str) -> PersonaplexError:
        return PersonaplexError(
            f"The server {what}. Its log ends with:\n{self._app.log[-LOG_SHOWN_CHARACTERS:]}"
        )

    async def _metrics(self) -> str:
        """Empty where it tells none."""
        try:
            answer = await self._http.get("/metrics")
        except httpx.HTTPError as error:
            raise self._failed(f"did not answer in the middle ({type(error).__name__})") from None
        return answer.text if answer.is_success else ""


def _sums(metrics: str, name: str, label: str) -> dict[str, int]:
    """The values of one metric by one of its labels; empty when it is not there."""
    sums: dict[str, int] = {}
    for family in text_string_to_metric_families(metrics):
        for sample in family.samples:
            if sample.name == name:
                sums[sample.labels[label]] = sums.get(sample.labels[label], 0) + round(sample.value)
    return sums


@contextlib.asynccontextmanager
async def running_server(calls: int, seconds: float, app: Path = APP) -> AsyncGenerator[ServerProcess]:
    """The app on the echo engine, with a line for each of ``calls``, which may take ``seconds``.

    Raises:
        PersonaplexError: it cannot be measured here, or it does not start; its log says why.
    """
    if sys.platform != "linux":
        raise PersonaplexError("The soak reads its server's memory from /proc. Please run it on Linux.")
    with tempfile.TemporaryDirectory(prefix="soak-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        secret = secrets.token_hex(16)
        started = AppProcess(folder, app, **_variables(folder, calls, seconds, secret))
        running = ServerProcess(started, Server(started.url, PUBLIC_URL, VOICE, secret), secret)
        try:
            try:
                await asyncio.to_thread(started.wait_until_ready)
            except AssertionError as error:
                raise PersonaplexError(str(error)) from None
            yield running
        finally:
            await running.close()
            await asyncio.to_thread(started.close)


def _variables(folder: Path, calls: int, seconds: float, secret: str) -> dict[str, str]:
    voices = folder / "voices"
    voices.mkdir()
    (voices / f"{VOICE}.wav").touch()  # the echo reads no voice, the name is enough
    return {
        "MAX_CALLS": str(calls),
        "MAX_CALL_SECONDS": str(round(seconds) + 600),
        "MAX_CALLS_PER_ADDRESS": "0",
        "CALLS_PER_MINUTE": "0",
        "UPLOAD_MB_PER_HOUR": "0",
        "VOICES_DIR": str(voices),
        "DEFAULT_VOICE_PROMPT": VOICE,
        "SERVER_URL": PUBLIC_URL,
        "TWILIO_AUTH_TOKEN": secret,
        "API_KEY": secret,
    }
