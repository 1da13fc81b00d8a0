"""Tells the progress of a download while it blocks its thread.

Knows bytes; not where they come from.
"""

import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager

from personaplex_ui.models.personaplex.loading.checkpoint_files import Report


@contextmanager
def telling_progress(
    repo: str, total: int, arrived: Callable[[], int], report: Report, every_sec: float
) -> Generator[None]:
    """Call ``report`` at the beginning and the end; in between, from a thread, when ``arrived`` changes."""
    told = -1
    done = threading.Event()

    def tell() -> None:
        nonlocal told
        bytes_there = arrived()
        if bytes_there != told:
            megabytes = f"{bytes_there / 1e6:,.0f} of {total / 1e6:,.0f} MB"
            report(f"Downloading {repo}: {megabytes}.", bytes_there / total if total else 1.0)
        told = bytes_there

    def watch() -> None:
        while not done.wait(every_sec):
            tell()

    tell()
    watcher = threading.Thread(target=watch, name="download-progress", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        done.set()
        watcher.join()
    tell()
