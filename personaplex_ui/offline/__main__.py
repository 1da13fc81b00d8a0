"""Entry point of ``python -m personaplex_ui.offline``: from its first import on, Ctrl-C ends it quietly."""

import os
import sys

if __name__ == "__main__":
    try:
        from personaplex_ui.config.environment import prepare_environment
        from personaplex_ui.errors import SettingsError

        try:
            for note in prepare_environment(os.environ):
                print(note, file=sys.stderr)
        except SettingsError as error:
            sys.exit(str(error))
        # What it imports reads the environment.
        from personaplex_ui.offline.command import main

        code = main()
    except KeyboardInterrupt:
        code = 130
    sys.exit(code)
