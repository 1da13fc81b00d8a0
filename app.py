"""Starts the app, as ``personaplex-ui serve`` does. A Hugging Face Space starts this file."""

import sys

from personaplex_ui.cli import serve

if __name__ == "__main__":
    sys.exit(serve(sys.argv[1:]))
