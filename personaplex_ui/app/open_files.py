"""How many files and sockets this process may have open, and how many of them connections may take."""

import logging
import sys

log = logging.getLogger(__name__)

MOST_OPEN_FILES = 65_536
"""The soft limit is raised to the hard one, but not beyond this: nothing here needs more."""

KEPT_FREE = 256
"""Kept for calls (WebRTC opens a socket per network interface), recordings, uploads and the model."""

MOST_CONNECTIONS = 4_096
BACKLOG = 128
"""Connections that may wait to be accepted; up to this many are accepted in one turn of the event loop."""


def raise_limit() -> int:
    """Raise the limit on open files as far as the system allows. Returns the new limit."""
    if sys.platform == "win32":
        return MOST_OPEN_FILES
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST_OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, MOST_OPEN_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
            soft = wanted
        except (OSError, ValueError) as error:
            log.warning("The limit of %d open files could not be raised: %s", soft, error)
    return MOST_OPEN_FILES if soft == resource.RLIM_INFINITY else soft


def most_connections(open_files: int) -> int:
    """How many connections may be open at once when ``open_files`` files may."""
    return min(MOST_CONNECTIONS, max(open_files - KEPT_FREE, open_files // 2))


def most_requests(open_files: int) -> int:
    """How many of those connections may have a request in progress; the others can still ask for
    ``/health``."""
    return max(1, most_connections(open_files) * 3 // 4)
