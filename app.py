"""Entry point: reads the environment and serves the app. A Hugging Face Space starts this file too."""

import contextlib
import os
import sys

if __name__ == "__main__":
    from personaplex_ui.errors import SettingsError
    from personaplex_ui.server import serve
    from personaplex_ui.settings import Settings

    try:
        with contextlib.suppress(KeyboardInterrupt):
            serve(Settings.from_mapping(os.environ))
    except SettingsError as error:
        sys.exit(str(error))
