"""Browsers in a process of their own, which make calls over WebRTC as the page does.

``CallerProcess`` is the test's end: it starts the process, reads what it reports and tells it how to end.
"""

import asyncio
import itertools
import json
import os
import queue
import signal
import subprocess
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import numpy.typing as npt

from tests.support.clients.page import Page

ROOT = Path(__file__).parents[3]
REPORT_WITHIN_SEC = 40.0

LIVE = "live"
"""Sound that is not silence has arrived: the greeting."""
WAITING = "waiting"
"""The facts have a place in the queue."""
GOODBYE = "goodbye"
"""The server ended the call with a sentence, which follows."""


@dataclass(frozen=True, slots=True)
class Report:
    """``call``: which of the process's callers. ``kind``: one of the above. ``text``: a sentence."""

    call: int
    kind: str
    text: str = ""


class CallerProcess:
    """``count`` browsers that call at once."""

    def __init__(self, url: str, count: int = 1) -> None:
        self.count = count
        self.reports: list[Report] = []
        self._new: queue.Queue[Report] = queue.Queue()
        self._process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "tests.support.clients.browser_process",
                url,
                str(count),
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

    def say_goodbye(self) -> None:
        """All say that they hang up, and close nothing."""
        self._tell("goodbye")

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


class _Browser:
    """Reports what happens to it. Says a second of a tone, is silent for two, and so on."""

    def __init__(self, number: int, url: str) -> None:
        self._number = number
        self._reported: set[str] = set()
        self._packets = itertools.count()
        self._page = Page(httpx.AsyncClient(base_url=url, timeout=None))

    async def open(self) -> None:
        await self._page.open()
        self._report("cookies", json.dumps(dict(self._page.http.cookies)))
        self._report("page open")

    async def call(self) -> None:
        # Not at the top: the test's own process has no use for WebRTC.
        from tests.support.clients.browser import BrowserCall

        self._call = call = BrowserCall(self._page, self._say, self._hear, told=self._look_for_place)
        call.peer.on("connectionstatechange", lambda: self._report(call.peer.connectionState))
        if refused := await call.begin():
            self._report("refused", json.dumps(refused))
        self._farewell = asyncio.create_task(self._wait_for_goodbye())

    async def hang_up(self) -> None:
        await self._call.close()

    def say_goodbye(self) -> None:
        self._call.send(type="bye")

    async def _wait_for_goodbye(self) -> None:
        await self._call.over.wait()
        if self._call.goodbye:
            self._report(GOODBYE, self._call.goodbye)

    def _say(self) -> npt.NDArray[np.float32]:
        start_sec = next(self._packets) * 0.02
        time_sec = start_sec + np.arange(960) / 48_000
        return (0.25 * np.sin(2 * np.pi * 300 * time_sec) * (start_sec % 3 < 1)).astype(np.float32)

    def _hear(self, arrived_at: float, sound: npt.NDArray[np.float32]) -> None:
        if np.max(np.abs(sound)) > 500 / 32768:
            self._report_once(LIVE)

    def _look_for_place(self, message: dict[str, Any]) -> None:
        if message.get("place"):
            self._report_once(WAITING, json.dumps(message))

    def _report_once(self, kind: str, text: str = "") -> None:
        if kind not in self._reported:
            self._reported.add(kind)
            self._report(kind, text)

    def _report(self, kind: str, text: str = "") -> None:
        print(json.dumps({"call": self._number, "kind": kind, "text": text}), flush=True)


async def main(url: str, count: int) -> None:
    loop = asyncio.get_running_loop()

    async def told() -> str:
        return (await loop.run_in_executor(None, sys.stdin.readline)).strip()

    import tests.support.clients.browser  # noqa: F401  # pyright: ignore[reportUnusedImport]  takes a second: before it is told to call

    browsers = [_Browser(number, url) for number in range(count)]
    await asyncio.gather(*(browser.open() for browser in browsers))
    if await told() == "call":
        await asyncio.gather(*(browser.call() for browser in browsers))
        while (order := await told()) == "goodbye":
            for browser in browsers:
                browser.say_goodbye()
        if order == "hang up":
            await asyncio.gather(*(browser.hang_up() for browser in browsers))
    os._exit(0)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
