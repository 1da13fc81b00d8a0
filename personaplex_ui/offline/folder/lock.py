"""One process at a time answers a folder, or a recording of it: folders may lie in each other."""

import contextlib
import fcntl
import os
from collections.abc import Generator
from pathlib import Path

from personaplex_ui.errors import InvalidInput
from personaplex_ui.offline.path_words import readable


class Locks:
    """The folders that this process has locked, each without a file in it, until the end of the block or of
    the process. A folder may be locked several times."""

    def __init__(self) -> None:
        self._held: dict[tuple[int, int], int] = {}
        """By device and inode: how often. A second lock of one's own would be refused like another's."""

    @contextlib.contextmanager
    def hold(self, folder: Path) -> Generator[bool]:
        """Gives whether it is locked now: False if another process has locked it."""
        try:
            descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError:  # gone, or not to be opened: reading the recording tells
            yield True
            return
        try:
            status = os.fstat(descriptor)
            folder_id = (status.st_dev, status.st_ino)
            if not self._held.get(folder_id) and not _locked(descriptor):
                yield False
                return
            self._held[folder_id] = self._held.get(folder_id, 0) + 1
            try:
                yield True
            finally:
                self._held[folder_id] -= 1
        finally:
            os.close(descriptor)


@contextlib.contextmanager
def only_one(folder: Path) -> Generator[Locks]:
    """Lock ``folder``, and give the locks for what lies in it.

    Raises:
        InvalidInput: another process answers it.
    """
    locks = Locks()
    with locks.hold(folder) as is_locked:
        if not is_locked:
            raise InvalidInput(
                "folder",
                f"{readable(folder)} is being answered by another process. Wait for it, or stop it.",
            )
        yield locks


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        pass  # a file system without locks, as of some networks
    return True
