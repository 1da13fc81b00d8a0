"""The command line: ``personaplex-ui serve | offline | doctor | accept | drain``, which is the same as
``python -m personaplex_ui``.

Importing this module loads no library: the environment has to be prepared before Gradio, torch and the hub's
client are imported, and ``--help`` is to answer at once."""

import argparse
import os
import sys
from collections.abc import Callable, Mapping, Sequence

from personaplex_ui import __version__

Command = Callable[[Sequence[str]], int]

INTERRUPTED = 130
"""The exit code after Ctrl-C, as shells have it."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command that ``arguments``, by default those of the process, name. Returns its exit code; exits
    with 2 if there is no such command."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    parser = argparse.ArgumentParser(
        prog="personaplex-ui",
        description="Talk with NVIDIA PersonaPlex. Settings are environment variables; see .env.example.",
        epilog="personaplex-ui COMMAND --help lists the options of a command.",
    )
    parser.add_argument("--version", action="version", version=f"personaplex-ui {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, (_, summary) in COMMANDS.items():
        commands.add_parser(name, help=summary, add_help=False)
    command, _ = COMMANDS[parser.parse_args(given[:1]).command]  # a command reads what follows its name
    return command(given[1:])


def serve(arguments: Sequence[str]) -> int:
    """Serve the app until it is told to stop."""
    parser = argparse.ArgumentParser(
        prog="personaplex-ui serve",
        description="Serve the page, the telephone and the API. Settings are environment variables.",
    )
    parser.add_argument("--phone", action="store_true", help="get a phone number for a demo from FastRTC")
    phone = parser.parse_args(arguments).phone

    from personaplex_ui.config.environment import prepare_environment
    from personaplex_ui.errors import SettingsError

    try:
        notes = prepare_environment(os.environ)
        # Its imports read the environment.
        from personaplex_ui.app.server import serve as serve_app
        from personaplex_ui.config.settings import Settings

        variables = {**os.environ, **({"FASTRTC_PHONE": "1"} if phone else {})}
        serve_app(Settings.from_mapping(variables), notes)
    except SettingsError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        pass
    return 0


def offline(arguments: Sequence[str]) -> int:
    """Answer recordings. From its first import on, Ctrl-C ends it with a sentence."""
    from personaplex_ui.offline.interrupt import Ending

    ending = Ending(next(iter(arguments), ""))
    ending.watch()
    try:
        return ending.over(_answer_recordings(arguments))
    except KeyboardInterrupt:
        return ending.over(INTERRUPTED)


def _answer_recordings(arguments: Sequence[str]) -> int:
    from personaplex_ui.config.environment import prepare_environment
    from personaplex_ui.errors import SettingsError

    try:
        for note in prepare_environment(os.environ):
            print(note, file=sys.stderr)
    except SettingsError as error:
        print(error, file=sys.stderr)
        return 1
    # Its imports read the environment.
    from personaplex_ui.offline.command import main as answer

    return answer(arguments)


def doctor(arguments: Sequence[str]) -> int:
    """Check the machine, the settings and the services around the app."""
    from personaplex_ui.doctor.command import main as examine

    return examine(arguments)


def accept(arguments: Sequence[str]) -> int:
    """Try the model on this machine before anybody calls."""
    from personaplex_ui.accept.command import main as try_model

    return try_model(arguments)


def drain(arguments: Sequence[str]) -> int:
    """Have the server on this machine take no new calls."""
    from personaplex_ui.drain.command import main as drain_server

    try:
        return drain_server(arguments)
    except KeyboardInterrupt:
        return INTERRUPTED


COMMANDS: Mapping[str, tuple[Command, str]] = {
    "serve": (serve, "serve the page, the telephone and the API"),
    "offline": (offline, "answer recordings (WAV in, WAV and text out), or measure calls: offline report"),
    "drain": (drain, "before you renew the server: no new calls, and wait for those that go on"),
    "doctor": (doctor, "find out why something does not work"),
    "accept": (accept, "before you go live: try the weights on this GPU, and write a report"),
}
