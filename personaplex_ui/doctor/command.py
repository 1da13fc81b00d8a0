"""The command ``personaplex-ui doctor``: options in, the report on one page, an exit code out.

Importing it loads no library: the environment has to be prepared first.
"""

import argparse
import asyncio
import contextlib
import logging
import os
import shutil
import sys
from collections.abc import Sequence
from dataclasses import replace

from personaplex_ui.doctor.report import PROBLEM, WARNING, Report, check_of

INTERRUPTED = 130

DESCRIPTION = """Checks this machine, the settings and the services around the app, and says what to do next.
The exit code is 0 when nothing is a problem, 1 when something is, and 2 when the app does not start with
these settings."""


def main(arguments: Sequence[str]) -> int:
    """Print the report. Returns the exit code; exits with 2 if the options are wrong."""
    parser = argparse.ArgumentParser(prog="personaplex-ui doctor", description=DESCRIPTION)
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--offline", action="store_true", help="ask nothing of other machines")
    options = parser.parse_args(arguments)
    logging.getLogger().addHandler(logging.NullHandler())  # the checks report what would be logged
    try:
        with contextlib.redirect_stdout(sys.stderr):  # libraries may print text that is not JSON
            report = _report(options.offline)
    except KeyboardInterrupt:
        return INTERRUPTED
    width = shutil.get_terminal_size().columns
    print(report.as_json() if options.json else report.as_text(width))
    return exit_code(report)


def exit_code(report: Report) -> int:
    if any(check.name == "Settings" and check.verdict is PROBLEM for check in report.checks):
        return 2
    return 1 if report.count(PROBLEM) else 0


def _report(offline: bool) -> Report:
    from personaplex_ui.config.environment import prepare_environment
    from personaplex_ui.errors import SettingsError

    refusal, notes = "", list[str]()
    try:
        notes = prepare_environment(os.environ)
    except SettingsError as error:
        refusal = str(error)
    # These imports read the environment.
    from personaplex_ui.config.settings import Settings
    from personaplex_ui.doctor.examine import examine, examine_machine
    from personaplex_ui.doctor.probes import Probes

    try:
        settings = Settings.from_mapping(os.environ)
    except SettingsError as error:
        refusal = "\n".join(filter(None, [refusal, str(error)]))
    else:
        if not refusal:
            report = asyncio.run(examine(settings, Probes(), offline))
            told = (check_of("Environment", WARNING, note) for note in notes)
            return replace(report, checks=(*report.checks, *told))
    return asyncio.run(examine_machine(Probes(), refusal))
