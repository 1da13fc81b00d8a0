"""The command ``personaplex-ui drain``: has the server on this machine, or in this container, take no new
calls.

It sends a signal, so that it needs no key: only the server's own user and root may. Importing it loads only
an HTTP client, with which it asks how many calls still go on.
"""

import argparse
import os
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx

from personaplex_ui.config.env_file import read_env_file
from personaplex_ui.drain.listening_process import catches, listening_process
from personaplex_ui.errors import PersonaplexError

DEFAULT_PORT = "7860"
EVERYWHERE = ("", "0.0.0.0", "::", "[::]")
ASK_EVERY_SEC = 0.5
BEGINS_WITHIN_SEC = 10.0
ANSWER_WITHIN_SEC = 4.0

DESCRIPTION = """Has the server on this machine (PORT) take no new calls. Those that go on may end by
themselves, for DRAIN_SECONDS, or where that is 0 for MAX_CALL_SECONDS; the server stays. Needs the server's
user, or root."""
NOT_HERE = "No server of this user listens on port {port}. Set PORT to its port, or run this as its user."
NOT_YET = "The process on port {port} is no server that can be drained, or it is just starting. Try again."
NO_PROC = (
    "This system does not tell which process listens on a port. Send the server SIGUSR1, or use POST /drain."
)
NO_ANSWER = "The server was asked, but does not say that it drains. Its log may tell why."


class CannotDrain(PersonaplexError):
    """The text says what to do."""


def main(arguments: Sequence[str]) -> int:
    """Returns the exit code: 0, or 1 if there is no such server or calls still go on in the end."""
    parser = argparse.ArgumentParser(prog="personaplex-ui drain", description=DESCRIPTION)
    parser.add_argument(
        "--wait",
        type=float,
        nargs="?",
        const=float("inf"),
        default=0.0,
        metavar="SECONDS",
        help="return when no call goes on any more, or after so many seconds",
    )
    wait_sec = parser.parse_args(arguments).wait
    try:
        variables = {**read_env_file(Path(os.environ.get("ENV_FILE") or ".env")), **os.environ}
        port = int(variables.get("PORT") or DEFAULT_PORT)
        host = variables.get("HOST", "")
        ask_to_drain(port)
        left = wait_for_calls(f"http://{'127.0.0.1' if host in EVERYWHERE else host}:{port}", wait_sec)
    except (PersonaplexError, ValueError) as error:
        print(error, file=sys.stderr)
        return 1
    return 1 if wait_sec and left else 0


def ask_to_drain(port: int) -> None:
    """Raises CannotDrain: there is no such server."""
    try:
        pid = listening_process(port)
        if pid is None:
            raise CannotDrain(NOT_HERE.format(port=port))
        if not catches(pid, signal.SIGUSR1):
            raise CannotDrain(NOT_YET.format(port=port))
        os.kill(pid, signal.SIGUSR1)
    except OSError as error:
        raise CannotDrain(NO_PROC) from error


def wait_for_calls(url: str, wait_sec: float) -> int:
    """How many calls go on at ``url`` once it drains, or after ``wait_sec`` more at the latest.

    Raises:
        CannotDrain: it does not drain.
    """
    began = time.monotonic()
    told = ""
    with httpx.Client(trust_env=False, timeout=ANSWER_WITHIN_SEC) as client:
        while True:
            capacity = _capacity(client, url)
            if capacity is None:
                print("The server has ended.")
                return 0
            waited_sec = time.monotonic() - began
            if not capacity.get("draining"):
                if waited_sec > BEGINS_WITHIN_SEC:
                    raise CannotDrain(NO_ANSWER)
            else:
                left = int(capacity["live_calls"])
                sentence = f"No new calls are taken; {left} go on." if left else "No call goes on any more."
                if sentence != told:
                    print(told := sentence, flush=True)
                if not left or waited_sec >= wait_sec:
                    return left
            time.sleep(ASK_EVERY_SEC)


def _capacity(client: httpx.Client, url: str) -> dict[str, Any] | None:
    """None if nobody listens."""
    try:
        told: dict[str, Any] = client.get(f"{url}/capacity").json()
    except httpx.ConnectError:
        return None
    except (httpx.TransportError, ValueError):  # it is busy, or just ending
        return {}
    return told
