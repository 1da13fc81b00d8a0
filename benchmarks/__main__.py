"""The command line: ``python -m benchmarks`` and the name of a measurement, one module each."""

import argparse
import asyncio
import sys
from collections.abc import Sequence
from typing import Protocol

from benchmarks import cascade, echo, face, fidelity, jitter, model, proxy
from benchmarks.report import Report
from benchmarks.soak import command as soak
from benchmarks.ticks import command as ticks
from personaplex_ui.errors import PersonaplexError


class Command(Protocol):
    """A module that measures one thing. ``SUMMARY``: what, in half a line."""

    @property
    def SUMMARY(self) -> str: ...  # noqa: N802  a constant of the module

    def add_arguments(self, parser: argparse.ArgumentParser) -> None: ...

    async def measure(self, given: argparse.Namespace) -> Report: ...


COMMANDS: dict[str, Command] = {
    "echo": echo,
    "cascade": cascade,
    "face": face,
    "model": model,
    "fidelity": fidelity,
    "soak": soak,
    "jitter": jitter,
    "proxy": proxy,
    "ticks": ticks,
}


def main(arguments: Sequence[str] | None = None) -> None:
    """``arguments`` are those of the command line after the program's name, by default its own."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Speed, latency, CPU and memory, measured in real time on this machine.",
    )
    commands = parser.add_subparsers(dest="command", required=True)
    for name, command in COMMANDS.items():
        added = commands.add_parser(name, help=command.SUMMARY, description=command.SUMMARY)
        command.add_arguments(added)
        added.add_argument("--json", action="store_true", help="print JSON instead of a table")
    words = list(sys.argv[1:] if arguments is None else arguments)
    given = parser.parse_args(words, argparse.Namespace(words=words))
    try:
        report = asyncio.run(COMMANDS[given.command].measure(given))
    except PersonaplexError as refused:
        sys.exit(str(refused))
    print(report.to_json() if given.json else report.to_table())
    if any(verdict.holds is False for verdict in getattr(report, "verdicts", ())):
        sys.exit(1)


if __name__ == "__main__":
    main()
