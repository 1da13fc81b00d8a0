#!/usr/bin/env python
"""Makes or updates a Hugging Face Space from this repository and waits until it takes calls.

    python deploy/space/push.py YOU/personaplex            # or personaplex, of the token's account
    python deploy/space/push.py YOU/personaplex --dry-run  # what would be done, without a network
    python deploy/space/push.py YOU/personaplex --delete

README.md beside it has the settings. It needs what requirements.txt installs. It ends with 0; with 1
after a sentence that says what failed; with 2 for an option that there is not; with 130 after Ctrl-C.
"""

import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    try:
        from deploy.space.command import main
    except ModuleNotFoundError as missing:
        sys.exit(
            f"{missing.name} is not installed; pip install -r requirements.txt installs all that is needed."
        )

    sys.exit(main(sys.argv[1:], os.environ))
