"""Videos of the face: of an answer, and of a call that has ended, made by the workers of this process."""

import asyncio
import logging
import threading
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import soundfile

from personaplex_ui.audio.frames import Samples
from personaplex_ui.calls.record import LONGEST_FACE_SEC
from personaplex_ui.calls.store import CallStore
from personaplex_ui.channels.rest.loaded_parts import LoadedParts
from personaplex_ui.errors import EngineUnavailable, InvalidInput, NoFreeSlot
from personaplex_ui.face.movie import FaceFailed, write_face
from personaplex_ui.speech.parts import SpeechPartFailed
from personaplex_ui.speech.work.awaiting import result_of

log = logging.getLogger(__name__)

MOST_CALLS_AT_ONCE = 8
"""Videos of calls that are made, or wait for it."""

READY_WITHIN_SEC = 45.0
"""Proxies give up after a minute."""

BLOCK_SAMPLES = 9_600
TOO_LONG = f"There are videos of calls of up to {LONGEST_FACE_SEC / 60:.0f} minutes, and this one was longer."
STILL_MADE = "The video of this call is still being made. Please ask again in a few seconds."
TOO_MANY = "Too many videos are being made. Please ask again in a minute."


class Films:
    """Videos wait for a worker behind everybody who waits for an answer."""

    def __init__(self, parts: LoadedParts, store: CallStore) -> None:
        self._parts = parts
        self._store = store
        self._making: dict[str, asyncio.Task[None]] = {}

    async def make(self, path: Path, samples: Samples) -> bool:
        """Write the face that says ``samples`` to ``path``; whether that went well. Cancelling ends it."""
        try:
            await self._write(path, [samples])
        except SpeechPartFailed as failure:
            log.warning("%s", failure)
            return False
        return True

    async def of_call(self, owner: str, call_id: str) -> Path | None:
        """The video of a call of the owner's, which is made if it is not there; None if there is no
        recording.

        Raises:
            InvalidInput: the call is too long.
            NoFreeSlot: too many are being made.
            EngineUnavailable: it takes longer than a request may wait, or cannot be made.
        """
        recording, call = self._store.recording_of(owner, call_id), self._store.get(owner, call_id)
        if recording is None or call is None:
            return None
        if call.duration_sec > LONGEST_FACE_SEC:
            raise InvalidInput("call_id", TOO_LONG)
        path = self._store.face_path(call_id)
        if await asyncio.to_thread(path.is_file):
            return path
        making = self._making.get(call_id)
        if making is None:
            if len(self._making) >= MOST_CALLS_AT_ONCE:
                raise NoFreeSlot(TOO_MANY)
            making = self._making[call_id] = asyncio.create_task(self._film_call(owner, call_id, recording))
            making.add_done_callback(lambda done: self._forget(call_id, done))
        await asyncio.wait([making], timeout=READY_WITHIN_SEC)
        if not making.done():
            raise EngineUnavailable(STILL_MADE)
        if (failed := making.exception()) is not None:
            raise EngineUnavailable(str(failed)) from failed
        return path if self._store.recording_of(owner, call_id) is not None else None

    async def close(self) -> None:
        """Give up what is being made."""
        tasks = list(self._making.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _film_call(self, owner: str, call_id: str, recording: Path) -> None:
        path = self._store.face_path(call_id)
        await self._write(path, _assistant_of(recording))
        if self._store.recording_of(owner, call_id) is None:  # deleted meanwhile
            await asyncio.to_thread(path.unlink, missing_ok=True)

    def _forget(self, call_id: str, done: "asyncio.Task[None]") -> None:
        self._making.pop(call_id, None)
        if not done.cancelled():
            done.exception()

    async def _write(self, path: Path, sound: Iterable[Samples]) -> None:
        """Raises SpeechPartFailed."""
        queue = self._parts.queue
        cancelled = threading.Event()

        def write() -> float:
            try:
                return write_face(path, sound, is_cancelled=cancelled.is_set)
            except FaceFailed as failure:
                raise SpeechPartFailed(str(failure)) from failure

        try:
            await result_of(queue.submit(queue.new_owner(), write, urgent=False))
        finally:
            cancelled.set()


def _assistant_of(recording: Path) -> Iterable[Samples]:
    """The right channel of a recording, block by block."""
    with soundfile.SoundFile(recording) as file:
        for block in file.blocks(BLOCK_SAMPLES, dtype="float32", always_2d=True):
            yield block[:, 1].astype(np.float32)
