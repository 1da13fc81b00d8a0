"""The duplex reports of ended calls: measured when one is first asked for, in a thread, one at a time, and
kept beside the recording as long as it."""

import asyncio
import contextlib
import json
import logging
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, cast

from personaplex_ui.audio.files.stereo_file import stereo_blocks
from personaplex_ui.calls.snapshot import EndedCall
from personaplex_ui.calls.store import CallStore
from personaplex_ui.calls.turns import words_of
from personaplex_ui.duplex.measure import measure
from personaplex_ui.duplex.report import FORMAT
from personaplex_ui.errors import EngineUnavailable, InvalidInput, NoFreeSlot, PersonaplexError, why_of

log = logging.getLogger(__name__)

MOST_AT_ONCE = 32
"""Reports that are measured, or wait for it. Ten minutes of call take about a second."""

READY_WITHIN_SEC = 30.0
"""Proxies give up after a minute."""

STILL_MEASURED = "The report of this call is still being made. Please ask again in a few seconds."
TOO_MANY = "Too many reports are being made. Please ask again in a minute."
FAILED = "The report of this call could not be made. Please try again; the server's log has the reason."

Report = dict[str, Any]
"""As ``DuplexReport.record``."""


class CallReports:
    """Owns the tasks that measure; ``close`` ends them."""

    def __init__(self, store: CallStore) -> None:
        self._store = store
        self._measuring: dict[str, asyncio.Task[Report]] = {}
        # Always the same thread: in a pool's, each would keep some 10 MB of what it has measured with.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="call-report")
        self._closed = threading.Event()

    async def of_call(self, owner: str, call_id: str, within_sec: float = READY_WITHIN_SEC) -> Report | None:
        """The report of a call of the owner's; None if there is no such call, or no recording of it.

        Raises:
            InvalidInput: the recording cannot be read.
            NoFreeSlot: too many are being made.
            EngineUnavailable: it takes longer than ``within_sec``, or cannot be made.
        """
        recording, call = self._store.recording_of(owner, call_id), self._store.get(owner, call_id)
        if recording is None or call is None:
            return None
        measuring = self._measuring.get(call_id)
        if measuring is None:
            kept = await asyncio.to_thread(_read, self._store.report_path(call_id))
            if kept is not None:
                return kept
            measuring = self._measuring.get(call_id) or self._begin(owner, call, recording)
        await asyncio.wait([measuring], timeout=within_sec)
        if not measuring.done():
            raise EngineUnavailable(STILL_MEASURED)
        if measuring.cancelled():
            raise EngineUnavailable(FAILED)
        failed = measuring.exception()
        if isinstance(failed, PersonaplexError):
            raise failed
        if failed is not None:
            raise EngineUnavailable(FAILED) from failed
        return measuring.result() if self._store.get(owner, call_id) is not None else None

    async def close(self) -> None:
        """Give up what is being measured."""
        self._closed.set()
        tasks = list(self._measuring.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _begin(self, owner: str, call: EndedCall, recording: Path) -> "asyncio.Task[Report]":
        if len(self._measuring) >= MOST_AT_ONCE:
            raise NoFreeSlot(TOO_MANY)
        if self._closed.is_set():
            raise EngineUnavailable(STILL_MEASURED)
        measuring = asyncio.create_task(self._measure(owner, call, recording))
        self._measuring[call.call_id] = measuring
        measuring.add_done_callback(lambda done: self._forget(call.call_id, done))
        return measuring

    async def _measure(self, owner: str, call: EndedCall, recording: Path) -> Report:
        words = words_of(call.utterances)
        path = self._store.report_path(call.call_id)

        def run() -> Report:
            report = measure(stereo_blocks(recording), words, self._closed.is_set).record()
            _write(path, report)
            return report

        report = await asyncio.get_running_loop().run_in_executor(self._thread, run)
        if self._store.recording_of(owner, call.call_id) is None:  # deleted meanwhile
            await asyncio.to_thread(path.unlink, missing_ok=True)
        return report

    def _forget(self, call_id: str, done: "asyncio.Task[Report]") -> None:
        self._measuring.pop(call_id, None)
        if done.cancelled() or (failed := done.exception()) is None:
            return
        log.warning("The report of call %s failed: %s", call_id[:6], failed, exc_info=_unexpected(failed))


def _unexpected(failed: BaseException) -> BaseException | None:
    return None if isinstance(failed, InvalidInput) else failed


def _read(path: Path) -> Report | None:
    """None where there is none, or none of this version."""
    try:
        told: Any = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
    if not isinstance(told, dict) or cast(Report, told).get("format") != FORMAT:
        return None
    return cast(Report, told)


def _write(path: Path, report: Report) -> None:
    """A disk that refuses costs the next request the time to measure again."""
    part = path.with_name(f"{path.name}.part")
    try:
        with open(
            part, "w", encoding="utf-8", opener=lambda name, flags: os.open(name, flags, 0o600)
        ) as file:
            json.dump(report, file)
        part.replace(path)
    except OSError as error:
        log.warning("The report of a call cannot be kept: %s", why_of(error))
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
