"""Entry point: reads the environment and serves the app. A Hugging Face Space starts this file too."""

import argparse
import contextlib
import os
import sys


def read_variables() -> dict[str, str]:
    """The environment, and what the command line adds to it."""
    parser = argparse.ArgumentParser(description="Talk with PersonaPlex. Settings: see .env.example.")
    parser.add_argument("--phone", action="store_true", help="get a phone number for a demo from FastRTC")
    given = parser.parse_args()
    return {**os.environ, **({"FASTRTC_PHONE": "1"} if given.phone else {})}


if __name__ == "__main__":
    from personaplex_ui.config.environment import prepare_environment
    from personaplex_ui.errors import SettingsError

    try:
        notes = prepare_environment(os.environ)
        # What it imports reads the environment.
        from personaplex_ui.app.server import serve
        from personaplex_ui.config.settings import Settings

        with contextlib.suppress(KeyboardInterrupt):
            serve(Settings.from_mapping(read_variables()), notes)
    except SettingsError as error:
        sys.exit(str(error))
