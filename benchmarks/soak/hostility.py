"""Hostile clients beside the calls of a soak, and whether ``/health`` answers all the time."""

import asyncio
import contextlib
import json
import sys
import time
from asyncio.subprocess import PIPE

import httpx

from benchmarks.soak.observed import Hostile

ASKED_EVERY_SEC = 0.5
ANSWERED_WITHIN_SEC = 5.0
REST_SEC = 20.0
SHORTEST_REST_PART = 3.0


class Hostility:
    """``run`` it beside the calls; then ask it what it saw."""

    def __init__(self, url: str, seconds: float) -> None:
        """The last 20 s (of a short run: the last third) are without attackers: memory comes back then."""
        self._url = url
        self._attack_sec = seconds - min(REST_SEC, seconds / SHORTEST_REST_PART)
        self._tries: dict[str, int] = {}
        self._asked = self._failed = 0
        self._slowest_sec = 0.0

    async def run(self) -> None:
        asking = asyncio.create_task(self._ask_for_health())
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "benchmarks.soak.attackers", self._url, str(self._attack_sec)),
            stdout=PIPE,
        )
        try:
            told, _ = await process.communicate()
            self._tries = json.loads(told or b"{}")
            await asking
        finally:
            asking.cancel()
            if process.returncode is None:
                process.kill()
                await process.wait()

    @property
    def seen(self) -> Hostile:
        return Hostile(self._tries, self._asked, self._failed, self._slowest_sec)

    async def _ask_for_health(self) -> None:
        limits = httpx.Limits(max_keepalive_connections=0)
        async with httpx.AsyncClient(timeout=ANSWERED_WITHIN_SEC, limits=limits, trust_env=False) as http:
            while True:
                began = time.monotonic()
                self._asked += 1
                answered = False
                with contextlib.suppress(httpx.HTTPError):
                    answered = (await http.get(f"{self._url}/health")).is_success
                self._failed += not answered
                self._slowest_sec = max(self._slowest_sec, time.monotonic() - began)
                await asyncio.sleep(ASKED_EVERY_SEC)
