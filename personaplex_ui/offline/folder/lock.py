"""One process at a time answers a folder."""

import contextlib
import fcntl
import os
from collections.abc import Generator
from pathlib import Path

from personaplex_ui.errors import InvalidInput


@contextlib.contextmanager
def only_one(folder: Path) -> Generator[None]:
    """Lock ``folder``, without a file in it, until the end of the block or of the process.

    Raises:
        InvalidInput: another process answers it.
    """
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InvalidInput(
                "folder", f"{folder} is being answered by another process. Wait for it, or stop it."
            ) from None
        except OSError:
            pass  # a file system without locks, as of some networks
        yield
    finally:
        os.close(descriptor)
