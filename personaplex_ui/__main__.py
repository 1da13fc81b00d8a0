"""Entry point of ``python -m personaplex_ui``."""

import sys

from personaplex_ui.cli import main

if __name__ == "__main__":
    sys.exit(main())
