"""How much memory this process takes."""

import os
import sys
from pathlib import Path


def resident_mb() -> float:
    """Resident memory in MB (2**20 bytes); its maximum where only that is known (macOS)."""
    if sys.platform == "linux":
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 2**20
    if sys.platform == "win32":
        return 0.0
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
