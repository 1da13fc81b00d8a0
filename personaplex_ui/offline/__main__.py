"""Entry point of ``python -m personaplex_ui.offline``: from its first import on, Ctrl-C ends it quietly."""

import sys

if __name__ == "__main__":
    try:
        from personaplex_ui.offline.command import main

        code = main()
    except KeyboardInterrupt:
        code = 130
    sys.exit(code)
