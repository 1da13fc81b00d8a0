"""The app as a process of its own, as a user starts it, and what it costs: memory, CPU, dropped frames.

Memory and CPU are read from ``/proc``, so it needs Linux.
"""

import asyncio
import contextlib
import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
from asyncio.subprocess import Process
from collections.abc import AsyncGenerator, Mapping
from pathlib import Path

import httpx
from prometheus_client.parser import text_string_to_metric_families

from benchmarks.soak.address import Server
from benchmarks.soak.observed import Usage
from personaplex_ui.calls.snapshot import PacketCounts
from personaplex_ui.errors import PersonaplexError

ROOT = Path(__file__).parents[2]
APP = ROOT / "app.py"
READY_WITHIN_SEC = 60.0
ANSWERS_WITHIN_SEC = 20.0
GONE_WITHIN_SEC = 10.0
LOG_SHOWN_CHARACTERS = 2_000

VOICE = "SOAK"
"""Not of the catalogue: so the echo keeps the pitch, and what it says back begins as it was said."""

PUBLIC_URL = "https://soak.example"
"""What the webhooks are signed for; nothing is asked there."""

DROPPED_METRIC = "personaplex_frames_dropped_total"
PACKETS_METRIC = "personaplex_inbound_packets_total"
PASSED_ON = ("PATH", "LD_LIBRARY_PATH", "TMPDIR")


class ServerProcess:
    """Ready for calls. Made by ``running_server``."""

    def __init__(self, process: Process, server: Server, api_key: str, log_path: Path) -> None:
        self.server = server
        self._process = process
        self._log_path = log_path
        headers = {"Authorization": f"Bearer {api_key}"}
        # A connection kept open would be asked again just when the server closes it, which it does after 5 s.
        limits = httpx.Limits(max_keepalive_connections=0)
        self._http = httpx.AsyncClient(
            base_url=server.url, headers=headers, timeout=ANSWERS_WITHIN_SEC, limits=limits, trust_env=False
        )

    @property
    def log(self) -> str:
        return self._log_path.read_text(errors="replace")

    @property
    def exceptions(self) -> int:
        """Tracebacks in its log."""
        return self.log.count("Traceback (most recent call last)")

    async def wait_until_ready(self) -> None:
        """Raises PersonaplexError when it does not start."""
        try:
            async with asyncio.timeout(READY_WITHIN_SEC):
                while not await self._is_ready():  # noqa: ASYNC110  it is another process
                    await asyncio.sleep(0.1)
        except TimeoutError:
            raise self._failed("was not ready in time") from None

    async def _is_ready(self) -> bool:
        if self._process.returncode is not None:
            raise self._failed("did not start")
        with contextlib.suppress(httpx.TransportError):
            return (await self._http.get("/health")).is_success
        return False

    def _failed(self, what: str) -> PersonaplexError:
        return PersonaplexError(f"The server {what}. Its log ends with:\n{self.log[-LOG_SHOWN_CHARACTERS:]}")

    async def usage(self, at_sec: float) -> Usage:
        """What it has used by now, which is ``at_sec``. Raises PersonaplexError when it is gone."""
        if self._process.returncode is not None:
            raise self._failed("ended in the middle")
        process = Path(f"/proc/{self._process.pid}")
        resident_bytes = int((process / "statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
        # Fields 14 and 15 of proc(5); the second one, the name, may hold spaces and ends with a bracket.
        fields = (process / "stat").read_text().rpartition(")")[2].split()
        cpu_sec = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        metrics = await self._metrics()
        dropped = _sums(metrics, DROPPED_METRIC, "direction")
        packets = _sums(metrics, PACKETS_METRIC, "outcome")
        counts = PacketCounts(**{name: packets.get(name, 0) for name in ("lost", "late", "concealed")})
        return Usage(at_sec, resident_bytes, cpu_sec, sum(dropped.values()) if dropped else None, counts)

    async def _metrics(self) -> str:
        """Empty where it tells none."""
        try:
            answer = await self._http.get("/metrics")
        except httpx.HTTPError as error:
            raise self._failed(f"did not answer in the middle ({type(error).__name__})") from None
        return answer.text if answer.is_success else ""

    async def end(self) -> None:
        await self._http.aclose()
        if self._process.returncode is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                async with asyncio.timeout(GONE_WITHIN_SEC):
                    await self._process.wait()
            except TimeoutError:
                self._process.kill()
                await self._process.wait()


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
        port = _free_port()
        server = Server(f"http://127.0.0.1:{port}", PUBLIC_URL, VOICE, secret)
        log_path = folder / "server.log"
        with log_path.open("wb") as log:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                str(app),
                cwd=ROOT,
                env=_environment(folder, port, calls, seconds, secret),
                stdout=log,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
            )
        running = ServerProcess(process, server, secret, log_path)
        try:
            await running.wait_until_ready()
            yield running
        finally:
            await running.end()


def _environment(folder: Path, port: int, calls: int, seconds: float, secret: str) -> Mapping[str, str]:
    voices = folder / "voices"
    voices.mkdir()
    (voices / f"{VOICE}.wav").touch()  # the echo reads no voice, the name is enough
    return {
        **{name: os.environ[name] for name in PASSED_ON if name in os.environ},
        "HOME": str(folder),
        "PYTHONPATH": str(ROOT),
        "PYTHONUNBUFFERED": "1",
        "ENV_FILE": os.devnull,  # a desk's .env says nothing here
        "GRADIO_TEMP_DIR": str(folder / "gradio"),
        "ENGINE": "echo",
        "HOST": "127.0.0.1",
        "PORT": str(port),
        "MAX_CALLS": str(calls),
        "MAX_CALL_SECONDS": str(round(seconds) + 600),
        "MAX_CALLS_PER_ADDRESS": "0",
        "CALLS_PER_MINUTE": "0",
        "UPLOAD_MB_PER_HOUR": "0",
        "RECORDINGS_DIR": str(folder / "recordings"),
        "VOICES_DIR": str(voices),
        "DEFAULT_VOICE_PROMPT": VOICE,
        "SERVER_URL": PUBLIC_URL,
        "TWILIO_AUTH_TOKEN": secret,
        "API_KEY": secret,
    }


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
