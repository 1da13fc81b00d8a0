"""The sounds and videos of answers, for whoever knows the id of the job: on the disk, for a while."""

import asyncio
import contextlib
import logging
import os
import re
import secrets
import shutil
import tempfile
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from personaplex_ui.audio.files.clip_file import write_wav
from personaplex_ui.audio.frames import Samples
from personaplex_ui.errors import StorageFailed, why_of

log = logging.getLogger(__name__)

KEEP_SEC = 3_600.0
MOST_JOBS = 64
MOST_BYTES = 256_000_000
JOB_ID = "^[0-9a-f]{32}$"
PREFIX = "personaplex-answers-"

CANNOT_WRITE = "The server's disk does not take the answer's sound. Please try again later."


@dataclass(frozen=True, slots=True)
class KeptAnswer:
    """``video``: None if there is none."""

    audio: Path
    video: Path | None
    size: int


class KeptAnswers:
    """Files in a folder of its own, which goes with ``close``. Of too many, the oldest leave."""

    def __init__(self, most_bytes: int = MOST_BYTES, keep_sec: float = KEEP_SEC) -> None:
        self._most_bytes = most_bytes
        self._keep_sec = keep_sec
        self._folder: Path | None = None
        self._kept: OrderedDict[str, KeptAnswer] = OrderedDict()

    @staticmethod
    def new_id() -> str:
        """An id that cannot be guessed."""
        return secrets.token_hex(16)

    def get(self, job_id: str) -> KeptAnswer | None:
        return self._kept.get(job_id) if re.fullmatch(JOB_ID[1:-1], job_id) else None

    async def keep(
        self, job_id: str, samples: Samples, film: Callable[[Path], Awaitable[bool]] | None = None
    ) -> KeptAnswer:
        """Keep ``samples``, and what ``film`` writes to the path that it is given, if it says that it has.

        Raises:
            StorageFailed: the disk refuses.
        """
        audio = self._path(f"{job_id}.wav")
        video = audio.with_suffix(".mp4")
        try:
            await asyncio.to_thread(write_wav, audio, samples)
            has_video = film is not None and await film(video)
            size = audio.stat().st_size + (video.stat().st_size if has_video else 0)
        except OSError as error:
            _remove(audio, video)
            log.error("An answer cannot be kept: %s", why_of(error))
            raise StorageFailed(CANNOT_WRITE) from error
        except BaseException:
            _remove(audio, video)
            raise
        kept = self._kept[job_id] = KeptAnswer(audio, video if has_video else None, size)
        asyncio.get_running_loop().call_later(self._keep_sec, self._drop, job_id)
        self._make_room()
        return kept

    def close(self) -> None:
        """Remove all. Blocks. Idempotent."""
        self._kept.clear()
        folder, self._folder = self._folder, None
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)

    def _path(self, name: str) -> Path:
        try:
            if self._folder is None:
                _remove_what_was_left(2 * KEEP_SEC)
                self._folder = Path(tempfile.mkdtemp(prefix=PREFIX))
        except OSError as error:
            log.error("There is no folder for answers: %s", why_of(error))
            raise StorageFailed(CANNOT_WRITE) from error
        return self._folder / name

    def _make_room(self) -> None:
        while len(self._kept) > MOST_JOBS or sum(k.size for k in self._kept.values()) > self._most_bytes:
            self._drop(next(iter(self._kept)))

    def _drop(self, job_id: str) -> None:
        kept = self._kept.pop(job_id, None)
        if kept is not None:
            _remove(kept.audio, kept.audio.with_suffix(".mp4"))


def _remove(*paths: Path) -> None:
    for path in paths:
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)


def _remove_what_was_left(unchanged_sec: float) -> None:
    """Remove the folders of processes that were killed. One that is in use changes when an answer comes or
    goes, so that an old one has no answers."""
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        with contextlib.suppress(OSError):
            told = folder.stat()
            if told.st_uid == os.getuid() and time.time() - told.st_mtime > unchanged_sec:
                shutil.rmtree(folder, ignore_errors=True)
