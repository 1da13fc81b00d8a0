"""The command ``personaplex-ui accept``: options in, the test, one report, an exit code out.

Importing it loads no library: the environment has to be prepared first.
"""

import logging
import os
import sys
from collections.abc import Sequence

from personaplex_ui.accept.options import Options, read_options

INTERRUPTED = 130


def main(arguments: Sequence[str]) -> int:
    """The exit code: 0 accepted, 1 not, or the test could not begin, 130 after Ctrl-C. Exits with 2 if the
    options are wrong."""
    options = read_options(arguments)
    from personaplex_ui.config.environment import prepare_environment
    from personaplex_ui.errors import PersonaplexError

    try:
        for note in prepare_environment(os.environ):
            print(note, file=sys.stderr)
        return _accept(options)
    except KeyboardInterrupt:
        return INTERRUPTED
    except PersonaplexError as error:
        print(error, file=sys.stderr)
        return 1


def _accept(options: Options) -> int:
    # These imports read the environment; torch's come last, since they take seconds.
    from personaplex_ui.accept.progress import Progress
    from personaplex_ui.accept.report import Report
    from personaplex_ui.accept.running import LogKeeper, Running, now
    from personaplex_ui.accept.settings_told import settings_told
    from personaplex_ui.accept.steps import MACHINE, STEPS
    from personaplex_ui.config.settings import Settings

    settings = Settings.from_mapping(os.environ)
    report = Report(STEPS, now(), settings_told(settings))
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    logging.getLogger().addHandler(LogKeeper(report.logged))
    running = Running(report, options, Progress())
    try:
        with running.step(MACHINE):
            from personaplex_ui.accept.acceptance import Acceptance

            Acceptance(settings, options, running).run()
    except KeyboardInterrupt:
        running.end(interrupted=True)
        return INTERRUPTED
    running.end(interrupted=False)
    return 0 if report.accepted else 1
