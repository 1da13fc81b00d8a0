"""Entry point of ``python -m personaplex_ui.offline``, which is ``personaplex-ui offline``."""

import sys

from personaplex_ui.cli import offline

if __name__ == "__main__":
    sys.exit(offline(sys.argv[1:]))
